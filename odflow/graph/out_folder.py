"""The folder that the outputs of a stage by itself go to: what is the user's there stays."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odflow.errors import InputError, StoreError
from odflow.graph.disk import flush, put_in_place, remove
from odflow.graph.overlap import Overlaps, with_links
from odflow.graph.placed import (
    Files,
    Theirs,
    files_at,
    free_name,
    look,
    read_marks,
    replace_output,
    together,
    write_mark,
)
from odflow.graph.stage import Stage
from odflow.left_out import NAMED, first_names

_log = logging.getLogger("odflow.run")


@dataclass(frozen=True)
class OutFolder:
    """Where ``--out`` leads.

    Attributes:
        stage: its inputs existing paths.
        folder: gets its outputs under their declared names.
        name: of the stage, for messages and for the note of what it wrote.
        overwrite: replace what is at the places of the outputs, whoever wrote it; never an input.
    """

    stage: Stage
    folder: Path
    name: str
    overwrite: bool = False

    def check(self) -> None:
        """Look whether the outputs may be put there; nothing is changed.

        Raises:
            InputError: an output is, holds or lies in an input, or replaces what the stage did not write.
            StoreError: what is there cannot be read.
        """
        meets, taken = self._meets(), self._taken()
        if meets:
            before = f"{taken}; and" if taken else f"{self.name}:"
            raise InputError(f"{before} {meets}: --overwrite does not permit that. Give another --out.")
        if taken:
            raise InputError(f"{taken}. Give another --out, or --overwrite.")

    def take(self, work: Path) -> None:
        """Move the outputs of a stage to their places, and note what they are.

        Args:
            work: holds them; on the same disk.

        Raises:
            StoreError: what came to their places meanwhile would be lost, so they are beside it; or
                the disk refuses.
        """
        flush(work)
        fault = self._meets() or self._taken()
        if fault:
            aside = free_name(self.folder / f"{self.name}.outputs")
            for name in self._names():
                put_in_place(work / name, aside / name)
            remove(work)
            raise StoreError(f"{fault}. It came while {self.name} ran, so the outputs are in {aside}.")
        known = read_marks(self.folder).get(self.name, {})
        made = together(files_at(work / name, name) for name in self._names())
        write_mark(self.folder, self.name, together([known, made]))  # a kill from here on does no harm
        for name in self._names():
            if self.overwrite:
                put_in_place(work / name, self.folder / name)
            else:
                replace_output(work / name, self.folder / name, name, known, _warn)
        write_mark(self.folder, self.name, made)

    def _names(self) -> list[str]:
        return [getattr(self.stage, field).as_posix() for field in self.stage.output_fields()]

    def _meets(self) -> str:
        """How outputs meet inputs; "" when they do not."""
        found: dict[tuple[Path, str], list[str]] = {}
        look, written = Overlaps(), [self.folder / name for name in self._names()]
        for label, path, whole in self._read(any(map(os.path.lexists, written))):
            for one in filter(None, (look.find(output, path) for output in written)):
                found.setdefault((one.written, one.how), []).append(f"{label} ({whole})")
        told = [
            f"the output {output} {how} the input {first_names(dict.fromkeys(read))}"
            for (output, how), read in found.items()
        ]
        return _first(told)

    def _read(self, there: bool) -> Iterator[tuple[str, Path, Path]]:
        """What the stage reads: the input, what lies there or is linked to, and the path to tell.

        Args:
            there: outputs are at their places, so that a single file may be in one.
        """
        for field, paths in self.stage.input_paths().items():
            for path in paths:
                yield from ((field, one, path) for one in with_links(path))
        for path in self.stage.also_reads() if there else ():
            yield "file", path, path

    def _taken(self) -> str:
        """What is at the outputs' places that the stage did not write; "" when there is nothing."""
        if self.overwrite:
            return ""
        marks = read_marks(self.folder)
        known = marks.get(self.name, {})
        found = [(name, look(self.folder / name, name, known)) for name in self._names()]
        return _first([self._told(name, theirs, marks) for name, theirs in found if theirs])

    def _told(self, name: str, theirs: Theirs, marks: dict[str, Files]) -> str:
        own = marks.get(self.name, {})
        for other, files in marks.items():
            if other != self.name and not look(theirs.place, name, together([own, files])):
                return f"{theirs.place} was written by {other}, not by {self.name}"
        return theirs.told(self.name)


def _first(told: list[str]) -> str:
    more = f"; and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return "; ".join(told[:NAMED]) + more


def _warn(theirs: Theirs, to: Path) -> None:
    _log.warning("%s: came while outputs were put in place; it is now %s.", theirs.place, to)
