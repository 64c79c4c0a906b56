"""All files below a folder, linked folders among them, whatever the links lead to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listing:
    """What one folder holds.

    Attributes:
        path: the folder, under the name that the walk found it by.
        prefix: what the names of its files begin with, relative to where the walk began: POSIX, empty
            or ending in a slash.
        files: the names of what it holds beside folders: files, pipes, links to nowhere.
    """

    path: str
    prefix: str
    files: list[str]

    @property
    def hidden(self) -> bool:
        """Whether it is below a folder that a dot hides."""
        return self.prefix.startswith(".") or "/." in self.prefix


@dataclass(frozen=True, slots=True)
class _Start:
    """A folder to walk through, and the real paths of the folders that hold the links on the way to it."""

    path: str
    prefix: str
    above: tuple[str, ...]


@dataclass
class FolderWalk:
    """A walk through a folder: first all that is no link, then what links lead to, by name.

    A link to a folder that holds it, itself or by way of other links, is not entered; nor is a hidden link.

    Attributes:
        folder: where it begins.
        once: whether to enter each folder once, under the first of its names.
        cannot_list: called with the error of each folder that cannot be listed.
        passed: the links that were not entered, relative to the folder.
    """

    folder: Path
    once: bool = False
    cannot_list: Callable[[OSError], object] | None = None
    passed: list[str] = field(default_factory=list)
    _entered: set[tuple[int, int]] = field(default_factory=set)

    def __iter__(self) -> Iterator[Listing]:
        starts = [_Start(str(self.folder), "", ())]
        while starts:
            links: list[_Start] = []
            for start in starts:
                if self._enter(start.path, start.prefix):
                    yield from self._walk(start, links)
            starts = sorted(links, key=lambda link: link.prefix)

    def _walk(self, start: _Start, links: list[_Start]) -> Iterator[Listing]:
        real = os.path.realpath(start.path)
        for at, folders, files in os.walk(start.path, onerror=self.cannot_list):
            inside = os.path.relpath(at, start.path)
            prefix = start.prefix if inside == "." else f"{start.prefix}{Path(inside).as_posix()}/"
            listing = Listing(at, prefix, files)
            above = (*start.above, os.path.normpath(f"{real}/{inside}"))
            linked = {name for name in folders if os.path.islink(f"{at}/{name}")}  # noqa: PTH114 -- per folder
            links += self._to_follow(listing, linked, above)
            folders[:] = [
                name
                for name in folders
                if name not in linked
                and (
                    listing.hidden or name.startswith(".") or self._enter(f"{at}/{name}", f"{prefix}{name}/")
                )
            ]
            yield listing

    def _to_follow(self, listing: Listing, linked: set[str], above: tuple[str, ...]) -> Iterator[_Start]:
        for name in linked:
            path = f"{listing.path}/{name}"
            target = os.path.realpath(path)
            loop = any(Path(place).is_relative_to(target) for place in above)
            if loop or listing.hidden or name.startswith("."):
                self.passed.append(listing.prefix + name)
            else:
                yield _Start(path, f"{listing.prefix}{name}/", above)

    def _enter(self, path: str, prefix: str) -> bool:
        if not self.once:
            return True
        try:
            state = os.stat(path)  # noqa: PTH116 -- per folder
        except OSError:
            return True  # listing it tells
        identity = (state.st_dev, state.st_ino)
        if identity in self._entered:
            self.passed.append(prefix.rstrip("/"))
            return False
        self._entered.add(identity)
        return True
