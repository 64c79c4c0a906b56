"""What odflow wrote into a folder of the user's, so that it replaces and deletes nothing else.

    DIR/.odflow-STAGE.json   the files of the outputs that a stage put there: name, size, SHA-256

A file of that name and content is odflow's to replace; any other at an output's place is the user's.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from odflow.errors import StoreError
from odflow.graph.bookkeeping import Count, read_json, understood
from odflow.graph.disk import leftover, make_folder, put_in_place, remove, told_by_disk, write_whole
from odflow.graph.hashing import hash_files
from odflow.graph.listing import stamp
from odflow.left_out import first_names

_log = logging.getLogger("odflow.run")
LARGE = 2**24
"""Bytes from which a file is not read again while its time of modification is the same."""


class Wrote(NamedTuple):
    """A file as odflow wrote it.

    Attributes:
        size: bytes.
        sha256: in hexadecimal; "" when it was too large to read again. ``link:TARGET`` of a link.
        mtime_ns: of a large file; 0 when it is not known.
    """

    size: int
    sha256: str
    mtime_ns: int = 0


Files = Mapping[str, tuple[Wrote, ...]]
"""Path below the folder, such as ``train/data.record``, to what may be there."""


def together(many: Iterable[Files]) -> Files:
    """All that any of them has."""
    found: dict[str, tuple[Wrote, ...]] = {}
    for files in many:
        for path, wrote in files.items():
            found[path] = found.get(path, ()) + wrote
    return found


def read_marks(folder: Path) -> dict[str, Files]:
    """What each stage wrote into a folder. A mark that cannot be understood tells nothing, which is said."""
    found = {}
    for path in sorted(folder.glob(".odflow-*.json")):
        try:
            mark = understood(TypeAdapter(_Mark), read_json(path))
            found[mark.stage] = together(
                {name: (Wrote(size, sha, at),)} for name, size, sha, at in mark.files
            )
        except (OSError, ValueError) as error:
            _log.warning(
                "%s: cannot be understood (%s), so nobody knows which outputs beside it odflow wrote.",
                path,
                error,
            )
    return found


@dataclass(frozen=True)
class _Mark:
    """What `write_mark` writes."""

    stage: str
    files: list[tuple[str, Count, str, int]]


def mark_file(folder: Path, stage: str) -> Path:
    """Where it stands what a stage wrote."""
    return folder / f".odflow-{stage}.json"


def write_mark(folder: Path, stage: str, files: Files) -> None:
    """Note what a stage wrote, in place of what it wrote before.

    Raises:
        StoreError: the disk is full or refuses.
    """
    rows = [[path, *one] for path in sorted(files) for one in sorted(set(files[path]))]
    lines = ",\n".join(json.dumps(row) for row in rows)
    path = mark_file(folder, stage)
    if path.is_dir():
        path.rename(yours(path))
    write_whole(path, f'{{"stage": {json.dumps(stage)}, "files": [\n{lines}\n]}}\n')


def files_at(place: Path, name: str) -> Files:
    """Digest what a stage made, to be noted under the name of its output."""
    found: dict[str, Wrote] = {}
    small = []
    for path, state in _leaves(place):
        if stat.S_ISLNK(state.st_mode):
            found[_below(name, path)] = Wrote(state.st_size, f"link:{(place / path).readlink()}")
        elif state.st_size >= LARGE:
            found[_below(name, path)] = Wrote(state.st_size, "", state.st_mtime_ns)
        else:
            small.append((path, state))
    for (path, state), sha256 in zip(small, _hashed(place, small), strict=True):
        found[_below(name, path)] = Wrote(state.st_size, sha256)
    return {path: (wrote,) for path, wrote in found.items()}


@dataclass(frozen=True)
class Theirs:
    """What of the user's is at an output's place.

    Attributes:
        place: where it is.
        edited: files that odflow wrote and somebody changed; "" for the place itself.
        added: files that odflow did not write.
        alone: nothing of odflow's is there.
    """

    place: Path
    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    alone: bool = False

    def __bool__(self) -> bool:
        return bool(self.edited or self.added)

    @property
    def number(self) -> int:
        """How many files, or links, they are."""
        return len(self.edited) + len(self.added)

    def told(self, stage: str) -> str:
        """What is there, for a message: ``ds/train holds 8 files that records did not write (a, ...)``."""
        if "" in self.edited:
            return f"{self.place} was edited since {stage} wrote it"
        if "" in self.added:
            return f"{self.place} was not written by {stage}"
        told = []
        if self.added:
            told.append(f"{_files(self.added)} that {stage} did not write ({first_names(self.added)})")
        if self.edited:
            how = "was" if len(self.edited) == 1 else "were"
            edited = first_names(self.edited)
            told.append(f"{_files(self.edited)} that {how} edited since {stage} wrote it ({edited})")
        return f"{self.place} holds {' and '.join(told)}"


def look(place: Path, name: str, known: Files) -> Theirs:
    """Tell what of the user's is at an output's place.

    Args:
        place: the output, or where it was moved to. Nothing need be there.
        name: of the output.
        known: what odflow wrote.

    Raises:
        StoreError: it cannot be read.
    """
    leaves = sorted(_leaves(place))
    doubtful = [(path, state) for path, state in leaves if _may_be(state, known.get(_below(name, path), ()))]
    unread = [
        (path, state)
        for path, state in doubtful
        if stat.S_ISREG(state.st_mode) and not _untouched(state, known[_below(name, path)])
    ]
    digests = {path: sha for (path, _), sha in zip(unread, _hashed(place, unread), strict=True)}
    digests |= {
        path: f"link:{(place / path).readlink()}" for path, state in doubtful if stat.S_ISLNK(state.st_mode)
    }
    own = {
        path
        for path, _ in doubtful
        if path not in digests or any(one.sha256 == digests[path] for one in known[_below(name, path)])
    }
    theirs = [path for path, _ in leaves if path not in own]
    edited = tuple(path for path in theirs if _below(name, path) in known)
    added = tuple(path for path in theirs if _below(name, path) not in known)
    return Theirs(place, edited, added, alone=not own)


def free_name(path: Path) -> Path:
    """The path, or else the first of ``PATH.2``, ``PATH.3``, ... where nothing is."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found


