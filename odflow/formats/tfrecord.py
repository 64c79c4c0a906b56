"""TFRecord files: length-prefixed byte strings, each guarded by masked CRC-32C sums.

Layout of a record (little endian): length uint64, masked CRC of the length uint32, the
bytes, masked CRC of the bytes uint32. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import google_crc32c

from odflow.errors import InputError
from odflow.formats.file_kinds import what_is
from odflow.left_out import LeftOut, first_names
from odflow.reading import reads
from odflow.regular import open_regular

T = TypeVar("T")

Records = Path | Sequence[Path]
"""A file of records, a folder of them, or several."""

_LENGTH = struct.Struct("<Q")
_SUM = struct.Struct("<I")
_HEAD = struct.Struct("<QI")
_SHARD = re.compile(r"(?P<name>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})")
_SIDES = {
    "train": {"train", "training"},
    "valid": {"val", "valid", "validation", "eval", "test", "testing", "dev", "minival"},
}
_COMPRESSED = {b"\x1f\x8b": "GZIP", b"\x78\x01": "ZLIB", b"\x78\x9c": "ZLIB", b"\x78\xda": "ZLIB"}
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


def record_files(records: Records) -> list[Path]:
    """The files of records at a path, or at several.

    Args:
        records: a file, a folder of nothing else, or several of them.

    Returns:
        Their paths, in the order given, those of a folder sorted; hidden files are no records.

    Raises:
        InputError: there is none, shards of a set are missing, or a folder holds the records of both
            training and validation.
    """
    files: list[Path] = []
    for path in [records] if isinstance(records, Path) else records:
        files += [path] if path.is_file() else _files_of_folder(path)
    for name, numbers in _sets(files).items():
        _check_set(name, numbers)
    return files


def records_place(records: Records) -> str:
    """What messages call records: the path, or the first of several and how many there are."""
    if isinstance(records, Path):
        return str(records)
    return first_names(map(str, records), 1)


def shards_unread(files: Iterable[Path]) -> LeftOut:
    """Tell of shards beside a single one that was given.

    Args:
        files: that are to be read.
    """
    names: list[str] = []
    for (folder, name), counts in _sets(files).items():
        for count, indices in counts.items():
            if len(indices) == 1 < count:
                names += [shard_name(name, n, count) for n in range(count) if n not in indices]
                pattern = f"{folder / name}-?????-of-{count:05d}"
    advice = f"Give {pattern!r} to read all." if names else ""
    return LeftOut("shards_not_read", len(names), "shards of the same set are not read", names, advice)


def _files_of_folder(folder: Path) -> list[Path]:
    files = sorted(one for one in folder.glob("[!.]*") if one.is_file())
    if not files:
        raise InputError(f"{folder}: holds no file of records. Give what the stage records wrote.")
    by_side = {
        side: [one.name for one in files if _words(one.name) & words] for side, words in _SIDES.items()
    }
    train, valid = by_side["train"], by_side["valid"]
    if train and valid:
        raise InputError(
            f"{folder}: holds records to train on ({first_names(train)}) and records to evaluate on "
            f"({first_names(valid)}). Give one of them: {folder / _pattern(train[0])!s}"
            f" or {folder / _pattern(valid[0])!s}."
        )
    return files


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))


def _pattern(name: str) -> str:
    """The pattern of a shard's set; of any other file its name."""
    found = _SHARD.fullmatch(name)
    return f"{found['name']}-?????-of-{found['count']}" if found else name


def _sets(files: Iterable[Path]) -> dict[tuple[Path, str], dict[int, set[int]]]:
    """The indices of the shards of each set, by folder and name, and by the count in their names."""
    sets: dict[tuple[Path, str], dict[int, set[int]]] = {}
    for file in files:
        found = _SHARD.fullmatch(file.name)
        if found:
            counts = sets.setdefault((file.parent, found["name"]), {})
            counts.setdefault(int(found["count"]), set()).add(int(found["index"]))
    return sets


def _check_set(place: tuple[Path, str], counts: Mapping[int, set[int]]) -> None:
    folder, name = place
    if len(counts) > 1:
        both = " and ".join(f"{name}-?????-of-{count:05d}" for count in sorted(counts))
        raise InputError(
            f"{folder}: holds two sets of shards, {both}. Delete the old one, or give one of them."
        )
    ((count, indices),) = counts.items()
    lacking = [shard_name(name, index, count) for index in range(count) if index not in indices]
    if lacking and len(indices) > 1:
        raise InputError(
            f"{folder / name}: {len(lacking)} of {count} shards are missing ({first_names(lacking)}). "
            "Copy them too, or write the records anew."
        )


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


