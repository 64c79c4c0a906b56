"""A training image with its objects, and how these follow the image."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from odflow.training.detection.boxes import area


class Sample(NamedTuple):
    """One training image and the N objects in it.

    Attributes:
        image: (height, width, 3) uint8 or float32, RGB 0 to 255.
        boxes_yxyx: (N, 4) float32, of the image's height and width.
        classes: (N,) int64 ids of the label map.
        weights: (N,) float32, how much each object counts; None: all 1.
        masks: (N, height, width) uint8, 0 or 1; None where masks are not read.
        keypoints: (N, K, 2) float32, y x of the image's height and width, NaN for a
            keypoint that is not there; None where keypoints are not read.
        visibilities: (N, K) bool, whether a keypoint is labelled; None without keypoints.
    """

    image: tf.Tensor
    boxes_yxyx: tf.Tensor
    classes: tf.Tensor
    weights: tf.Tensor | None = None
    masks: tf.Tensor | None = None
    keypoints: tf.Tensor | None = None
    visibilities: tf.Tensor | None = None

    def take(self, rows: tf.Tensor) -> Sample:
        """The sample with some of its objects, by their numbers (M,)."""
        objects = (None if value is None else tf.gather(value, rows) for value in self[1:])
        return Sample(self.image, *objects)


def seen_through(sample: Sample, window: tf.Tensor, *, clip: bool) -> Sample:
    """Say the objects in the height and width of a window of the image.

    Args:
        sample: its image and masks are already those of the window.
        window: (4,) float32, ymin xmin ymax xmax, shares of the image before.
        clip: cut boxes at the window, and forget keypoints beyond it.

    Returns:
        The sample with as many objects as before.
    """
    top_left, sides = window[:2], window[2:] - window[:2]
    boxes = (sample.boxes_yxyx - tf.tile(top_left, [2])) / tf.tile(sides, [2])
    keypoints = None if sample.keypoints is None else (sample.keypoints - top_left) / sides
    if clip:
        boxes = tf.clip_by_value(boxes, 0.0, 1.0)
        keypoints = None if keypoints is None else _inside(keypoints)
    return sample._replace(boxes_yxyx=boxes, keypoints=keypoints)


def padded(sample: Sample, before: tf.Tensor, after: tf.Tensor) -> Sample:
    """Put rows and columns of zeros around image and masks; boxes stay as they are.

    Args:
        sample: the image and its objects.
        before: (2,) int32, rows above and columns to the left.
        after: (2,) int32, rows below and columns to the right.
    """
    sides = tf.stack([before, after], 1)
    image = tf.pad(sample.image, tf.pad(sides, [[0, 1], [0, 0]]))
    masks = sample.masks
    if masks is not None:
        masks = tf.pad(masks, tf.pad(sides, [[1, 0], [0, 0]]))
    return sample._replace(image=tf.ensure_shape(image, [None, None, 3]), masks=masks)


def rows_inside(boxes_yxyx: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """The rows (M,) of the boxes (N, 4) that are not wholly outside a window (4,)."""
    within = (boxes_yxyx[:, :2] < window[2:]) & (boxes_yxyx[:, 2:] > window[:2])
    return tf.where(tf.reduce_all(within, 1))[:, 0]


def rows_covered(boxes_yxyx: tf.Tensor, window: tf.Tensor, share: float) -> tf.Tensor:
    """The rows (M,) of the boxes (N, 4) of whose area a window (4,) holds at least a share."""
    inside = tf.concat(
        [tf.maximum(boxes_yxyx[:, :2], window[:2]), tf.minimum(boxes_yxyx[:, 2:], window[2:])], 1
    )
    covered = area(inside) / area(boxes_yxyx)  # NaN, and so not kept, where a box has no area
    return tf.where((covered >= share) & tf.reduce_all(inside[:, :2] < inside[:, 2:], 1))[:, 0]


def _inside(keypoints: tf.Tensor) -> tf.Tensor:
    """Keypoints with NaN for those beyond the image."""
    there = tf.reduce_all((keypoints >= 0.0) & (keypoints <= 1.0), -1, keepdims=True)
    return tf.where(there, keypoints, float("nan"))
