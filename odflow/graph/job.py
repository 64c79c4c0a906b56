"""What a stage sees of the run that it is part of."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from odflow.left_out import LeftOut
from odflow.terminal import shown

if TYPE_CHECKING:
    from tqdm import tqdm

A = TypeVar("A")
B = TypeVar("B")


class Workers(Protocol):
    """Where `Job.map` sends its items; an engine has them."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item, the results in the order of the items."""


class Audience(Protocol):
    """Who hears of a stage while it runs."""

    def say(self, line: str) -> None:
        """Take a result that the stage states."""

    def bar(self, items: Iterable[A], *, total: int | None, unit: str) -> tqdm[A]:
        """Show how the items go by."""


@dataclass(frozen=True)
class Console:
    """The streams of this process: results on standard output, bars on standard error.

    Attributes:
        name: stands before every line.
        results: gets the lines; standard output if left out.
    """

    name: str
    results: TextIO | None = None

    def say(self, line: str) -> None:
        """Print a line."""
        print(shown(f"{self.name}: {line}"), file=self.results, flush=True)

    def bar(self, items: Iterable[A], *, total: int | None, unit: str) -> tqdm[A]:
        """Show a bar where standard error is a terminal."""
        from tqdm import tqdm

        return tqdm(
            items, total=total, unit=unit, desc=shown(self.name), disable=None, file=sys.stderr, leave=False
        )


@dataclass
class Job:
    """One execution of one stage.

    Attributes:
        name: the stage's name in the pipeline.
        staging: an empty folder to write into (for a stage that `resumes`, it may
            hold what a killed run left). The output fields already point into it.
        workers: the engine's workers.
        audience: hears what the stage says; the console if left out.
        said: the lines that `say` was given.
        counts: the numbers that `count` was given, by their names.
    """

    name: str
    staging: Path
    workers: Workers
    audience: Audience | None = None
    said: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def log(self) -> logging.Logger:
        """Progress and remarks, on standard error."""
        return logging.getLogger(f"odflow.{self.name}")

    def say(self, line: str) -> None:
        """State a result: a line on standard output, kept and shown again by a cached run."""
        self.said.append(line)
        self._audience.say(line)

    def count(self, name: str, number: int) -> None:
        """State a number for run.json and ``--json``: those of one name add up."""
        self.counts[name] = self.counts.get(name, 0) + number

    def leave_out(self, *kinds: LeftOut) -> None:
        """Say what is left out, a line a kind, and count it; nothing of a kind is nothing to say."""
        for left in kinds:
            if left.number:
                self.say(str(left))
                self.count(left.name, left.number)

    def progress(self, items: Iterable[A], *, total: int | None = None, unit: str = "it") -> tqdm[A]:
        """Show a progress bar while the items go by, where standard error is a terminal."""
        return self._audience.bar(items, total=total, unit=unit)

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item with the engine's workers.

        Args:
            function: importable by name (it may run in another process or on
                another machine).
            items: any number of them; they are taken as workers become free.

        Returns:
            The results, in the order of the items.
        """
        return self.workers.map(function, items)

    @property
    def _audience(self) -> Audience:
        return self.audience or Console(self.name)
