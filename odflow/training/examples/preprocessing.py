"""From pixels to the network's input: one code for training and for the exported graph."""

from __future__ import annotations

import tensorflow as tf

from odflow.training.settings import Normalization, Pixels, Resizer


def preprocess(
    images: tf.Tensor, resizer: Resizer, normalization: Pixels, *, padded: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
    """Normalise and resize images of one size.

    The Object Detection API resizes with TensorFlow's legacy bilinear kernel (corners
    not aligned, no half-pixel centres); so does this. Whether it normalises before or
    after shows in the padding alone.

    Args:
        images: (N, height, width, 3), any numeric type, RGB 0 to 255.
        resizer: to which size.
        normalization: how pixels become numbers.
        padded: False leaves `keep_aspect_ratio` images as large as they become.

    Returns:
        inputs: (N, H, W, 3) float32, the network's input size; below and to the
            right of the picture the padding where `keep_aspect_ratio` leaves room.
        shape: (2,) float32: height and width in pixels that the picture takes of that.
    """
    size = _picture_size(tf.shape(images)[1:3], resizer)
    images = tf.cast(images, tf.float32)
    resized = tf.compat.v1.image.resize(images, size, method="bilinear", align_corners=False)
    # Normalised when it is small already: the same numbers for less work.
    inputs, shape = _normalise(resized, normalization), tf.cast(size, tf.float32)
    if not padded and resizer.min_dimension is not None:
        return inputs, shape
    inputs = _pad(inputs, resizer, _padding(resizer, normalization))
    return tf.ensure_shape(inputs, [None, resizer.height, resizer.width, 3]), shape


def _normalise(images: tf.Tensor, normalization: Pixels) -> tf.Tensor:
    if normalization is None:
        return images * (2.0 / 255.0) - 1.0
    if not isinstance(normalization, Normalization):
        return images - tf.constant(normalization, tf.float32)
    ordered = tf.reverse(images, [-1]) if normalization.bgr else images
    return (ordered - tf.constant(normalization.means)) / tf.constant(normalization.deviations)


def _picture_size(size: tf.Tensor, resizer: Resizer) -> tf.Tensor:
    """The (2,) int32 height and width to which a picture of `size` is brought."""
    if resizer.min_dimension is None:
        return tf.constant([resizer.height, resizer.width], tf.int32)
    sides = tf.cast(size, tf.float32)
    large = tf.round(sides * (resizer.min_dimension / tf.reduce_min(sides)))
    small = tf.round(sides * (resizer.height / tf.reduce_max(sides)))
    wanted = tf.where(tf.reduce_max(large) > resizer.height, small, large)
    return tf.maximum(tf.cast(wanted, tf.int32), 1)


def _padding(resizer: Resizer, normalization: Pixels) -> tf.Tensor:
    """The (3,) float32 that the room beside a picture is filled with."""
    value = tf.constant(resizer.pad_value, tf.float32)
    if isinstance(normalization, Normalization) and normalization.padding_too:
        return _normalise(value, normalization)
    return value


def _pad(images: tf.Tensor, resizer: Resizer, value: tf.Tensor) -> tf.Tensor:
    if resizer.min_dimension is None:
        return images
    # Zero where the picture is to go, so that adding what is padded with zeros fills the rest.
    padded = tf.image.pad_to_bounding_box(images - value, 0, 0, resizer.height, resizer.width)
    return padded + value
