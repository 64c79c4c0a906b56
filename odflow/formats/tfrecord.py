"""TFRecord files: length-prefixed byte strings, each guarded by masked CRC-32C sums.

Layout of a record (little endian): length uint64, masked CRC of the length uint32, the
bytes, masked CRC of the bytes uint32. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import google_crc32c

from odflow.errors import InputError

_HEAD = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_SUM = struct.Struct("<I")


def shard_name(name: str, index: int, count: int) -> str:
    """Name one shard of a set of records.

    >>> shard_name("train.record", 0, 1), shard_name("train.record", 3, 10)
    ('train.record', 'train.record-00003-of-00010')
    """
    return name if count == 1 else f"{name}-{index:05d}-of-{count:05d}"


def write_records(path: Path, payloads: Iterable[bytes]) -> int:
    """Write a TFRecord file.

    Args:
        path: the file; replaced when it is there.
        payloads: the records, taken one at a time.

    Returns:
        How many there were.
    """
    count = 0
    with Path(path).open("wb") as file:
        for payload in payloads:
            length = _LENGTH.pack(len(payload))
            file.write(length + _SUM.pack(_masked_crc(length)))
            file.write(payload)
            file.write(_SUM.pack(_masked_crc(payload)))
            count += 1
    return count


def read_records(path: Path) -> Iterator[bytes]:
    """Read a TFRecord file, one record at a time, and verify every sum.

    Raises:
        InputError: no such file, a record that is cut off, a sum that does not fit. The
            message names file and byte offset of the record.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file. Give a TFRecord file.")
    with Path(path).open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while at < end:
            payload = _read_one(file.read, f"{path}: byte {at}", end - at)
            yield payload
            at += _HEAD.size + len(payload) + _SUM.size


def _read_one(read: Callable[[int], bytes], place: str, left: int) -> bytes:
    head = read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise InputError(f"{place}: the file is cut off inside a record. Write it anew.")
    length, length_crc = _HEAD.unpack(head)
    if _masked_crc(head[: _LENGTH.size]) != length_crc:
        raise InputError(f"{place}: the checksum of the length does not fit: no TFRecord file, or damaged.")
    if length > left - _HEAD.size - _SUM.size:
        raise InputError(f"{place}: the file is cut off inside a record of {length} bytes. Write it anew.")
    payload = read(length)
    if _SUM.pack(_masked_crc(payload)) != read(_SUM.size):
        raise InputError(f"{place}: the checksum of the record does not fit: the file is damaged.")
    return payload


def _masked_crc(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
