"""The end of a checkpoint's `.index` file, which no checksum covers, looked at before TensorFlow follows it.

Source: the footer of a LevelDB table (doc/table_format.md), as tensorflow/core/lib/io/format.cc reads it.
TensorFlow allocates as many bytes as it says that a block has; the block itself has a checksum.
"""

from __future__ import annotations

import os
from pathlib import Path

_FOOTER = 48
_HANDLES = 40
_MAGIC = bytes.fromhex("57fb808b247547db")
_TRAILER = 5
"""Behind each block: its compression and checksum."""


def check_index(index: Path) -> None:
    """See that the blocks that the end of an `.index` file points to lie in the file.

    Args:
        index: the file. What does not end as such a file does is left to TensorFlow, which says so.

    Raises:
        ValueError: they do not.
        OSError: the file cannot be read.
    """
    with index.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - _FOOTER))
        footer = file.read(_FOOTER)
    if len(footer) < _FOOTER or footer[_HANDLES:] != _MAGIC:
        return
    at = 0
    for _ in ("of the metadata", "of the entries"):
        begin, at = _varint(footer, at)
        size, at = _varint(footer, at)
        if begin + size + _TRAILER > length - _FOOTER:
            raise ValueError(f"its index has {length} bytes and points to {size} from byte {begin} on")


def _varint(footer: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the low ones first, and where the next begins."""
    number = 0
    for shift, byte in enumerate(footer[at : min(at + 10, _HANDLES)]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, at + shift + 1
    raise ValueError("its index ends in a number that does not end")
