"""Train, and tell how it goes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from odflow.training.loop.fitting import Progress, fit
from odflow.training.loop.run_options import Data, Folders, Options
from odflow.training.settings import Settings


class Listener(Protocol):
    """Who hears of a training: a stage's job."""

    @property
    def log(self) -> logging.Logger:
        """Takes remarks."""

    def say(self, line: str) -> None:
        """Take a result."""

    def progress(self, items: Iterable[Any], *, total: int | None = None, unit: str = "it") -> Any:
        """A `tqdm` bar that shows how the items go by."""


def fit_and_tell(
    settings: Settings, data: Data, folders: Folders, options: Options, listener: Listener
) -> tuple[int, float]:
    """Train as `fit` does, with a bar that shows loss, speed and the time left.

    Args:
        settings: what is trained and how.
        data: the inputs.
        folders: where files go.
        options: how it is run.
        listener: hears of it.

    Returns:
        The last step and its loss.

    Raises:
        OdflowError: as `fit`.
    """
    total = settings.training.num_steps
    listener.log.info("TensorBoard: tensorboard --logdir %s", folders.trained / "tensorboard")
    step, loss = 0, 0.0
    steps = _steps(listener, fit(settings, data, folders, options))
    bar = listener.progress(steps, total=total, unit="step")
    for one in bar:
        step, loss = one.step, one.loss
        if math.isnan(loss):  # a step of the run that was stopped
            continue
        speed = f"{one.images_per_second:.1f}"
        bar.set_postfix({"loss": f"{loss:.3f}", "images/s": speed}, refresh=False)
        if bar.disable and step % options.checkpoint_steps == 0:
            left = (total - step) * settings.training.batch_size / (one.images_per_second or math.inf)
            listener.log.info(
                "step %d of %d, loss %.3f, %s images/s, %.0f s left", step, total, loss, speed, left
            )
    return step, loss


def _steps(listener: Listener, progress: Iterable[Progress]) -> Iterator[Progress]:
    """The steps; what is told between them is said."""
    for one in progress:
        if not one.notes:
            yield one
        for note in one.notes:
            listener.say(note)
