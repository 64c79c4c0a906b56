"""What cells and images are taught: which classes they show."""

from __future__ import annotations

import tensorflow as tf

from odflow.heads.visibility.network import image_logits

CORE = 0.5
"""Share of a box's height and width, around its middle, that shows the object for certain."""


def image_loss(logits: tf.Tensor, visible: tf.Tensor) -> tf.Tensor:
    """Of each image the mean cross-entropy of its classes, each a question by itself.

    Args:
        logits: (N, h, w, classes) float32, of the cells.
        visible: (N, classes) float32, 0 or 1.

    Returns:
        (N,) float32.
    """
    entropies = tf.nn.sigmoid_cross_entropy_with_logits(visible, image_logits(logits))
    return tf.reduce_mean(entropies, axis=-1)


def cell_loss(logits: tf.Tensor, boxes_yxyx: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Of each image the mean cross-entropy where its classes are, and where they are not.

    Cells in the middle of a box show its class; cells outside of all boxes of a class do not show
    it; what lies between is not asked.

    Args:
        logits: (N, h, w, classes) float32.
        boxes_yxyx: (N, B, 4) float32, shares of the image.
        classes: (N, B, classes) float32, 1 for the class of the box; all 0 for no box.

    Returns:
        (N,) float32.
    """
    there = _covered(logits, boxes_yxyx, classes, CORE)
    nowhere = 1.0 - tf.maximum(there, _covered(logits, boxes_yxyx, classes, 1.0))
    entropies = tf.nn.sigmoid_cross_entropy_with_logits(there, logits)
    return _mean(entropies, there) + _mean(entropies, nowhere)


def _covered(logits: tf.Tensor, boxes_yxyx: tf.Tensor, classes: tf.Tensor, share: float) -> tf.Tensor:
    """(N, h, w, classes) float32: 1 for cells in this share of a box, or nearest to its middle."""
    low, high = boxes_yxyx[..., :2], boxes_yxyx[..., 2:]
    rows, columns = (
        _near((low + high)[..., axis] / 2, share * (high - low)[..., axis] / 2, tf.shape(logits)[axis + 1])
        for axis in (0, 1)
    )
    return tf.minimum(tf.einsum("nby,nbx,nbc->nyxc", rows, columns, classes), 1.0)


def _near(middles: tf.Tensor, reach: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """(N, B, cells) float32: 1 for cells whose middle is within reach (N, B), or that hold the middle."""
    count = tf.cast(cells, tf.float32)
    places = (tf.range(count) + 0.5) / count
    distances = tf.abs(places - middles[..., tf.newaxis])
    return tf.cast(distances <= tf.maximum(reach, 0.5 / count)[..., tf.newaxis], tf.float32)


def _mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """(N,) weighted means of all but the first axis; 0 where there is no weight."""
    axes = [1, 2, 3]
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights, axes), tf.reduce_sum(weights, axes))
