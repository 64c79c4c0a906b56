"""What a file or a folder holds, as digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odflow.errors import InputError

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Entry:
    """One file of a content.

    Attributes:
        path: POSIX path relative to the folder; "" when the content is a file itself.
        size: bytes.
        sha256: of the bytes, in hexadecimal.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Content:
    """The bytes of a file, or of all files below a folder (sorted by path)."""

    folder: bool
    entries: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of a file; of a folder ``tree:`` and the SHA-256 of its sorted paths and contents."""
        if not self.folder:
            return self.entries[0].sha256
        tree = hashlib.sha256()
        for entry in self.entries:
            tree.update(os.fsencode(entry.path) + b"\0" + bytes.fromhex(entry.sha256))
        return f"tree:{tree.hexdigest()}"

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(entry.size for entry in self.entries)

    def below(self, subpath: str) -> Content | None:
        """The content of a file or folder inside this folder; None when it holds no such file."""
        if not subpath:
            return self
        for entry in self.entries:
            if entry.path == subpath:
                return Content(False, (Entry("", entry.size, entry.sha256),))
        inside = subpath + "/"
        found = [entry for entry in self.entries if entry.path.startswith(inside)]
        cut = tuple(Entry(entry.path.removeprefix(inside), entry.size, entry.sha256) for entry in found)
        return Content(True, cut) if found else None


class Digests:
    """Reads contents, each unchanged file once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Stamp], str] = {}

    def content(self, path: Path) -> Content:
        """Digest a file or a folder.

        Args:
            path: a file, or a folder: all files below it are read, through links.

        Raises:
            InputError: there is no such file or folder, or it cannot be read.
        """
        try:
            if path.is_dir():
                found = sorted(files_below(path), key=lambda name: os.fsencode(name))
                return Content(True, tuple(self._entry(path / name, name) for name in found))
            return Content(False, (self._entry(path, ""),))
        except OSError as error:
            raise InputError(f"{error.filename or path}: cannot be read ({error.strerror}).") from error

    def _entry(self, path: Path, name: str) -> Entry:
        state = path.stat()
        known = (str(path), (state.st_size, state.st_mtime_ns, state.st_ino, state.st_dev))
        if known not in self._known:
            with path.open("rb") as file:
                self._known[known] = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(name, state.st_size, self._known[known])


def files_below(folder: Path) -> Iterator[str]:
    """Name the regular files below a folder, links followed, as relative POSIX paths.

    Raises:
        InputError: a link leads back to a folder that holds it.
        OSError: a folder cannot be read.
    """
    yield from _walk(folder, "", frozenset())


def _walk(folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[str]:
    real = folder.resolve()
    if real in above:
        raise InputError(f"{folder}: is a link to a folder above it. Remove the link.")
    with os.scandir(folder) as listing:
        found = list(listing)
    for item in found:
        if item.is_dir():
            yield from _walk(folder / item.name, f"{prefix}{item.name}/", above | {real})
        elif item.is_file():
            yield f"{prefix}{item.name}"
