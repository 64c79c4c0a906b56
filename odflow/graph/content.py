"""What a file or a folder holds, as digests."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from odflow.errors import InputError
from odflow.graph.hashing import hash_files
from odflow.graph.listing import list_files, stamp
from odflow.graph.memory import Known, KnownFolder, Memory


class Entry(NamedTuple):
    """One file of a content.

    Attributes:
        path: POSIX path relative to the folder; "" when the content is a file itself.
        size: bytes.
        sha256: of the bytes, in hexadecimal.
    """

    path: str
    size: int
    sha256: str


class Content:
    """The bytes of a file, or of all files below a folder. Equal contents have equal digests.

    Args:
        folder: whether it is a folder.
        entries: its files, sorted by the bytes of their paths; or what a memory has of a folder.
    """

    def __init__(self, folder: bool, entries: tuple[Entry, ...] | KnownFolder) -> None:
        self.folder = folder
        self._given = entries

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The files, sorted by the bytes of their paths."""
        return _unpack(self._given.entries) if isinstance(self._given, KnownFolder) else self._given

    @cached_property
    def digest(self) -> str:
        """SHA-256 of a file; of a folder ``tree:`` and the SHA-256 of its sorted paths and contents."""
        if isinstance(self._given, KnownFolder):
            return self._given.digest
        if not self.folder:
            return self.entries[0].sha256
        tree = b"".join(
            b"%b\0%b" % (os.fsencode(entry.path), bytes.fromhex(entry.sha256)) for entry in self.entries
        )
        return f"tree:{hashlib.sha256(tree).hexdigest()}"

    @cached_property
    def size(self) -> int:
        """All bytes."""
        if isinstance(self._given, KnownFolder):
            return self._given.size
        return sum(entry.size for entry in self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and (self.folder, self.digest) == (other.folder, other.digest)

    def __hash__(self) -> int:
        return hash((self.folder, self.digest))

    def __repr__(self) -> str:
        return f"Content(folder={self.folder}, digest={self.digest!r})"

    def below(self, subpath: str) -> Content | None:
        """The content of a file or folder inside this folder; None when it holds no such file."""
        if not subpath:
            return self
        for entry in self.entries:
            if entry.path == subpath:
                return Content(False, (entry._replace(path=""),))
        inside = subpath + "/"
        found = [entry for entry in self.entries if entry.path.startswith(inside)]
        cut = tuple(entry._replace(path=entry.path.removeprefix(inside)) for entry in found)
        return Content(True, cut) if found else None


@dataclass(frozen=True)
class Changes:
    """How the files of a content differ from those of another, by name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        """For people: ``3 files added, 1 changed``; "" when nothing differs."""
        counts = {"added": len(self.added), "removed": len(self.removed), "changed": len(self.changed)}
        told = [f"{count} {how}" for how, count in counts.items() if count]
        if told:
            number, how = told[0].split()
            told[0] = f"{number} file{'' if number == '1' else 's'} {how}"
        return ", ".join(told)


def changes(before: Iterable[Entry], after: Iterable[Entry]) -> Changes:
    """Compare the entries of two contents.

    >>> one, two = Entry("a.jpg", 1, "ab"), Entry("b.jpg", 1, "cd")
    >>> str(changes([one], [one._replace(sha256="ef"), two]))
    '1 file added, 1 changed'
    """
    old = {entry.path: entry.sha256 for entry in before}
    new = {entry.path: entry.sha256 for entry in after}
    return Changes(
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name in old and new[name] != old[name]),
    )


class _File(NamedTuple):
    """A file to digest: its path as given, its absolute path, its stamp."""

    path: str
    place: str
    stamp: str

    @property
    def size(self) -> int:
        return int(self.stamp.partition(" ")[0])


class Digests:
    """Looks at every file each time, and reads those that are not as they were when last read.

    Any number of threads may use one at once.

    Args:
        memory: what was read before, by any run; without one, only what this object read is known.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory
        self._own: dict[str, Known] = {}  # what no memory keeps

    def content(self, path: Path) -> Content:
        """Digest a file or a folder.

        Args:
            path: a file, or a folder: all files below it count, links followed.

        Raises:
            InputError: there is no such file or folder, or it cannot be read.
            StoreError: the memory is damaged.
        """
        found = self.contents([path])[0]
        if found is None:
            raise InputError(f"{path}: cannot be read ({os.strerror(errno.ENOENT)}).")
        return found

    def contents(self, paths: Iterable[Path]) -> list[Content | None]:
        """Digest many files and folders; much faster than one after the other.

        Returns:
            The content of each path, in their order; None where nothing is there.

        Raises:
            InputError: one of them cannot be read.
            StoreError: the memory is damaged.
        """
        found: list[Content | None] = []
        files: dict[int, _File] = {}
        try:
            for index, path in enumerate(paths):
                state = _look(path)
                folder = state is not None and stat.S_ISDIR(state.st_mode)
                found.append(self._folder(path) if folder else None)
                if state is not None and not folder:
                    files[index] = _File(str(path), str(path.absolute()), stamp(state))
            for index, content in zip(files, self._files(list(files.values())), strict=True):
                found[index] = content
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read ({error.strerror}).") from error
        return found

    def _files(self, files: Sequence[_File]) -> list[Content]:
        if not files:
            return []
        digests, new, _ = self._read(
            files, self._memory.files(file.place for file in files) if self._memory else {}
        )
        self._keep(new, {})
        return [
            Content(False, (Entry("", file.size, sha256),))
            for file, sha256 in zip(files, digests, strict=True)
        ]

    def _folder(self, path: Path) -> Content:
        place = str(path.absolute())
        listing = list_files(str(path))
        seen = hashlib.sha256(os.fsencode("\0".join(listing))).digest()
        known = self._memory and self._memory.folder(place, seen)
        return Content(True, known or self._read_folder(path, place, listing, seen))

    def _read_folder(self, path: Path, place: str, listing: list[str], seen: bytes) -> tuple[Entry, ...]:
        lines = [line.split("\0") for line in sorted(listing, key=os.fsencode)]
        files = [_File(f"{path}/{name}", f"{place}/{name}", at) for name, at in lines]
        known = self._memory.files_below(place) if self._memory else {}
        digests, new, lasting = self._read(files, known)
        entries = tuple(
            Entry(name, file.size, sha256)
            for (name, _), file, sha256 in zip(lines, files, digests, strict=True)
        )
        self._keep(new, {place: (seen, _pack(entries))} if lasting else {})
        return entries

    def _read(
        self, files: Sequence[_File], known: Mapping[str, Known]
    ) -> tuple[list[str], dict[str, Known], bool]:
        """The SHA-256 of each file; what to remember of those that were read; whether that is all of them."""
        digests: dict[str, str] = {}
        for file in files:
            for one in (known.get(file.place), self._own.get(file.place)):
                if one and one.stamp == file.stamp:
                    digests[file.place] = one.sha256
        unknown = [file for file in files if file.place not in digests]
        new = {}
        for file, hashed in zip(
            unknown, hash_files((file.path, file.stamp) for file in unknown), strict=True
        ):
            digests[file.place] = hashed.sha256
            if hashed.lasting:
                new[file.place] = Known(file.stamp, hashed.sha256)
        lasting = all(file.place in new for file in unknown)
        return [digests[file.place] for file in files], new, lasting

    def _keep(self, files: dict[str, Known], folders: dict[str, tuple[bytes, KnownFolder]]) -> None:
        if self._memory is None or not self._memory.keep(files, folders):
            self._own.update(files)


def _look(path: Path) -> os.stat_result | None:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(state.st_mode) and not stat.S_ISREG(state.st_mode):
        raise InputError(f"{path}: is neither a file nor a folder.")
    return state


def _pack(entries: tuple[Entry, ...]) -> KnownFolder:
    whole = Content(True, entries)
    packed = "\0".join(f"{entry.path}\0{entry.size}\0{entry.sha256}" for entry in entries)
    return KnownFolder(whole.digest, whole.size, os.fsencode(packed))


def _unpack(packed: bytes) -> tuple[Entry, ...]:
    words = os.fsdecode(packed).split("\0") if packed else []
    return tuple(map(Entry, words[0::3], map(int, words[1::3]), words[2::3]))
