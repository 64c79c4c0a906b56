"""What a stage that resumes has finished, kept through a kill.

A file of lines. Each is the CRC-32 of a value's JSON as eight hexadecimal digits, a space
and the JSON. A line that a kill or a power cut left torn is known by its sum, and cut off.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar
from zlib import crc32

from pydantic import TypeAdapter

from odflow.flushing import flush_file
from odflow.graph.bookkeeping import parse_json, understood
from odflow.graph.disk import remove

T = TypeVar("T")
_log = logging.getLogger("odflow.run")


class Journal(Generic[T]):
    """One JSON value an entry, in the order they were appended; use it in a `with`.

    Iterating gives the entries, one at a time, in little memory; floats to the last bit.

    Args:
        path: of the file, which is begun when it is not there. What follows its last whole entry
            is cut off, and so are an entry of another form and all after it, which is told.
        form: the type of the entries, as pydantic understands it from what JSON holds.
    """

    def __init__(self, path: Path, form: type[T]) -> None:
        self._path, self._form = path, TypeAdapter(form)
        if path.is_dir():
            remove(path)
        self._file = path.open("ab")
        self._file.truncate(sum(map(len, self._whole_lines())))

    def __enter__(self) -> Journal[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[T]:
        return map(self._entry, self._whole_lines())

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
                try:
                    self._entry(line)
                except ValueError as error:
                    told = "%s: holds what cannot be understood (%s); what follows is made anew."
                    _log.warning(told, self._path, error)
                    return
                yield line

    def _entry(self, line: bytes) -> T:
        return understood(self._form, parse_json(line.partition(b" ")[2], finite=False))


def _line(text: bytes) -> bytes:
    return b"%08x %s\n" % (crc32(text), text)