def yours(final: Path) -> Path:
    """Where what is the user's at an output's place is moved: beside it."""
    return free_name(final.with_name(f"{final.name}.yours"))


def set_aside(theirs: Theirs, final: Path) -> Path:
    """Move what is the user's beside the output's place; the bytes and names below it stay what they are.

    Args:
        theirs: what to move.
        final: the output's place.

    Returns:
        Where it is now: ``FINAL.yours``, or ``FINAL.yours.2`` and so on.

    Raises:
        StoreError: the disk refuses.
    """
    to = yours(final)
    with told_by_disk(to):
        if theirs.alone:
            theirs.place.rename(to)
            return to
        for name in (*theirs.edited, *theirs.added):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs.place / name).rename(to / name)
    return to


Moved = Callable[[Theirs, Path], None]
"""Hears what was moved aside, and where it is now."""


def replace_output(made: Path, final: Path, name: str, known: Files, moved: Moved) -> None:
    """Rename what a stage made to its place; what of the user's is there is moved beside it first.

    A folder is looked at after it was renamed: what comes to its place meanwhile is not lost either.

    Args:
        made: the output; on the same disk.
        final: its place.
        name: of the output.
        known: what odflow wrote there.
        moved: hears what was moved aside.

    Raises:
        StoreError: the disk refuses.
    """
    discard = partial(_discard, final=final, name=name, known=known, moved=moved)
    if not final.is_dir() or final.is_symlink():
        _keep(final, final, name, known, moved)
    make_folder(final.parent)
    put_in_place(made, final, discard)


def _discard(old: Path, *, final: Path, name: str, known: Files, moved: Moved) -> None:
    _keep(old, final, name, known, moved)
    remove(old)


def _keep(place: Path, final: Path, name: str, known: Files, moved: Moved) -> None:
    theirs = look(place, name, known)
    if theirs:
        to = set_aside(theirs, final)
        moved(Theirs(final, theirs.edited, theirs.added, theirs.alone), to)


def is_clean(final: Path) -> bool:
    """Whether no killed run left an old output beside the place of an output."""
    return not os.path.lexists(leftover(final))


def _leaves(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What is no folder at a place or below it: path and state of each, links not followed."""
    try:
        state = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unreadable(place, error) from error
    if not stat.S_ISDIR(state.st_mode):
        yield "", state
        return
    waiting = [""]
    try:
        while waiting:
            above = waiting.pop()
            with os.scandir(place / above) as items:
                for item in items:
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(f"{above}{item.name}/")
                    else:
                        yield f"{above}{item.name}", item.stat(follow_symlinks=False)
    except OSError as error:
        raise _unreadable(place, error) from error


def _unreadable(place: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{error.filename or place}: cannot be read ({error.strerror}), so nobody knows whose it is. "
        "Move it, or write elsewhere."
    )


def _may_be(state: os.stat_result, wrote: Iterable[Wrote]) -> bool:
    regular = stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)
    return regular and any(one.size == state.st_size for one in wrote)


def _untouched(state: os.stat_result, wrote: Iterable[Wrote]) -> bool:
    seen = (state.st_size, state.st_mtime_ns)
    return any(one.mtime_ns and (one.size, one.mtime_ns) == seen for one in wrote)


def _hashed(place: Path, files: Iterable[tuple[str, os.stat_result]]) -> list[str]:
    try:
        found = hash_files((str(place / path), stamp(state)) for path, state in files)
        return [one.sha256 for one in found]
    except OSError as error:
        raise _unreadable(place, error) from error


def _below(name: str, path: str) -> str:
    return f"{name}/{path}" if path else name


def _files(names: tuple[str, ...]) -> str:
    return f"{len(names)} file{'s' if len(names) > 1 else ''}"
