"""The evaluations of a training: which was the best, and since when nothing got better."""

from __future__ import annotations

import json
import math
from pathlib import Path

from odflow.training.architecture import Goal, Metrics
from odflow.training.settings import Plateau


class History:
    """The evaluations of one training, kept in a file.

    Args:
        file: a JSON object, step to metrics; begun when it is not there.
        goal: what the best one is best at.
    """

    def __init__(self, file: Path, goal: Goal) -> None:
        self.file, self._goal = file, goal
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        self._metrics: dict[int, Metrics] = {int(step): found for step, found in json.loads(text).items()}

    def __contains__(self, step: int) -> bool:
        return step in self._metrics

    def add(self, step: int, metrics: Metrics) -> None:
        """Keep an evaluation, in the file whole or not at all."""
        self._metrics[step] = metrics
        text = json.dumps(self._metrics, indent=2, sort_keys=True) + "\n"
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.file)

    @property
    def best(self) -> int | None:
        """The step that did best, the earliest of equals."""
        return max(sorted(self._metrics), key=self._worth, default=None)

    def waited(self, step: int) -> int:
        """Evaluations up to a step that came after the best one."""
        best = self.best or 0
        return sum(best < one <= step for one in self._metrics)

    def drops(self, step: int, plateau: Plateau) -> int:
        """How often up to a step the patience with a metric, which shall fall, was over."""
        drops, waited, least = 0, 0, math.inf
        for one in sorted(self._metrics):
            if one > step:
                break
            value = self._metrics[one][plateau.metric]
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
