"""The outputs of a stage, made of nothing but folders and files of their own.

A stage may link to what it read. The store takes the right to write from what it keeps, and through
a link, hard or soft, it would take it from the user's own files; so links are replaced by copies.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from odflow.errors import StageError
from odflow.graph.disk import copy_file, remove, told_by_disk
from odflow.regular import kind_of

_SCRATCH = ".partial-own"


def own(output: Path, work: Path, label: str) -> None:
    """Turn links in an output into copies, and give all of it the permissions that new files get.

    Permissions follow the umask; a file that may be executed stays so.

    Args:
        output: a file or a folder that a stage wrote.
        work: the staging folder that it lies in.
        label: what messages call the output, such as "make: its output folder (made)".

    Raises:
        StageError: it holds what is neither a file nor a folder, a link to nowhere, or a link to a
            folder that holds the link.
        StoreError: the disk is full or refuses.
    """
    with told_by_disk(output):
        for above in output.relative_to(work).parents:
            if (work / above).is_symlink():
                raise StageError(f"{label} lies in a link ({above}). Make a folder of it.")
        _Owning(output, work / _SCRATCH, label, *_usual_modes(work)).walk()


@dataclass(frozen=True)
class _Place:
    """Something to look at, and the real paths of the folders that what it holds was found in."""

    path: Path
    above: tuple[str, ...]


@dataclass
class _Owning:
    output: Path
    scratch: Path
    label: str
    file_mode: int
    folder_mode: int
    waiting: list[_Place] = field(default_factory=list)

    def walk(self) -> None:
        self.waiting = [_Place(self.output, (os.path.realpath(self.output.parent),))]
        while self.waiting:
            self._look(self.waiting.pop())

    def _look(self, place: _Place) -> None:
        state = place.path.lstat()
        if stat.S_ISLNK(state.st_mode):
            self._replace_link(place)
        elif stat.S_ISDIR(state.st_mode):
            _allow(place.path, state, self.folder_mode)
            inside = (*place.above[:-1], f"{place.above[-1]}/{place.path.name}")
            with os.scandir(place.path) as items:
                self.waiting += [_Place(Path(item.path), inside) for item in items]
        elif stat.S_ISREG(state.st_mode):
            if state.st_nlink > 1:
                self._copy(place.path, place.path)
                state = place.path.lstat()
            _allow(place.path, state, self.file_mode)
        else:
            raise self._refused(place.path, kind_of(state.st_mode))

    def _replace_link(self, place: _Place) -> None:
        try:
            mode = place.path.stat().st_mode
        except OSError:
            raise self._refused(place.path, f"a link to nowhere, {place.path.readlink()}") from None
        if stat.S_ISDIR(mode):
            self._replace_folder(place)
        elif stat.S_ISREG(mode):
            self._copy(place.path, place.path)
            self.waiting.append(place)
        else:
            raise self._refused(place.path, f"a link to {kind_of(mode)}")

    def _replace_folder(self, place: _Place) -> None:
        """Make a folder of links to all that the linked one holds; they are looked at next."""
        target = os.path.realpath(place.path)
        if any(Path(above).is_relative_to(target) for above in place.above):
            raise self._refused(place.path, "a link to a folder above it")
        with os.scandir(target) as items:
            names = [item.name for item in items]
        place.path.unlink()
        place.path.mkdir()
        for name in names:
            (place.path / name).symlink_to(Path(target, name))
        self.waiting += [_Place(place.path / name, (*place.above, target)) for name in names]

    def _copy(self, source: Path, to: Path) -> None:
        copy_file(source, self.scratch)
        self.scratch.replace(to)

    def _refused(self, path: Path, what: str) -> StageError:
        where = "" if path == self.output else f" at {path.relative_to(self.output)}"
        verb = "is" if path == self.output else "holds"
        return StageError(f"{self.label} {verb} {what}{where}; an output consists of files and folders.")


def _allow(path: Path, state: os.stat_result, mode: int) -> None:
    """Set permissions; a file keeps the right to be executed."""
    if not stat.S_ISDIR(state.st_mode) and state.st_mode & 0o111:
        mode |= mode >> 2 & 0o111
    if stat.S_IMODE(state.st_mode) != mode:
        path.chmod(mode)


def _usual_modes(work: Path) -> tuple[int, int]:
    """The permissions of a new file and of a new folder: threads share the umask, so it is not asked for."""
    probe = work / _SCRATCH
    remove(probe)  # a killed process may have left it
    probe.touch()
    file = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    probe.mkdir()
    folder = stat.S_IMODE(probe.stat().st_mode)
    probe.rmdir()
    return file, folder
