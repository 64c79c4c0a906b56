"""What TensorBoard shows of a training, under the names of the Object Detection API's own loop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from odflow.training.disk import told_by_disk


class Curves:
    """Points of the losses, the learning rate and the steps per second.

    Args:
        folder: gets the event file.
    """

    def __init__(self, folder: Path) -> None:
        with told_by_disk():
            self._writer = tf.summary.create_file_writer(str(folder))
        self._sums: dict[str, float] = {}
        self._steps, self._began = 0, time.perf_counter()

    def add(self, steps: Sequence[Mapping[str, float]]) -> None:
        """Take the losses of some steps into the next point."""
        self._steps += len(steps)
        for losses in steps:
            for name, loss in losses.items():
                self._sums[name] = self._sums.get(name, 0.0) + loss

    def write(self, step: int, learning_rate: float) -> None:
        """A point of every curve, from what was taken since the last one."""
        now = time.perf_counter()
        values: dict[str, float | None] = {name: total / self._steps for name, total in self._sums.items()}
        values |= {"learning_rate": learning_rate, "steps_per_sec": self._steps / (now - self._began)}
        write_scalars(self._writer, values, step)
        self._sums, self._steps, self._began = {}, 0, now


def write_scalars(writer: tf.summary.SummaryWriter, values: Mapping[str, float | None], step: int) -> None:
    """Write the values that there are at a step.

    Raises:
        OSError: the disk is full or refuses.
    """
    with told_by_disk(), writer.as_default(step):
        for name, value in values.items():
            if value is not None:
                tf.summary.scalar(name, value)
        writer.flush()
