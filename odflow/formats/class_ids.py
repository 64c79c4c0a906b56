"""Ids of classes that a label map lacks, as the wrong label map beside a model gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from odflow.errors import InputError
from odflow.formats.detection_writer import UNKNOWN
from odflow.left_out import first_names


class Tells(Protocol):
    """What hears of a stage's results: a `Job`."""

    def say(self, line: str) -> None:
        """Take a line."""

    def count(self, name: str, number: int) -> None:
        """Take a number."""


COUNTED_AS = "detections_unknown_class"
"""The name of their number in run.json."""


class UnknownIds:
    """Counts the detections whose class a label map lacks.

    Attributes:
        number: how many there are.
    """

    def __init__(self, label_map: Path, names: Mapping[int, str]) -> None:
        """Begin to count.

        Args:
            label_map: the file, for messages.
            names: its classes by their ids.
        """
        self._file, self._names = label_map, names
        self._found: Counter[int] = Counter()
        self._all = 0

    @property
    def number(self) -> int:
        """How many detections have no known class."""
        return self._found.total()

    def take(self, ids: Iterable[int]) -> None:
        """Take the ids of some detections."""
        for one in ids:
            self._all += 1
            if one not in self._names:
                self._found[one] += 1

    def line(self) -> str:
        """What to say of them; empty where there are none.

        Raises:
            InputError: not one of the detections has a class that is known.
        """
        if not self._found:
            return ""
        ids = first_names(map(str, sorted(self._found)), most=5)
        known = f"{min(self._names)} to {max(self._names)}" if self._names else "no class"
        told = (
            f"{self.number} of {self._all} detections have ids that {self._file.name} ({known}) lacks: "
            f"{ids}. Is it the model's label map?{self._hint()}"
        )
        if self.number == self._all:
            raise InputError(told)
        return told

    def _hint(self) -> str:
        if 0 not in self._found:
            return ""
        return (
            " With an id of 0 the model seems to count its classes from 0; label maps count from 1, so that "
            "each name is that of the class before."
        )


def tell_unknown(job: Tells, classes: Iterable[str], table: Path) -> None:
    """Say how many rows of a table are of no class that the label map of its detector knew.

    Args:
        job: hears it, and the number.
        classes: of the rows.
        table: for the message.
    """
    rows = list(classes)
    number = sum(name == UNKNOWN for name in rows)
    if number:
        job.count(COUNTED_AS, number)
        job.say(
            f"{number} of {len(rows)} rows of {table.name} are of no class ({UNKNOWN}): the label map that "
            "detect was given lacks their ids"
        )
