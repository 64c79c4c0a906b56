"""The learning rate schedules of the Object Detection API as Keras schedules."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.settings import LearningRate


class Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that follows one of the API's schedules.

    Args:
        settings: the schedule.
        factor: on every rate; what the training changes as it goes.
    """

    def __init__(self, settings: LearningRate, factor: tf.Variable | float = 1.0) -> None:
        super().__init__()
        self.settings, self._factor = settings, factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at a step, float32."""
        return SCHEDULES[self.settings.kind](self.settings, tf.cast(step, tf.float32)) * self._factor

    def get_config(self) -> dict[str, Any]:
        """The settings, for Keras."""
        return {"settings": self.settings, "factor": float(self._factor)}


def _constant(settings: LearningRate, step: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(step), settings.base)


def _cosine(settings: LearningRate, step: tf.Tensor) -> tf.Tensor:
    start = settings.warmup_steps + settings.hold_steps
    # Where the warm-up takes all steps, the API divides 0 by 0 in the last one; here it has the base rate.
    share = (step - start) / max(settings.total_steps - start, 1)
    rate = 0.5 * settings.base * (1.0 + tf.cos(math.pi * share))
    rate = tf.where(step < start, settings.base, rate)
    if settings.warmup_steps:
        slope = (settings.base - settings.warmup_rate) / settings.warmup_steps
        rate = tf.where(step < settings.warmup_steps, settings.warmup_rate + slope * step, rate)
    return tf.where(step > settings.total_steps, 0.0, rate)


def _exponential(settings: LearningRate, step: tf.Tensor) -> tf.Tensor:
    """Decay, counted from the end of the burn-in."""
    count = tf.maximum(step - settings.warmup_steps, 0.0) / settings.decay_steps
    count = tf.floor(count) if settings.staircase else count
    rate = settings.base * settings.decay_factor**count
    before = settings.warmup_rate or settings.base
    return tf.maximum(tf.where(step < settings.warmup_steps, before, rate), settings.least)


def _manual_step(settings: LearningRate, step: tf.Tensor) -> tf.Tensor:
    rate = tf.fill(tf.shape(step), settings.base)
    for boundary, value in zip(settings.boundaries, settings.rates, strict=True):
        rate = tf.where(step >= boundary, value, rate)
    if settings.warmup and settings.boundaries:
        first = settings.boundaries[0]
        line = settings.base + (settings.rates[0] - settings.base) * step / first
        rate = tf.where(step < first, line, rate)
    return rate


SCHEDULES = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "manual_step": _manual_step,
}
