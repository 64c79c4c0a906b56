"""The evaluations of a training: which was the best, and since when nothing got better."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter

from odflow.flushing import write_flushed
from odflow.training.architecture import Goal, Metrics
from odflow.training.settings import Plateau


class History:
    """The evaluations of one training, kept in a file.

    Args:
        file: a JSON object, step to metrics; begun when it is not there.
        goal: what the best one is best at.

    Attributes:
        damaged: the file was there and could not be understood, so it is begun anew.
    """

    def __init__(self, file: Path, goal: Goal) -> None:
        self.file, self._goal = file, goal
        found = _read(file, goal) if file.exists() else {}
        self.damaged = found is None
        self._metrics: dict[int, Metrics] = found or {}
        self._kept: set[int] = set(self._metrics)

    def __contains__(self, step: int) -> bool:
        return step in self._kept

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._kept))

    def add(self, step: int, metrics: Metrics) -> None:
        """Keep an evaluation, in the file whole or not at all.

        Raises:
            OSError: the disk is full or refuses.
        """
        self._metrics[step] = metrics
        self._kept.add(step)
        write_flushed(self.file, json.dumps(self._metrics, indent=2, sort_keys=True) + "\n")

    def keep_only(self, steps: Iterable[int]) -> None:
        """Know that of the steps up to now only these have weights; the others count, but are not kept."""
        self._kept = self._kept.intersection(steps)

    @property
    def best(self) -> int | None:
        """The step that did best of those whose weights are kept, the earliest of equals."""
        return max(sorted(self._kept), key=self._worth, default=None)

    def waited(self, step: int) -> int:
        """Evaluations up to a step that came after the best one."""
        best = max(sorted(self._metrics), key=self._worth, default=0)
        return sum(best < one <= step for one in self._metrics)

    def drops(self, step: int, plateau: Plateau) -> int:
        """How often up to a step the patience with a metric, which shall fall, was over."""
        drops, waited, least = 0, 0, math.inf
        for one in sorted(self._metrics):
            if one > step:
                break
            value = self._metrics[one].get(plateau.metric)
            waited = 0 if value is not None and value < least else waited + 1
            least = min(least, math.inf if value is None else value)
            if waited == plateau.patience:
                drops, waited = drops + 1, 0
        return drops

    def metrics(self, step: int) -> Metrics:
        """What was measured at a step."""
        return self._metrics[step]

    def _worth(self, step: int) -> float:
        value = self._metrics[step][self._goal.metric]
        if value is None:
            return -math.inf
        return value if self._goal.rises else -value


def _read(file: Path, goal: Goal) -> dict[int, Metrics] | None:
    """The evaluations in a file; None where it holds something else."""
    try:
        found = TypeAdapter(dict[int, Metrics]).validate_json(file.read_bytes())
    except ValueError:
        return None
    return found if all(goal.metric in metrics for metrics in found.values()) else None
