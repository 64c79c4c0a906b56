"""Train a detector so that it can be killed and goes on, and keep the best of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odflow.flushing import write_flushed
from odflow.training.loop.best_weights import BestWeights
from odflow.training.loop.curves import Curves
from odflow.training.loop.run_options import Data, Folders, Options
from odflow.training.loop.train_step import TOTAL
from odflow.training.loop.trainer import Trainer
from odflow.training.settings import Settings

LOOK = 10
"""Steps between two points of the curves."""

QUICK = 0.2
"""Seconds; steps that take less are done several at a time, others one by one, so that the bar moves."""


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        loss: the total loss of this step; NaN for steps of an earlier call.
        images_per_second: of the latest steps; 0 while it is not known.
        notes: lines to tell.
    """

    step: int
    loss: float = math.nan
    images_per_second: float = 0.0
    notes: tuple[str, ...] = ()


def fit(settings: Settings, data: Data, folders: Folders, options: Options) -> Iterator[Progress]:
    """Train, or go on training from the last checkpoint in the scratch folder.

    With evaluations, the weights that are kept are those with the best mAP; without, the last.

    Args:
        settings: what is trained and how.
        data: the inputs.
        folders: where files go.
        options: how it is run.

    Yields:
        One for each step, in their order, and others with notes.

    Raises:
        ConfigError: the batch cannot be shared out, or a pattern of variables is wrong.
        InputError: the fine-tune checkpoint does not fit, or an example cannot be used.
        StageError: the loss is no longer a number; the message names the images.
    """
    if options.strategy == "ray":
        from odflow.training.loop.ray_workers import fit_on_ray

        yield from fit_on_ray(settings, data, folders, options)
        return
    trainer = Trainer(settings, data.train, folders.scratch / "steps", options)
    yield from _begin(trainer, data, folders.trained, options.allow_partial)
    best = BestWeights(trainer, data, folders, options) if options.evaluate_every else None
    if best and best.lost:
        yield Progress(trainer.step, notes=tuple(best.lost))
    yield from _steps(trainer, best, folders.trained, options)
    if best:
        yield Progress(trainer.step, notes=(best.publish(),))
    else:
        trainer.save_weights(folders.trained / "checkpoint")


def _begin(trainer: Trainer, data: Data, trained: Path, allow_partial: bool) -> Iterator[Progress]:
    """Fill the network and tell what with; steps of an earlier call come at once."""
    notes = trainer.restore()
    if trainer.step:
        yield from (Progress(step) for step in range(1, trainer.step + 1))
        notes.append(f"goes on after step {trainer.step}, with the rate and the images that are due there")
    elif data.start is not None:
        report = trainer.start_from(data.start, allow_partial)
        text = json.dumps(report.to_json(), indent=2) + "\n"
        write_flushed(trained / "fine_tune.json", text)  # a run that goes on does not write it again
        notes.append(report.summary())
    # Layers that the architecture froze are no longer among the network's trainable variables.
    frozen = sum(one.trainable for one in trainer.network.variables) - len(trainer.variables)
    if frozen:
        notes.append(f"{frozen} variables frozen, {len(trainer.variables)} trained")
    if notes:
        yield Progress(trainer.step, notes=tuple(notes))


def _steps(trainer: Trainer, best: BestWeights | None, trained: Path, options: Options) -> Iterator[Progress]:
    training = trainer.kind.settings.training
    curves = Curves(trained / "tensorboard" / "train")
    last = training.num_steps
    intervals = (LOOK, options.checkpoint_steps, options.evaluate_every or last)
    while trainer.step < last and not (best and best.enough):
        begun = trainer.step
        stop = min(last, *((begun // interval + 1) * interval for interval in intervals))
        losses = trainer.train(stop - begun if trainer.seconds_per_step < QUICK else 1)
        step, rate = trainer.step, training.batch_size / trainer.seconds_per_step
        curves.add(losses)
        if step % LOOK == 0 or step == last:
            curves.write(step, trainer.learning_rate())
        yield from (Progress(begun + 1 + i, one[TOTAL], rate) for i, one in enumerate(losses))
        evaluated = best is not None and (step % options.evaluate_every == 0 or step == last)
        if best and evaluated:
            yield Progress(step, notes=(best.evaluate(),))
        if evaluated or step % options.checkpoint_steps == 0 or step == last:
            trainer.save()
