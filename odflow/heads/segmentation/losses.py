"""How far logits are from a mask, as Model Garden has it: losses/segmentation_losses.py there."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from odflow.formats.masks import IGNORE


def pixel_losses(logits: tf.Tensor, masks: tf.Tensor, class_weights: Sequence[float]) -> tf.Tensor:
    """The cross entropy of each pixel.

    Args:
        logits: (N, h, w, C) float32; brought to the masks' size, bilinear.
        masks: (N, height, width) uint8, class numbers, 255 where ignored.
        class_weights: factor of the pixels of each of the C classes.

    Returns:
        (N, height, width) float32; 0 where ignored.
    """
    logits = tf.image.resize(logits, tf.shape(masks)[1:3])
    counted = masks != IGNORE
    classes = tf.where(counted, tf.cast(masks, tf.int32), 0)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    weights = tf.gather(tf.constant(class_weights, tf.float32), classes)
    return tf.where(counted, entropy * weights, 0.0)


def counted_pixels(masks: tf.Tensor) -> tf.Tensor:
    """How many pixels are not ignored, float32 scalar."""
    return tf.reduce_sum(tf.cast(masks != IGNORE, tf.float32))
