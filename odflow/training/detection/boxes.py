"""Boxes as tensors: overlaps, and the Faster R-CNN box coder.

All boxes are ymin xmin ymax xmax, in any one unit.
"""

from __future__ import annotations

import tensorflow as tf

EPSILON = 1e-8
"""Added to sides before they are divided, as the API does; boxes are shares of an image there."""


def encode_boxes(boxes: tf.Tensor, anchors: tf.Tensor, scales: tuple[float, ...]) -> tf.Tensor:
    """Say boxes as offsets from anchors: the Faster R-CNN box coding.

    Args:
        boxes: (..., 4) float32.
        anchors: (..., 4) float32, one for each box.
        scales: the coder's factors on y, x, height, width.

    Returns:
        (..., 4) float32: offset of the centre in y and x, logarithm of the height and of the width.
    """
    middle, sides = _middle_and_sides(boxes)
    anchor_middle, anchor_sides = _middle_and_sides(anchors)
    sides, anchor_sides = sides + EPSILON, anchor_sides + EPSILON
    offset = (middle - anchor_middle) / anchor_sides
    return tf.concat([offset, tf.math.log(sides / anchor_sides)], -1) * tf.constant(scales, tf.float32)


def decode_boxes(encodings: tf.Tensor, anchors: tf.Tensor, scales: tuple[float, ...]) -> tf.Tensor:
    """Undo the Faster R-CNN box coding.

    Args:
        encodings: (N, A, 4) float32: y x of the centre, height and width, encoded.
        anchors: (A, 4) float32.
        scales: the coder's factors on y, x, height, width.

    Returns:
        (N, A, 4) float32, in the anchors' unit.
    """
    middle, sides = _middle_and_sides(tf.convert_to_tensor(anchors))
    code = encodings / tf.constant(scales, tf.float32)
    centre = code[..., :2] * sides + middle
    half = tf.exp(code[..., 2:]) * sides / 2.0
    return tf.concat([centre - half, centre + half], axis=-1)


def pairwise_iou(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """The intersection over union of every box with every anchor.

    Args:
        boxes: (N, 4) float32.
        anchors: (A, 4) float32.

    Returns:
        (N, A) float32; 0 where nothing is shared.
    """
    return matched_iou(boxes[:, tf.newaxis], tf.convert_to_tensor(anchors)[tf.newaxis])


def matched_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """The intersection over union of boxes with others, one with one.

    Args:
        boxes: (..., 4) float32.
        others: of a shape that goes with it.

    Returns:
        (...) float32; 0 where nothing is shared.
    """
    shared, union = _shared_and_union(boxes, others)
    return tf.math.divide_no_nan(shared, union)


def generalized_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """The generalized intersection over union of boxes with others, one with one.

    Args:
        boxes: (..., 4) float32.
        others: (..., 4) float32.

    Returns:
        (...) float32, above -1, at most 1.
    """
    shared, union = _shared_and_union(boxes, others)
    hull = area(
        tf.concat(
            [tf.minimum(boxes[..., :2], others[..., :2]), tf.maximum(boxes[..., 2:], others[..., 2:])], -1
        )
    )
    return tf.math.divide_no_nan(shared, union) - tf.math.divide_no_nan(hull - union, hull)


def area(boxes: tf.Tensor) -> tf.Tensor:
    """The areas (...) of boxes (..., 4); 0 for a box that ends before it starts."""
    sides = tf.nn.relu(boxes[..., 2:] - boxes[..., :2])
    return sides[..., 0] * sides[..., 1]


def _shared_and_union(boxes: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # Coordinate by coordinate: a last axis of 2 or 4 costs several times as much.
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    other_top, other_left, other_bottom, other_right = tf.unstack(others, axis=-1)
    height = tf.nn.relu(tf.minimum(bottom, other_bottom) - tf.maximum(top, other_top))
    width = tf.nn.relu(tf.minimum(right, other_right) - tf.maximum(left, other_left))
    shared = height * width
    areas = (bottom - top) * (right - left), (other_bottom - other_top) * (other_right - other_left)
    return shared, areas[0] + areas[1] - shared


def _middle_and_sides(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides / 2.0, sides
