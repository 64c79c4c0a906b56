"""From logits and boxes to detections, number for number as the Object Detection API does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from odflow.odapi import tensor_names
from odflow.training.settings import PostProcessing

PADDING_CLASS = 1.0
"""What `detection_classes` holds after the last detection: the API adds 1 to its zeros."""

Fields = Mapping[str, tf.Tensor]


def convert_scores(logits: tf.Tensor, post: PostProcessing) -> tf.Tensor:
    """Turn logits into scores, as `score_converter` and `logit_scale` say.

    Args:
        logits: (..., classes) float32, with the background's slot where there is one.
        post: which converter.

    Returns:
        Of the same shape.
    """
    scaled = logits if post.logit_scale == 1.0 else logits / post.logit_scale
    return CONVERTERS[post.score_converter](scaled)


CONVERTERS = {"identity": tf.identity, "sigmoid": tf.sigmoid, "softmax": tf.nn.softmax}


class AnchorPredictions(NamedTuple):
    """What a network says of each of its anchors.

    Attributes:
        encodings: (N, A, 4) float32, as the Faster R-CNN box coder has them.
        scores: (N, A, classes, or one more: the background first) float32.
        anchors: (A, 4) float32, ymin xmin ymax xmax of the network's input.
        box_scales: the coder's factors on y, x, height, width.
    """

    encodings: tf.Tensor
    scores: tf.Tensor
    anchors: tf.Tensor
    box_scales: tuple[float, float, float, float]


def detections(
    boxes_yxyx: tf.Tensor, scores: tf.Tensor, num_classes: int, post: PostProcessing, window: tf.Tensor
) -> dict[str, tf.Tensor]:
    """All that the API exports of a detector with anchors.

    Args:
        boxes_yxyx: (N, A, 4) float32.
        scores: (N, A, classes, or one more: the background first) float32.
        num_classes: without the background.
        post: thresholds, limits and kind of the suppression.
        window: see `suppress`.

    Returns:
        What `suppress` gives; of each detection detection_multiclass_scores and
        detection_anchor_indices; raw_detection_boxes and raw_detection_scores.
    """
    rows = tf.range(tf.shape(scores)[1])
    fields = {
        tensor_names.MULTICLASS_SCORES: scores,
        tensor_names.ANCHORS: tf.broadcast_to(tf.cast(rows, tf.float32), tf.shape(scores)[:2]),
    }
    found = suppress(boxes_yxyx, scores[..., -num_classes:], post, window, fields)
    return {**found, tensor_names.RAW_BOXES: boxes_yxyx, tensor_names.RAW_SCORES: scores}


def suppress(
    boxes_yxyx: tf.Tensor,
    scores: tf.Tensor,
    post: PostProcessing,
    window: tf.Tensor | None = None,
    fields: Fields | None = None,
) -> dict[str, tf.Tensor]:
    """Keep the best boxes of each class, then the best of all, and clip these to a window.

    A box goes when its IoU with a better one of its class is above the threshold.
    Boxes are compared as they come, and clipped after; one that then has no area is no
    detection. Of equal scores the lower class comes first, within it the lower row.

    Args:
        boxes_yxyx: (N, A, 4) float32, or (N, A, classes, 4) where each class has a box of its own.
        scores: (N, A, classes) float32, without the background; what scores no more
            than the threshold (padding, say) is no candidate.
        post: thresholds, limits and kind of the suppression.
        window: (4,) or (N, 4) float32, ymin xmin ymax xmax of what is picture, in the units
            of the boxes; None leaves the boxes as they are.
        fields: (N, A, ...) float32, by the names under which detections get theirs.

    Returns:
        detection_boxes (N, M, 4), of the window's height and width where
        `change_coordinate_frame` is set; detection_scores (N, M), falling;
        detection_classes (N, M), ids from 1; num_detections (N,); the fields
        (N, M, ...); all float32. After the last detection zeros, and class 1.
    """
    boxes = boxes_yxyx[:, :, tf.newaxis] if boxes_yxyx.shape.rank == 3 else boxes_yxyx
    windows = None if window is None else tf.broadcast_to(window, [tf.shape(scores)[0], 4])
    chosen = _choose(boxes, scores, windows, post)
    found = tf.sequence_mask(chosen.count, post.max_total)
    result = {
        tensor_names.BOXES: _framed(_boxes_of(boxes, chosen), windows, post.change_coordinate_frame),
        tensor_names.SCORES: chosen.scores,
        **{name: tf.gather(field, chosen.rows, batch_dims=1) for name, field in (fields or {}).items()},
    }
    return {
        **{name: _blank(value, found) for name, value in result.items()},
        tensor_names.CLASSES: tf.where(found, tf.cast(chosen.classes, tf.float32) + 1.0, PADDING_CLASS),
        tensor_names.COUNT: tf.cast(chosen.count, tf.float32),
    }


class Chosen(NamedTuple):
    """Which boxes are detections: (M,) each, or (N, M), the best first; `count` of them are valid."""

    rows: tf.Tensor
    classes: tf.Tensor
    scores: tf.Tensor
    count: tf.Tensor


def _choose(boxes: tf.Tensor, scores: tf.Tensor, windows: tf.Tensor | None, post: PostProcessing) -> Chosen:
    choose = _choose_once if post.class_agnostic else _choose_by_class
    whole = tf.constant([-1.0, -1.0, 1.0, 1.0]) * float("inf")
    numbers, floats = tf.TensorSpec([post.max_total], tf.int32), tf.TensorSpec([post.max_total], tf.float32)
    found: Chosen = tf.map_fn(
        lambda image: choose(image[0], image[1], whole if windows is None else image[2], post),
        (boxes, scores) if windows is None else (boxes, scores, windows),
        fn_output_signature=Chosen(numbers, numbers, floats, tf.TensorSpec([], tf.int32)),
    )
    return found


def _choose_once(boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, post: PostProcessing) -> Chosen:
    """Let each box stand for its best class, and suppress all classes together."""
    classes = tf.argmax(scores, axis=1, output_type=tf.int32)
    if boxes.shape[1] != 1:
        boxes = tf.gather(boxes, classes, axis=1, batch_dims=1)[:, tf.newaxis]
    peaks = tf.reduce_max(scores, axis=1, keepdims=True)
    found = _choose_by_class(boxes, peaks, window, post)
    return found._replace(classes=tf.gather(classes, found.rows))


def _choose_by_class(boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, post: PostProcessing) -> Chosen:
    """Look at the rows that hold the best scores, and at all rows only where these are too few.

    What becomes of a box hangs on better boxes alone: once the list is full, lower
    scores cannot change it. Sample configs let 12,804 boxes of 90 classes through
    (score_threshold 1e-8); a look at 1000 rows takes a seventh of the time.
    """
    rows = tf.shape(scores)[0]
    if scores.shape[0] is not None and scores.shape[0] <= _first_look(post):
        return _look(boxes, scores, window, tf.constant(post.score_threshold), post)
    peaks, best = tf.nn.top_k(tf.reduce_max(scores, axis=1), tf.minimum(_first_look(post), rows))
    # No row that is left out holds a score above the least of these peaks.
    threshold = tf.where(
        rows <= _first_look(post), post.score_threshold, tf.maximum(peaks[-1], post.score_threshold)
    )
    best = tf.sort(best)  # so that of equal scores the lower row stays first
    found = _look(tf.gather(boxes, best), tf.gather(scores, best), window, threshold, post)
    enough = (found.count == post.max_total) | (threshold <= post.score_threshold)
    return Chosen(
        *tf.cond(
            enough,
            lambda: found._replace(rows=tf.gather(best, found.rows)),
            lambda: _look(boxes, scores, window, tf.constant(post.score_threshold), post),
        )
    )


def _first_look(post: PostProcessing) -> int:
    return max(1000, 10 * post.max_total)


def _look(
    boxes: tf.Tensor, scores: tf.Tensor, window: tf.Tensor, threshold: tf.Tensor, post: PostProcessing
) -> Chosen:
    """Suppress class by class, then order what is left over all classes.

    Args:
        boxes: (A, 1 or classes, 4).
        scores: (A, classes).
        window: (4,).
        threshold: scores up to here are no candidates.
        post: limits.
    """
    number = scores.shape[1]
    of_class = tf.unstack(boxes, axis=1) if boxes.shape[1] != 1 else [boxes[:, 0]] * number
    at_most = post.max_total if post.class_agnostic else post.max_per_class
    kept = [
        tf.raw_ops.NonMaxSuppressionV5(
            boxes=own,
            scores=column,
            max_output_size=at_most,
            iou_threshold=post.iou_threshold,
            score_threshold=threshold,
            soft_nms_sigma=post.soft_nms_sigma,
            pad_to_max_output_size=True,
        )
        for own, column in zip(of_class, tf.unstack(tf.transpose(scores), number), strict=True)
    ]
    rows = tf.reshape(tf.stack([one.selected_indices for one in kept]), [-1])
    classes = tf.repeat(tf.range(number), at_most)
    left = tf.gather_nd(boxes, tf.stack([rows, classes if boxes.shape[1] != 1 else classes * 0], axis=1))
    valid = tf.sequence_mask(tf.stack([one.valid_outputs for one in kept]), at_most)
    valid = tf.reshape(valid, [-1]) & (_areas(_clipped(left, window)) > 0.0)
    scores = tf.where(valid, tf.reshape(tf.stack([one.selected_scores for one in kept]), [-1]), -1.0)
    return _best(Chosen(rows, classes, scores, tf.reduce_sum(tf.cast(valid, tf.int32))), post.max_total)


def _best(found: Chosen, most: int) -> Chosen:
    """The best over all classes; `top_k` puts the first of equals first."""
    here = int(found.scores.shape[0])
    scores, order = tf.nn.top_k(found.scores, min(most, here))
    room = [[0, max(0, most - here)]]
    return Chosen(
        tf.pad(tf.gather(found.rows, order), room),
        tf.pad(tf.gather(found.classes, order), room),
        tf.pad(scores, room),
        tf.minimum(found.count, most),
    )


def _boxes_of(boxes: tf.Tensor, chosen: Chosen) -> tf.Tensor:
    """The (N, M, 4) boxes of what was chosen."""
    rows = tf.gather(boxes, chosen.rows, batch_dims=1)
    if boxes.shape[2] == 1:
        return rows[:, :, 0]
    return tf.gather(rows, chosen.classes, axis=2, batch_dims=2)


def _framed(boxes: tf.Tensor, windows: tf.Tensor | None, change_frame: bool) -> tf.Tensor:
    """Clip (N, M, 4) boxes to their image's window, and say them in its height and width."""
    if windows is None:
        return boxes
    clipped = _clipped(boxes, windows[:, tf.newaxis])
    if not change_frame:
        return clipped
    corner, end = windows[:, tf.newaxis, :2], windows[:, tf.newaxis, 2:]
    return (clipped - tf.concat([corner, corner], -1)) / tf.concat([end - corner, end - corner], -1)


def _clipped(boxes: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    low, high = window[..., :2], window[..., 2:]
    return tf.clip_by_value(boxes, tf.concat([low, low], -1), tf.concat([high, high], -1))


def _areas(boxes: tf.Tensor) -> tf.Tensor:
    sides = boxes[..., 2:] - boxes[..., :2]
    return sides[..., 0] * sides[..., 1]


def _blank(values: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Zeros after the last detection."""
    mask = tf.reshape(found, tf.concat([tf.shape(found), tf.ones([values.shape.rank - 2], tf.int32)], 0))
    return tf.where(mask, values, 0.0)
