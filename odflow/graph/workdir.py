"""The folder where a user finds the outputs of a run: copies of what the store holds."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from odflow.errors import InputError
from odflow.graph.content import Content
from odflow.graph.disk import copy_in_place
from odflow.graph.listing import list_files
from odflow.graph.pipeline import Node
from odflow.graph.placed import (
    LARGE,
    Files,
    Theirs,
    Wrote,
    is_clean,
    look,
    mark_file,
    read_marks,
    replace_output,
    set_aside,
    together,
    write_mark,
    yours,
)
from odflow.graph.plan import Step
from odflow.graph.record import StageRecord
from odflow.graph.result import Result
from odflow.graph.store import Store, declared

LOG = "stage.log"
_log = logging.getLogger("odflow.run")


def keep_foreign(folder: Path) -> None:
    """Move a run.json that odflow cannot have written beside, so that its own does not replace it.

    Raises:
        StoreError: the disk refuses.
    """
    place = folder / "run.json"
    if os.path.lexists(place):
        to = set_aside(Theirs(place, added=("",), alone=True), place)
        _log.warning("%s is not what a run of odflow writes; it is now %s.", place, to)


class Workdir:
    """Copies of outputs at STAGE/NAME. What of the user's is at their places is moved beside, never replaced.

    Any number of threads may each place the outputs of a stage.

    Args:
        folder: of the run.
        store: holds the results.
        last: what the last run did with each stage.
    """

    def __init__(self, folder: Path, store: Store, last: Mapping[str, StageRecord]) -> None:
        self.folder, self._store, self._last = folder, store, last

    def place(self, node: Node, result: Result) -> None:
        """Copy the outputs and the log of a result to the folder of its stage, unless they are there.

        A copy has the times of its original, so an edit is seen without reading it. What is moved
        beside is told by name, a warning each.

        Raises:
            StoreError: the disk is full or refuses.
        """
        folder = self.folder / node.name
        changed = [
            field for field, made in result.outputs.items() if not _has(result, field, folder / made.name)
        ]
        known = self._known(node.name, result) if changed else {}
        for field in changed:
            name = result.outputs[field].name
            put = partial(replace_output, name=name, known=known, moved=partial(_warn, node.uses))
            copy_in_place(result.path(field), folder / name, put)
        if changed or not mark_file(folder, node.uses).exists():
            write_mark(folder, node.uses, _contents(result))
        self._place_log(node, result.home / LOG)

    def moves(self, step: Step) -> Iterator[str]:
        """Tell what of the user's a run would move aside for a stage, a line for each output."""
        node = step.node
        for field, name in declared(node.stage).items():
            place = self.folder / node.name / name
            if _has(step.result, field, place) or _has(self._before(node.name), field, place):
                continue
            theirs = look(place, name, self._known(node.name, step.result))
            if theirs:
                them = "it" if theirs.number == 1 else "them"
                yield f"{theirs.told(node.uses)}; a run moves {them} to {yours(place)}."

    def _place_log(self, node: Node, log: Path) -> None:
        final = self.folder / node.name / LOG
        if _stamp(log) in (None, _stamp(final)):
            return
        if final.is_dir():
            theirs = Theirs(final, added=("",), alone=True)
            _warn(node.uses, theirs, set_aside(theirs, final))
        copy_in_place(log, final)

    def _before(self, name: str) -> Result | None:
        """What the last run made, as far as the store still has it."""
        last = self._last.get(name)
        return self._store.manifest(last.key) if last and last.key else None

    def _known(self, name: str, result: Result | None) -> Files:
        """All that odflow may have put there: what is noted, what the last run made, what is to come."""
        marks = read_marks(self.folder / name)
        results = [one for one in (self._before(name), result) if one]
        return together([*marks.values(), *map(_timed, results)])


def _contents(result: Result) -> Files:
    return {
        f"{made.name}/{entry.path}" if entry.path else made.name: (Wrote(entry.size, entry.sha256),)
        for made in result.outputs.values()
        for entry in made.content.entries
    }


def _timed(result: Result) -> Files:
    """What a result holds; of large files with the times that their copies have too."""
    return {
        path: tuple(
            one._replace(mtime_ns=(_stamp(result.folder / path) or (0, 0))[1]) if one.size >= LARGE else one
            for one in wrote
        )
        for path, wrote in _contents(result).items()
    }


def _has(result: Result | None, field: str, place: Path) -> bool:
    """Whether an unchanged copy of an output is at a place."""
    made = result.outputs.get(field) if result else None
    return result is not None and made is not None and _same(made.content, result.path(field), place)


def _warn(stage: str, theirs: Theirs, to: Path) -> None:
    now = "it is" if theirs.number == 1 else "they are"
    _log.warning("%s; %s now %s.", theirs.told(stage), now, to)


def _same(content: Content, source: Path, target: Path) -> bool:
    if content.folder != target.is_dir() or not is_clean(target):
        return False
    if not content.folder:
        seen = _stamp(source)
        return seen is not None and seen == _stamp(target)
    listed = _listed(source)
    return len(listed) == len(content.entries) and listed == _listed(target)


def _listed(folder: Path) -> list[str]:
    """Name, size and time of modification of all files below a folder; none when it cannot be looked at."""
    try:
        return [line.rsplit(" ", 2)[0] for line in list_files(str(folder))]
    except (OSError, InputError):
        return []


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
