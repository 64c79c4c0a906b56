"""Build the optimizer that a config asks for."""

from __future__ import annotations

import tf_keras
from official.modeling import optimization

from odflow.training.learning_rate import Schedule
from odflow.training.settings import Optimizer


def build_optimizer(settings: Optimizer) -> tf_keras.optimizers.legacy.Optimizer:
    """Build a Keras optimizer, within a moving average of the weights if there is one.

    Args:
        settings: what the config asks for.

    Returns:
        The optimizer, its rate following the schedule step by step.
    """
    clip = {"global_clipnorm": settings.clip_norm} if settings.clip_norm else {}
    rate = Schedule(settings.learning_rate)
    legacy = tf_keras.optimizers.legacy
    if settings.kind == "adam":
        optimizer = legacy.Adam(rate, epsilon=settings.epsilon, **clip)
    elif settings.kind == "rms_prop":
        optimizer = legacy.RMSprop(
            rate, rho=settings.decay, momentum=settings.momentum, epsilon=settings.epsilon, **clip
        )
    else:
        optimizer = legacy.SGD(rate, momentum=settings.momentum, **clip)
    if settings.average_decay:
        return optimization.ExponentialMovingAverage(optimizer, average_decay=settings.average_decay)
    return optimizer
