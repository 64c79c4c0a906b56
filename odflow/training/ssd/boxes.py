"""The Faster R-CNN box coder."""

from __future__ import annotations

import tensorflow as tf


def decode_boxes(encodings: tf.Tensor, anchors: tf.Tensor, scales: tuple[float, ...]) -> tf.Tensor:
    """Undo the Faster R-CNN box coding.

    Args:
        encodings: (N, A, 4) float32: y x of the centre, height and width, encoded.
        anchors: (A, 4) float32, ymin xmin ymax xmax, pixels.
        scales: the coder's factors on y, x, height, width.

    Returns:
        (N, A, 4) float32, ymin xmin ymax xmax, pixels.
    """
    sides = anchors[:, 2:] - anchors[:, :2]
    middle = anchors[:, :2] + sides / 2.0
    code = encodings / tf.constant(scales, tf.float32)
    centre = code[..., :2] * sides + middle
    half = tf.exp(code[..., 2:]) * sides / 2.0
    return tf.concat([centre - half, centre + half], axis=-1)
