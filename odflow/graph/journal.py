"""What a stage that resumes has finished, kept through a kill.

A file of lines. Each is the CRC-32 of a value's JSON as eight hexadecimal digits, a space
and the JSON. A line that a kill or a power cut left torn is known by its sum, and cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from odflow.flushing import flush_file


class Journal:
    """One JSON value an entry, in the order they were appended; use it in a `with`.

    Iterating gives the entries, one at a time, in little memory. Values come back as JSON
    holds them (a tuple as a list), floats to the last bit.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal of a path, or begin it; what follows its last whole entry is cut off."""
        self._path = path
        self._file = path.open("ab")
        self._file.truncate(sum(map(len, self._whole_lines())))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return (json.loads(line.partition(b" ")[2]) for line in self._whole_lines())

    def append(self, value: Any, *files: Path) -> None:
        """Add an entry; a kill from now on leaves it there. A power cut may take the latest entries.

        Args:
            value: the entry.
            files: that it tells of, below the journal's folder; the disk has them before the entry.

        Raises:
            OSError: the disk is full or refuses; the journal ends before this entry.
        """
        for file in files:
            flush_file(file, self._path.parent)
        self._file.write(_line(json.dumps(value).encode()))
        self._file.flush()

    def _whole_lines(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            for line in file:
                if line != _line(line.partition(b" ")[2].removesuffix(b"\n")):
                    return
                yield line


def _line(text: bytes) -> bytes:
    return b"%08x %s\n" % (crc32(text), text)
