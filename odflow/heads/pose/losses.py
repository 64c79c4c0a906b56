"""How far heatmaps are from what they shall be."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def heatmap_loss(
    outputs: Sequence[tf.Tensor],
    targets: tf.Tensor,
    labelled: tf.Tensor | None = None,
    *,
    foreground_weight: float = 81.0,
) -> tf.Tensor:
    """Squared error of each example, summed over the stacks.

    Args:
        outputs: of each stack (N, h, w, K) float32.
        targets: (N, h, w, K) float32.
        labelled: (N, K) float32, 1 for the joints that count and 0 for those that do not; None: all do.
        foreground_weight: added to the weight 1 of a cell whose target is positive.

    Returns:
        (N,) float32: the weighted squares' mean over all K * h * w cells, those of joints that
        do not count among them as zeros, so that no joint counts more for others' absence.
    """
    weights = 1.0 + foreground_weight * tf.cast(targets > 0.0, tf.float32)
    if labelled is not None:
        weights *= labelled[:, tf.newaxis, tf.newaxis, :]
    errors = [tf.reduce_mean(weights * tf.square(maps - targets), axis=[1, 2, 3]) for maps in outputs]
    return tf.add_n(errors)
