"""Cutting proposals out of feature maps, and out of masks."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from odflow.ops.anchors import Shape
from odflow.training.faster_rcnn.settings import Crop

CLASSIFIER_SIDE = 224.0
"""Side in pixels of a box that belongs to the map that a classifier of images would have used."""


def crop(
    maps: Sequence[tf.Tensor], boxes: tf.Tensor, input_size: Shape | tf.Tensor, settings: Crop
) -> tf.Tensor:
    """Cut boxes out of the map that suits their size, and pool what was cut out.

    Args:
        maps: (N, h, w, channels), finest first, of the whole input.
        boxes: (N, P, 4), ymin xmin ymax xmax, pixels of the input.
        input_size: height and width of the input in pixels.
        settings: size and pooling.

    Returns:
        (N * P, h, w, channels) float32.
    """
    sides = tf.cast(input_size, tf.float32)
    share = tf.reshape(boxes / tf.concat([sides, sides], 0), [-1, 4])
    images = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
    levels = tf.reshape(feature_levels(boxes, len(maps)), [-1])
    cut, places = [], []
    for level, each in enumerate(maps):
        place = tf.where(levels == level)[:, 0]
        picked = tf.gather(share, place), tf.gather(images, place)
        # The kernel knows no bfloat16.
        cut.append(
            tf.image.crop_and_resize(tf.cast(each, tf.float32), *picked, [settings.size, settings.size])
        )
        places.append(place)
    ordered = tf.gather(tf.concat(cut, 0), tf.argsort(tf.concat(places, 0)))
    ordered = tf.ensure_shape(ordered, [None, settings.size, settings.size, maps[0].shape[-1]])
    return tf.nn.max_pool2d(ordered, settings.pool_size, settings.pool_stride, "VALID")


def feature_levels(boxes: tf.Tensor, number: int) -> tf.Tensor:
    """Which of a number of maps each box (..., 4) in pixels is cut out of: (...) int32."""
    sides = boxes[..., 2:] - boxes[..., :2]
    side = tf.sqrt(tf.maximum(sides[..., 0] * sides[..., 1], 1.0))
    levels = tf.floor(tf.math.log(side / CLASSIFIER_SIDE) / tf.math.log(2.0)) + (number - 2)
    return tf.clip_by_value(tf.cast(levels, tf.int32), 0, number - 1)


def crop_masks(
    masks: tf.Tensor, masked: tf.Tensor, rows: tf.Tensor, boxes: tf.Tensor, size: Shape
) -> tf.Tensor:
    """What proposals would see of annotated masks.

    Args:
        masks: (N, B, s, s), each filling its box.
        masked: (N, B, 4): these boxes, pixels.
        rows: (N, P): the mask of each proposal.
        boxes: (N, P, 4): the proposals, pixels.
        size: rows and columns that come out.

    Returns:
        (N, P, rows, columns) float32, 0 to 1, without gradient.
    """
    count, side = tf.shape(masks)[1], masks.shape[2]
    frames = tf.gather(masked, rows, batch_dims=1)
    corners = tf.tile(frames[..., :2], [1, 1, 2])
    sides = tf.tile(frames[..., 2:] - frames[..., :2], [1, 1, 2])
    share = tf.math.divide_no_nan(boxes - corners, sides)
    flat = rows + count * tf.range(tf.shape(rows)[0])[:, tf.newaxis]
    cut = tf.image.crop_and_resize(
        tf.cast(tf.reshape(masks, [-1, side, side, 1]), tf.float32),
        tf.reshape(share, [-1, 4]),
        tf.reshape(flat, [-1]),
        size,
    )
    return tf.stop_gradient(tf.reshape(cut, [-1, tf.shape(rows)[1], *size]))
