"""Whether what a stage writes is what it reads, holds it, or lies in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Identity = tuple[int, int]
"""Device and inode: one thing has one, however its path is written (case, links, ``..``)."""


@dataclass(frozen=True)
class Overlap:
    """Something that is written meets something that is read.

    Attributes:
        written: its path.
        how: ``is``, ``holds`` or ``lies in``: what the first is to the second.
        read: the path of the second.
    """

    written: Path
    how: str
    read: Path


class Overlaps:
    """Compares paths by what is there. What was looked at is remembered: use one for one question."""

    def __init__(self) -> None:
        self._ways: dict[Path, frozenset[Identity]] = {}

    def find(self, written: Path, read: Path) -> Overlap | None:
        """How a path that is written meets one that is read; None when they do not.

        Args:
            written: of an output; it need not exist.
            read: of an input; a folder's links count, but not what they lead to (see `with_links`).
        """
        output, source = _identity(written), _identity(read)
        if source is None and read.is_symlink():
            return _by_name(written, read)
        if output and output == source:
            return Overlap(written, "is", read)
        if output and output in self._way(read):
            return Overlap(written, "holds", read)
        if source and source in self._way(written):
            return Overlap(written, "lies in", read)
        return None

    def _way(self, path: Path) -> frozenset[Identity]:
        """What stands on the way to a path: itself, all folders above it, and where links lead."""
        path = Path.cwd() / path
        if path not in self._ways:
            self._ways[path] = frozenset()  # a circle of links leads nowhere
            self._ways[path] = self._look(path)
        return self._ways[path]

    def _look(self, path: Path) -> frozenset[Identity]:
        own = frozenset(filter(None, [_identity(path)]))
        if path.parent == path:
            return own
        if path.name == "..":
            return self._way(path.parent.resolve().parent)
        found = self._way(path.parent) | own
        return found | self._way(path.parent / path.readlink()) if own and path.is_symlink() else found


def _by_name(written: Path, link: Path) -> Overlap | None:
    """How a path that is written meets a link to nothing yet: there is no inode to compare."""
    output, target = Path(os.path.realpath(written)), Path(os.path.realpath(link))
    if output == target:
        return Overlap(written, "is", link)
    if target.is_relative_to(output):
        return Overlap(written, "holds", link)
    return Overlap(written, "lies in", link) if output.is_relative_to(target) else None


def with_links(path: Path) -> Iterator[Path]:
    """A path, and each link in the folder that it is: what the link leads to is read as well."""
    yield path
    waiting, entered = [path] if path.is_dir() else [], set[Identity | None]()
    while waiting:
        place = waiting.pop()
        if (there := _identity(place)) in entered:
            continue
        entered.add(there)
        # A folder that cannot be read is for the stage to tell.
        with suppress(OSError), os.scandir(place) as items:
            for item in items:
                if item.is_symlink():
                    yield Path(item.path)
                if item.is_dir():
                    waiting.append(Path(item.path))


def _identity(path: Path) -> Identity | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
