"""From pixels to the network's input: one code for training and for the exported graph."""

from __future__ import annotations

import tensorflow as tf

from odflow.training.settings import Resizer


def preprocess(
    images: tf.Tensor, resizer: Resizer, pixel_means: tuple[float, float, float] | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Normalise and resize images of one size.

    The Object Detection API normalises first and resizes with TensorFlow's legacy
    bilinear kernel (corners not aligned, no half-pixel centres); so does this.

    Args:
        images: (N, height, width, 3), any numeric type, RGB 0 to 255.
        resizer: to which size.
        pixel_means: None maps pixels to -1..1; three numbers are subtracted from red, green and blue.

    Returns:
        inputs: (N, H, W, 3) float32, the network's input size; below and to the
            right of the picture zeros where `keep_aspect_ratio` leaves room.
        shape: (2,) float32: height and width in pixels that the picture takes of that.
    """
    normalised = _normalise(tf.cast(images, tf.float32), pixel_means)
    height, width = resizer.height, resizer.width
    size = _picture_size(tf.shape(images)[1:3], resizer)
    resized = tf.compat.v1.image.resize(normalised, size, method="bilinear", align_corners=False)
    padded = tf.image.pad_to_bounding_box(resized, 0, 0, height, width)
    return tf.ensure_shape(padded, [None, height, width, 3]), tf.cast(size, tf.float32)


def _normalise(images: tf.Tensor, means: tuple[float, float, float] | None) -> tf.Tensor:
    if means is None:
        return images * (2.0 / 255.0) - 1.0
    return images - tf.constant(means, tf.float32)


def _picture_size(size: tf.Tensor, resizer: Resizer) -> tf.Tensor:
    """The (2,) int32 height and width to which a picture of `size` is brought."""
    if resizer.min_dimension is None:
        return tf.constant([resizer.height, resizer.width], tf.int32)
    sides = tf.cast(size, tf.float32)
    by_shorter = resizer.min_dimension / tf.reduce_min(sides)
    by_longer = resizer.height / tf.reduce_max(sides)
    wanted = tf.cast(tf.round(sides * tf.minimum(by_shorter, by_longer)), tf.int32)
    return tf.clip_by_value(wanted, 1, resizer.height)
