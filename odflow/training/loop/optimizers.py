"""Build the optimizer that a config asks for, and average the weights over the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.loop.learning_rate import Schedule
from odflow.training.settings import Optimizer


def build_optimizer(
    settings: Optimizer, rate: Schedule | None = None
) -> tf_keras.optimizers.legacy.Optimizer:
    """Build a Keras optimizer whose rate follows the schedule step by step.

    Clipping and the moving average are the training step's.

    Args:
        settings: what the config asks for.
        rate: the schedule, where it has more to it than the settings.

    Returns:
        The optimizer.
    """
    legacy, rate = tf_keras.optimizers.legacy, rate or Schedule(settings.learning_rate)
    if settings.kind == "adam":
        return legacy.Adam(rate, epsilon=settings.epsilon)
    if settings.kind == "rms_prop":
        return RmsProp(rate, rho=settings.decay, momentum=settings.momentum, epsilon=settings.epsilon)
    return legacy.SGD(rate, momentum=settings.momentum)


class RmsProp(tf_keras.optimizers.legacy.RMSprop):
    """RMSProp as TensorFlow 1 has it, which all configs with `rms_prop_optimizer` are tuned for.

    The mean of squares starts at 1, and epsilon stands inside the root; Keras starts
    at 0 and, without momentum, adds epsilon outside.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._momentum = True  # the kernel with epsilon inside the root; a momentum of 0 is none

    def _create_slots(self, var_list: Sequence[tf.Variable]) -> None:
        for variable in var_list:
            self.add_slot(variable, "rms", initializer="ones")
            self.add_slot(variable, "momentum")


class MovingAverage(tf.Module):
    """The average of weights over the steps, as `use_moving_average` asks for.

    Args:
        weights: the variables; those that are not trained need no average.
        decay: of the average after many steps; the first ones count more, as
            `(1 + step) / (10 + step)` says.
    """

    def __init__(self, weights: Sequence[tf.Variable], decay: float) -> None:
        super().__init__()
        self._weights, self._decay = list(weights), decay
        self.averages = [
            tf.Variable(weight, trainable=False, name=f"{weight.name.partition(':')[0]}/average")
            for weight in self._weights
        ]

    def restart(self) -> None:
        """Begin with the weights as they are now."""
        _assign(self.averages, [weight.numpy() for weight in self._weights])

    def update(self, step: tf.Tensor, strategy: tf.distribute.Strategy) -> None:
        """Take in the weights after a step; outside of the replicas, each device its own copy."""
        step = tf.cast(step, tf.float32)
        share = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.averages, self._weights, strict=True):
            strategy.extended.update(average, _approach, args=(weight, share), group=False)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the averages in the place of the weights, to be saved; then the weights again."""
        kept = [weight.numpy() for weight in self._weights]
        _assign(self._weights, [average.numpy() for average in self.averages])
        yield
        _assign(self._weights, kept)


def _approach(average: tf.Variable, weight: tf.Tensor, share: tf.Tensor) -> tf.Operation:
    return average.assign_sub((average - weight) * tf.cast(share, average.dtype))


def _assign(variables: Sequence[tf.Variable], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
