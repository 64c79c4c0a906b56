"""Statistics for batch norms that came without any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import FreezableBatchNorm


def lacks_statistics(network: tf_keras.Model) -> bool:
    """Whether its batch norms were folded: every mean is 0, and every variance the same number near 1."""
    norms = _norms(network)
    return bool(norms) and all(
        not norm.moving_mean.numpy().any() and np.ptp(norm.moving_variance.numpy()) == 0.0 for norm in norms
    )


def measure_statistics(network: tf_keras.Model, run: Callable[[], None]) -> int:
    """Give batch norms the means and variances of what comes in, and leave what they compute as it is.

    A network whose batch norms were folded into its weights cannot be trained on as it is: while it
    trains, a batch norm takes the statistics of the batch, and these are far from 0 and 1.
    Scale and offset are changed with the statistics, so that the network computes what it did.

    Args:
        network: built of `FreezableBatchNorm`; others are left alone.
        run: runs it, without training, on pictures like those to train on.

    Returns:
        How many batch norms were measured.
    """
    observed = [(norm, _Sums()) for norm in _norms(network)]
    for norm, seen in observed:
        norm.observer = seen.add
    try:
        run()
    finally:
        for norm, _ in observed:
            norm.observer = None
    measured = [(norm, seen) for norm, seen in observed if seen.count]
    for norm, seen in measured:
        _restate(norm, *seen.moments())
    return len(measured)


class _Sums:
    """Of each channel, over all places of all pictures."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, np.zeros(1), np.zeros(1)

    def add(self, inputs: tf.Tensor) -> None:
        values = inputs.numpy().reshape(-1, inputs.shape[-1]).astype(np.float64)
        self.count += len(values)
        self.total = self.total + values.sum(axis=0)
        self.squares = self.squares + (values**2).sum(axis=0)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self.total / self.count
        return mean, np.maximum(self.squares / self.count - mean**2, 0.0)


def _norms(network: tf_keras.Model) -> list[FreezableBatchNorm]:
    """Those that can take other statistics: they have a scale and an offset to make up for it."""
    found = (part for part in network.submodules if isinstance(part, FreezableBatchNorm))
    return [norm for norm in found if norm.scale and norm.center]


def _restate(norm: FreezableBatchNorm, mean: np.ndarray, variance: np.ndarray) -> None:
    old_mean, old_variance = (
        norm.moving_mean.numpy().astype(float),
        norm.moving_variance.numpy().astype(float),
    )
    slope = norm.gamma.numpy() / np.sqrt(old_variance + norm.epsilon)
    norm.beta.assign(norm.beta.numpy() + slope * (mean - old_mean))
    norm.gamma.assign(slope * np.sqrt(variance + norm.epsilon))
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
