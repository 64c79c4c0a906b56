"""TFRecord files: length-prefixed byte strings, each guarded by masked CRC-32C sums.

Layout of a record (little endian): length uint64, masked CRC of the length uint32, the
bytes, masked CRC of the bytes uint32. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import google_crc32c

from odflow.errors import InputError

T = TypeVar("T")

_LENGTH = struct.Struct("<Q")
_SUM = struct.Struct("<I")
_HEAD = struct.Struct("<QI")
_PIECE = 1 << 16  # small enough that the memory is used again, record after record


def shard_name(name: str, index: int, count: int) -> str:
    """Name one shard of a set of records.

    >>> shard_name("train.record", 0, 1), shard_name("train.record", 3, 10)
    ('train.record', 'train.record-00003-of-00010')
    """
    return name if count == 1 else f"{name}-{index:05d}-of-{count:05d}"


def deal_shards(path: Path, items: Sequence[T], count: int) -> dict[Path, Sequence[T]]:
    """Deal items to the files of a set of records, every n-th to each.

    >>> deal_shards(Path("train.record"), "abc", 1)
    {PosixPath('train.record'): 'abc'}
    """
    return {path.with_name(shard_name(path.name, n, count)): items[n::count] for n in range(count)}


def record_files(path: Path) -> list[Path]:
    """The files of records at a path.

    Args:
        path: a file, or a folder of nothing else.

    Returns:
        Their paths, sorted; hidden files are no records.

    Raises:
        InputError: there is none.
    """
    files = [path] if path.is_file() else sorted(one for one in path.glob("[!.]*") if one.is_file())
    if not files:
        raise InputError(f"{path}: holds no file of records. Give what the stage records wrote.")
    return files


def write_records(path: Path, payloads: Iterable[bytes | Sequence[bytes]]) -> int:
    """Write a TFRecord file.

    Args:
        path: the file; replaced when it is there.
        payloads: the records, taken one at a time, each whole or in pieces.

    Returns:
        How many there were.
    """
    count = 0
    with Path(path).open("wb") as file:
        for payload in payloads:
            pieces = (payload,) if isinstance(payload, bytes) else payload
            length = _LENGTH.pack(sum(map(len, pieces)))
            file.write(length + _masked_crc((length,)))
            file.writelines(pieces)
            file.write(_masked_crc(pieces))
            count += 1
    return count


def read_records(path: Path) -> Iterator[bytes]:
    """Read a TFRecord file, one record at a time, and verify every sum.

    Raises:
        InputError: no such file, a record that is cut off, a sum that does not fit. The
            message names file and byte offset of the record.
    """
    return map(b"".join, _pieces(path))


def count_records(path: Path) -> int:
    """Count the records of a TFRecord file, every sum verified, in little memory.

    Raises:
        InputError: as `read_records`.
    """
    return sum(1 for _ in _pieces(path))


def records_fault(path: Path, records: int) -> str | None:
    """What is wrong with a file that should hold so many records; None when it reads back."""
    try:
        found = count_records(path)
    except InputError as error:
        return f"does not read back: {error}"
    return None if found == records else f"holds {found} records of the {records} that were written."


def record_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Find the records of a TFRecord file without reading them.

    Yields:
        Of each record its first byte in the file and its length in bytes. The sums of the
        lengths are verified, those of the records are not.

    Raises:
        InputError: as `read_records`.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file. Give a TFRecord file.")
    with Path(path).open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size
        at = 0
        while left:
            file.seek(at)
            length = _read_length(file.read, f"{path}: byte {at}", left)
            yield at + _HEAD.size, length
            size = _HEAD.size + length + _SUM.size
            at, left = at + size, left - size


def _pieces(path: Path) -> Iterator[list[bytes]]:
    """Every record in pieces."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file. Give a TFRecord file.")
    with Path(path).open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        at = 0
        while left:
            pieces = _read_one(file.read, f"{path}: byte {at}", left)
            yield pieces
            size = _HEAD.size + sum(map(len, pieces)) + _SUM.size
            at, left = at + size, left - size


def _read_one(read: Callable[[int], bytes], place: str, left: int) -> list[bytes]:
    length = _read_length(read, place, left)
    pieces = [read(min(_PIECE, length - start)) for start in range(0, length, _PIECE)]
    if _masked_crc(pieces) != read(_SUM.size):
        raise InputError(f"{place}: the checksum of the record does not fit: the file is damaged.")
    return pieces


def _read_length(read: Callable[[int], bytes], place: str, left: int) -> int:
    """The length of the record that begins here, which must end before the file does."""
    head = read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise InputError(f"{place}: the file is cut off inside a record. Write it anew.")
    (length,) = _LENGTH.unpack_from(head)
    if _masked_crc((head[: _LENGTH.size],)) != head[_LENGTH.size :]:
        raise InputError(f"{place}: the checksum of the length does not fit: no TFRecord file, or damaged.")
    if length > left - _HEAD.size - _SUM.size:
        raise InputError(f"{place}: the file is cut off inside a record of {length} bytes. Write it anew.")
    return int(length)


def _masked_crc(pieces: Iterable[bytes]) -> bytes:
    crc = 0
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return _SUM.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