@reads("TFRecords")
def read_records(path: Path) -> Iterator[bytes]:
    """Read a TFRecord file, one record at a time, and verify every sum.

    Raises:
        InputError: no such file, a record that is cut off, a sum that does not fit. The
            message names file and byte offset of the record.
    """
    yield from map(b"".join, _pieces(path))


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


def _opened(path: Path, buffering: int = -1) -> BinaryIO:
    try:
        return open_regular(path, buffering)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Give a TFRecord file.") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. Give a TFRecord file.") from None


@reads("TFRecords")
def record_spans(path: Path) -> Iterator[tuple[int, int]]:
    """Find the records of a TFRecord file without reading them.

    Yields:
        Of each record its first byte in the file and its length in bytes. The sums of the
        lengths are verified, those of the records are not.

    Raises:
        InputError: as `read_records`.
    """
    with _opened(path, buffering=0) as file:
        left = os.fstat(file.fileno()).st_size
        at = 0
        while left:
            file.seek(at)
            length = _read_length(file.read, path, at, left)
            yield at + _HEAD.size, length
            size = _HEAD.size + length + _SUM.size
            at, left = at + size, left - size


@reads("TFRecords")
def records_at(path: Path, spans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Read some records of a file, and verify their sums.

    Args:
        path: the file.
        spans: of each its first byte and its length, as `record_spans` gives them.

    Raises:
        InputError: a sum does not fit, or the file became shorter.
    """
    with open_regular(path) as file:
        for start, length in spans:
            file.seek(start)
            data = file.read(length)
            if len(data) < length or _masked_crc((data,)) != file.read(_SUM.size):
                at = start - _HEAD.size
                raise InputError(
                    f"{path}: byte {at}: the checksum of the record does not fit: the file is damaged."
                )
            yield data


def _pieces(path: Path) -> Iterator[list[bytes]]:
    """Every record in pieces."""
    with _opened(path) as file:
        left = os.fstat(file.fileno()).st_size
        at = 0
        while left:
            pieces = _read_one(file.read, path, at, left)
            yield pieces
            size = _HEAD.size + sum(map(len, pieces)) + _SUM.size
            at, left = at + size, left - size


def _read_one(read: Callable[[int], bytes], path: Path, at: int, left: int) -> list[bytes]:
    length = _read_length(read, path, at, left)
    pieces = [read(min(_PIECE, length - start)) for start in range(0, length, _PIECE)]
    if _masked_crc(pieces) != read(_SUM.size):
        raise InputError(f"{path}: byte {at}: the checksum of the record does not fit: the file is damaged.")
    return pieces


def _read_length(read: Callable[[int], bytes], path: Path, at: int, left: int) -> int:
    """The length of the record that begins here, which must end before the file does."""
    head = read(_HEAD.size)
    if at == 0 and _masked_crc((head[: _LENGTH.size],)) != head[_LENGTH.size :]:
        raise InputError(f"{path}: {_what(path, head)}")
    if len(head) < _HEAD.size:
        raise InputError(f"{path}: byte {at}: the file is cut off inside a record. Write it anew.")
    (length,) = _LENGTH.unpack_from(head)
    if _masked_crc((head[: _LENGTH.size],)) != head[_LENGTH.size :]:
        raise InputError(f"{path}: byte {at}: the checksum of the length does not fit: the file is damaged.")
    if length > left - _HEAD.size - _SUM.size:
        raise InputError(
            f"{path}: byte {at}: the file is cut off inside a record of {length} bytes. Write it anew."
        )
    return int(length)


def _what(path: Path, head: bytes) -> str:
    """What a file is that begins with no record."""
    form = _COMPRESSED.get(head[:2])
    if form:
        unpack = (
            f"gunzip -c {path.name} > unpacked.record" if form == "GZIP" else "write them without compression"
        )
        return f"is compressed ({form}); wanted: plain TFRecords. Unpack them first: {unpack}."
    kind = what_is(path)
    if kind is None or kind.name == "records":
        return "byte 0: the checksum of the length does not fit: no TFRecord file, or damaged."
    return f"is {kind.what}, no TFRecord file. {kind.cure or 'Give what the stage records wrote.'}"


def _masked_crc(pieces: Iterable[bytes]) -> bytes:
    crc = 0
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    return _SUM.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
