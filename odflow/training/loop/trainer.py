"""A model under training: its network, optimizer and place in the examples."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from odflow.errors import InputError, StageError
from odflow.odapi.checkpoint import read_checkpoint
from odflow.training.architecture import Architecture, architecture
from odflow.training.checkpoints import Report, fill, save_weights, variables_by_name
from odflow.training.loop.batches import batch_names, broken_examples, training_batches
from odflow.training.loop.frozen_variables import trained_names
from odflow.training.loop.learning_rate import Schedule
from odflow.training.loop.optimizers import MovingAverage, build_optimizer
from odflow.training.loop.replicas import replica_batch
from odflow.training.loop.run_options import Options
from odflow.training.loop.saved_steps import SavedSteps
from odflow.training.loop.strategies import build_strategy, least
from odflow.training.loop.train_step import Losses, TrainStep
from odflow.training.settings import Settings

SEED = 1


class Trainer:
    """Trains some steps at a time; saves itself, and finds itself again.

    To be made before TensorFlow computes anything, or several machines do not find together.

    Args:
        settings: what is trained and how.
        files: the TFRecord files.
        scratch: where it saves itself.
        options: with strategy, precision and accumulate.

    Raises:
        ConfigError: the batch cannot be shared out, or a pattern of variables is wrong.
    """

    def __init__(self, settings: Settings, files: Sequence[str], scratch: Path, options: Options) -> None:
        self._strategy = build_strategy(options.strategy)
        self._training, self._files, self._accumulate = settings.training, list(files), options.accumulate
        self._batch = replica_batch(
            self._strategy.num_replicas_in_sync, settings.training.batch_size, options.accumulate
        )
        tf_keras.utils.set_random_seed(SEED)
        self.kind = architecture(settings)
        with self._strategy.scope():
            self.network = _build(self.kind, options.precision)
            self.variables = _trained(self.network, self.kind)
            self._rate_factor = tf.Variable(1.0, trainable=False, name="rate_factor")
            self._schedule = Schedule(self._training.optimizer.learning_rate, self._rate_factor)
            self._optimizer = build_optimizer(self._training.optimizer, self._schedule)
            if options.precision == "mixed_float16":
                self._optimizer = tf_keras.mixed_precision.LossScaleOptimizer(self._optimizer)
            decay = self._training.optimizer.average_decay
            self._average = MovingAverage(self.variables, decay) if decay else None
            self._step = tf.Variable(0, dtype=tf.int64, name="step", trainable=False)
        checkpoint = tf.train.Checkpoint(
            step=self._step,
            rate_factor=self._rate_factor,
            model=self.network,
            optimizer=self._optimizer,
            **({"average": self._average} if self._average else {}),
        )
        self._saved = SavedSteps(checkpoint, scratch)
        self._run = tf.function(self._many, autograph=False)  # which would take longer than the tracing
        self._batches: Any = None
        self.seconds_per_step = math.inf
        """Of the latest call of `train`; the first one, which builds the graph, does not count."""

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._step.numpy())

    def start_from(self, checkpoint: Path, allow_partial: bool) -> Report:
        """Take weights of a fine-tune checkpoint; a moving average begins there.

        Raises:
            InputError: it does not fit.
        """
        weights, kind = read_checkpoint(checkpoint), self._training.fine_tune_type
        with self._strategy.scope():
            report = fill(self.network, weights, self.kind.parts, kind, allow_partial=allow_partial)
            if self._average:
                self._average.restart()
        return report

    def restore(self) -> list[str]:
        """Go on from the newest checkpoint that every worker has whole; what to tell of damaged ones."""
        step = int(self.agree(self._saved.newest()))
        while step and not self.agree(self._saved.newest(step) == step):
            step = int(self.agree(self._saved.newest(step - 1)))
        with self._strategy.scope():
            self._saved.restore(step)
        if not self._saved.damaged:
            return []
        then = f"goes on after step {step}" if step else "begins anew"
        return [f"{self._saved.folder}: {', '.join(self._saved.damaged)}, so training {then}"]

    def save(self) -> None:
        """Save weights, optimizer and step, to go on from; whole on the disk when it returns.

        Raises:
            OSError: the disk is full or refuses.
        """
        with self._strategy.scope():
            self._saved.save(self.step)

    def save_weights(self, folder: Path) -> None:
        """Write the weights alone, averaged where the config asks for it."""
        with self._strategy.scope(), self._average.applied() if self._average else nullcontext():
            save_weights(self.network, folder, self.step)

    def agree(self, value: float) -> float:
        """The least of all workers' values, so that they decide alike."""
        return least(self._strategy, value)

    def learning_rate(self) -> float:
        """That of the next step."""
        return float(self._schedule(self._step))

    def lower_rate(self, factor: float) -> None:
        """Have the schedule's rate times this factor from now on, or stay as low as it is."""
        with self._strategy.scope():
            self._rate_factor.assign(tf.minimum(self._rate_factor, factor))

    def train(self, steps: int) -> list[dict[str, float]]:
        """Train some steps.

        Returns:
            The losses of each, by the API's names.

        Raises:
            InputError: an example cannot be used.
            StageError: the loss is no number; no further step was done.
        """
        first, began = self._batches is None, time.perf_counter()
        try:
            if self._batches is None:
                self._batches = iter(self._distributed())
            losses = self._run(self._batches, tf.constant(steps)).numpy()
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
            raise self._unusable(error) from error
        took = time.perf_counter() - began
        self.seconds_per_step = math.inf if first else took / len(losses)
        told = [dict(zip(self._names, one.tolist(), strict=True)) for one in losses]
        if not np.isfinite(losses[-1]).all():
            raise self._diverged(told[-1])
        return told

    def _distributed(self) -> Any:
        """The batches from the present step on, each worker its part."""
        start = self.step * self._training.batch_size

        def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return training_batches(
                self._files,
                self.kind,
                SEED,
                start=start,
                shard=(context.input_pipeline_id, context.num_input_pipelines),
                batch_size=self._batch,
            )

        return self._strategy.distribute_datasets_from_function(batches)

    def _many(self, batches: Any, steps: tf.Tensor) -> tf.Tensor:
        """Do steps, as many as asked for or until a loss is no number; (steps done, losses) float32."""
        step = TrainStep(self.kind, self.network, self._optimizer, self.variables, self._accumulate)

        def one(done: tf.Tensor, _: tf.Tensor, history: tf.TensorArray) -> tuple[Any, ...]:
            losses = self._summed(self._strategy.run(step, args=next(batches)))
            with tf.control_dependencies([losses]):  # a step counts once it is done
                self._step.assign_add(1)
            if self._average:
                self._average.update(self._step, self._strategy)
            return done + 1, tf.reduce_all(tf.math.is_finite(losses)), history.write(done, losses)

        history = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[None])
        start = (tf.constant(0), tf.constant(True), history)
        return tf.while_loop(lambda done, sound, _: (done < steps) & sound, one, start)[2].stack()

    def _summed(self, losses: Losses) -> tf.Tensor:
        """The losses of all replicas together, (losses,) float32, in the order of `_names`."""
        self._names = sorted(losses)
        return tf.stack([self._strategy.reduce("SUM", losses[name], axis=None) for name in self._names])

    def _diverged(self, losses: Mapping[str, float]) -> StageError:
        """The error for a loss that is no number, naming the images that it came from."""
        wrong = ", ".join(f"{name} {value}" for name, value in losses.items() if not math.isfinite(value))
        names = batch_names(self._files, self._training, SEED, self.step - 1)
        return StageError(
            f"train: {wrong} at step {self.step}, on the images {', '.join(names)}. Look at their boxes; "
            "else a lower learning rate, a longer warm-up or gradient_clipping_by_norm: 10.0 helps."
        )

    def _unusable(self, error: tf.errors.OpError) -> InputError:
        """The error for examples that do not decode, naming them."""
        found = broken_examples(self._files, self.kind, SEED, self.step)
        told = next((line for line in error.message.splitlines() if "record" in line), error.message)
        return InputError(*(found or [f"train: an example cannot be used ({told.strip()[:200]})."]))


def _build(kind: Architecture, precision: str) -> tf_keras.Model:
    """The network, which computes in this precision; its variables have 32 bits."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(precision)
    try:
        return kind.build()
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _trained(network: tf_keras.Model, kind: Architecture) -> list[tf.Variable]:
    """The variables that the config has trained, in the network's order."""
    keys = {variable.ref(): key for key, variable in variables_by_name(network).items()}
    variables = {keys[variable.ref()]: variable for variable in network.trainable_variables}
    names = {key: [variable.name.partition(":")[0]] for key, variable in variables.items()}
    return [variables[key] for key in trained_names(names, kind.settings.training)]
