"""Train a detector, step by step, so that it can be killed and goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tf_keras
from official.core import config_definitions
from official.core.base_trainer import Trainer
from official.modeling.optimization import ExponentialMovingAverage

from odflow.errors import InputError, StageError
from odflow.odapi.checkpoint import read_checkpoint
from odflow.training.architecture import architecture
from odflow.training.checkpoints import fill, save_weights
from odflow.training.inputs import training_batches
from odflow.training.optimizers import build_optimizer
from odflow.training.settings import Settings
from odflow.training.task import TERMS, DetectionTask

SEED = 1
LOOP = 10
"""Steps between two looks at the losses."""


@dataclass(frozen=True)
class Folders:
    """Where a training keeps its files.

    Attributes:
        scratch: checkpoints with the optimizer's state, for going on after a kill.
        tensorboard: the curves.
        weights: in the end one checkpoint, the weights alone.
    """

    scratch: Path
    tensorboard: Path
    weights: Path


def fit(
    settings: Settings, files: Sequence[str], folders: Folders, start: Path | None, checkpoint_steps: int
) -> Iterator[tuple[int, float]]:
    """Train, or go on training from the last checkpoint in the scratch folder.

    Args:
        settings: what is trained and how.
        files: the TFRecord files.
        folders: where files go.
        start: the fine-tune checkpoint, if any.
        checkpoint_steps: steps between two checkpoints.

    Yields:
        The number of steps done and the mean loss of the latest ones, once for each
        step; steps of an earlier call that was killed come at once, with a loss of NaN.

    Raises:
        InputError: the fine-tune checkpoint does not fit, or an example cannot be used.
        StageError: the loss is no longer a number.
    """
    tf_keras.utils.set_random_seed(SEED)
    with _strategy().scope():
        trainer = _trainer(settings, files, start)
    saver = tf.train.CheckpointManager(trainer.checkpoint, str(folders.scratch), max_to_keep=2)
    saver.restore_or_initialize()
    done = int(trainer.global_step)
    yield from ((step, math.nan) for step in range(1, done + 1))
    yield from _steps(trainer, saver, folders.tensorboard, checkpoint_steps)
    if isinstance(trainer.optimizer, ExponentialMovingAverage):
        trainer.optimizer.swap_weights()
    save_weights(trainer.model, folders.weights, settings.training.num_steps)


def _strategy() -> tf.distribute.Strategy:
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")


def _trainer(settings: Settings, files: Sequence[str], start: Path | None) -> Trainer:
    kind = architecture(settings)
    task = DetectionTask(kind)
    network = task.build_model()
    if start is not None:
        fill(network, read_checkpoint(start), kind.parts, settings.training.fine_tune_type)
    batches = training_batches(files, kind, SEED)
    return Trainer(
        config=config_definitions.ExperimentConfig(task=task.task_config),
        task=task,
        model=network,
        optimizer=build_optimizer(settings.training.optimizer),
        train=True,
        evaluate=False,
        train_dataset=tf.distribute.get_strategy().experimental_distribute_dataset(batches),
    )


def _steps(
    trainer: Trainer, saver: tf.train.CheckpointManager, tensorboard: Path, checkpoint_steps: int
) -> Iterator[tuple[int, float]]:
    last = trainer.task.kind.settings.training.num_steps
    step = int(trainer.global_step)
    writer = tf.summary.create_file_writer(str(tensorboard))
    while step < last:
        stop = min(last, _next(step, LOOP), _next(step, checkpoint_steps))
        logs = _train(trainer, stop - step)
        _check(logs["training_loss"], stop)
        with writer.as_default():
            for name in ("training_loss", *TERMS, "learning_rate"):
                tf.summary.scalar(name, logs[name], step=stop)
        if stop == last or stop % checkpoint_steps == 0:
            saver.save(checkpoint_number=stop)
        yield from ((done, logs["training_loss"]) for done in range(step + 1, stop + 1))
        step = stop
    writer.close()


def _train(trainer: Trainer, steps: int) -> dict[str, float]:
    """Train some steps; the mean losses."""
    try:
        return {name: float(value) for name, value in trainer.train(tf.constant(steps)).items()}
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        told = next((line for line in error.message.splitlines() if "record" in line), error.message)
        raise InputError(f"train: an example cannot be used ({told.strip()[:200]}).") from error


def _next(step: int, interval: int) -> int:
    """The first multiple of the interval after a step."""
    return (step // interval + 1) * interval


def _check(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise StageError(
            f"train: the loss is {loss} at step {step}; a lower learning rate, a longer warm-up or "
            "train_config.gradient_clipping_by_norm: 10.0 helps."
        )
