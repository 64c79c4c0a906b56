"""From what the first stage says to the proposals that the second stage sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from odflow.odapi import tensor_names
from odflow.training.detection.boxes import decode_boxes, encode_boxes, matched_iou
from odflow.training.detection.post_processing import suppress
from odflow.training.faster_rcnn.settings import FirstStage, SecondStage

SCALES = (10.0, 10.0, 5.0, 5.0)
"""The box coder's factors on y, x, height and width, in both stages."""

MATCHED = 0.5
"""Least IoU of a proposal that stands for a box; below it is background."""


def propose(
    encodings: tf.Tensor,
    logits: tf.Tensor,
    anchors: tf.Tensor,
    allowed: tf.Tensor,
    window: tf.Tensor,
    first: FirstStage,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decode, suppress and clip.

    Args:
        encodings: (N, A, 4).
        logits: (N, A, 2) of background and object.
        anchors: (A, 4), pixels.
        allowed: (A,) bool: anchors that may become proposals.
        window: (4,) or (N, 4), pixels: the picture in the padded input, which proposals are clipped to.
        first: how.

    Returns:
        boxes (N, P, 4), pixels; scores (N, P), falling; found (N, P), false where a row is
        padding. Nothing of this has a gradient.
    """
    boxes = decode_boxes(tf.stop_gradient(encodings), anchors, SCALES)
    scores = tf.where(allowed, tf.nn.softmax(tf.stop_gradient(logits))[..., 1], tf.float32.min)
    kept = suppress(boxes, scores[..., tf.newaxis], first.suppression, window)
    found = tf.sequence_mask(kept[tensor_names.COUNT], first.suppression.max_total)
    return kept[tensor_names.BOXES], kept[tensor_names.SCORES], found


def sample(
    positive: tf.Tensor, negative: tf.Tensor, count: int, fraction: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw examples at random, few positives and as many negatives as there is room for.

    Args:
        positive: (..., A) bool.
        negative: (..., A) bool.
        count: how many to draw.
        fraction: share of positives among them, at most.

    Returns:
        rows (..., M) int32 and drawn (..., M) bool, with M the lesser of `count` and A;
        rows that are not drawn fill up.
    """
    total = int(positive.shape[-1])
    chance = tf.random.uniform(tf.shape(positive))
    keys = tf.where(positive, chance, -1.0)
    most = min(int(count * fraction), total)
    # The least key of the positives that are drawn; with fewer of them all are.
    least = tf.math.top_k(keys, most).values[..., -1:] if most else tf.ones_like(keys[..., :1])
    first = positive & (keys >= least)
    keys = tf.where(first, 2.0, tf.where(negative, chance, -1.0))
    values, rows = tf.math.top_k(keys, min(count, total))
    return rows, values >= 0.0


class Assigned(NamedTuple):
    """Proposals and what they are to answer.

    Attributes:
        boxes: (N, P, 4), pixels.
        used: (N, P) float32: 1 where the losses see the proposal.
        rows: (N, P) int32: the annotated box that a proposal stands for.
        classes: (N, P) int32; 0 for background.
        encodings: (N, P, 4): the box, as offsets from the proposal.
        weights: (N, P): of the annotated box; 1 for background.
    """

    boxes: tf.Tensor
    used: tf.Tensor
    rows: tf.Tensor
    classes: tf.Tensor
    encodings: tf.Tensor
    weights: tf.Tensor


def assign(
    boxes: tf.Tensor, found: tf.Tensor, labels: Mapping[str, tf.Tensor], second: SecondStage
) -> Assigned:
    """Match proposals with annotated boxes, and draw those that the losses see.

    Args:
        boxes: (N, P, 4), pixels.
        found: (N, P) bool.
        labels: `boxes` (N, B, 4), pixels, `classes` (N, B) int32 and `weights` (N, B) of
            the annotated boxes, padded with zeros.
        second: how many.
    """
    overlap = matched_iou(boxes[:, :, tf.newaxis], labels["boxes"][:, tf.newaxis])
    rows = tf.argmax(overlap, axis=2, output_type=tf.int32)
    positive = tf.reduce_max(overlap, axis=2) >= MATCHED
    weights = tf.where(positive, tf.gather(labels["weights"], rows, batch_dims=1), 1.0)
    candidate = found & (weights > 0.0)
    drawn, used = sample(
        candidate & positive, candidate & ~positive, second.batch_size, second.positive_fraction
    )
    boxes, rows, positive, weights = (
        tf.gather(each, drawn, batch_dims=1) for each in (boxes, rows, positive, weights)
    )
    wanted = tf.gather(labels["boxes"], rows, batch_dims=1)
    return Assigned(
        boxes=boxes,
        used=tf.cast(used, tf.float32),
        rows=rows,
        classes=tf.where(positive, tf.gather(labels["classes"], rows, batch_dims=1), 0),
        encodings=tf.where(positive[..., tf.newaxis], encode_boxes(wanted, boxes, SCALES), 0.0),
        weights=weights,
    )
