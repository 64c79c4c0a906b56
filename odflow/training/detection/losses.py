"""The Object Detection API's losses, anchor by anchor.

Definitions: object_detection/core/losses.py.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from odflow.training.detection.boxes import generalized_iou, matched_iou
from odflow.training.settings import ClassificationLoss, HardExampleMiner, LocalizationLoss

Decode = Callable[[tf.Tensor], tf.Tensor]
"""From box codes (..., A, 4) to boxes (..., A, 4), ymin xmin ymax xmax."""


def classification_loss(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, loss: ClassificationLoss
) -> tf.Tensor:
    """The classification loss of every anchor.

    Args:
        logits: (N, A, slots) float32.
        targets: (N, A, slots) float32, 0 or 1 for each class (`weighted_logits_softmax`: logits).
        weights: (N, A) float32.
        loss: which one.

    Returns:
        (N, A) float32, summed over the classes.
    """
    return CLASSIFICATION[loss.kind](logits, targets, loss) * weights


def localization_loss(
    codes: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, loss: LocalizationLoss, decode: Decode
) -> tf.Tensor:
    """The localization loss of every anchor.

    Args:
        codes: (N, A, 4) float32, predicted box codes.
        targets: (N, A, 4) float32, wanted box codes.
        weights: (N, A) float32.
        loss: which one.
        decode: for the losses that compare boxes and not their codes.

    Returns:
        (N, A) float32, summed over the numbers of a code.
    """
    if loss.kind in OVERLAPS:
        return (1.0 - OVERLAPS[loss.kind](decode(codes), decode(targets))) * weights
    if loss.kind == "l2":
        return tf.reduce_sum(0.5 * ((codes - targets) * weights[..., tf.newaxis]) ** 2, -1)
    error = tf.abs(codes - targets)
    if loss.kind == "smooth_l1":
        error = tf.where(error <= loss.delta, 0.5 * error**2, loss.delta * (error - 0.5 * loss.delta))
    return tf.reduce_sum(error, -1) * weights


def hard_examples(
    losses: tf.Tensor, boxes: tf.Tensor, matches: tf.Tensor, miner: HardExampleMiner
) -> tf.Tensor:
    """Choose the anchors with the highest losses, none of which overlaps a chosen one too much.

    Args:
        losses: (N, A) float32, by which the miner chooses.
        boxes: (N, A, 4) float32, decoded predictions.
        matches: (N, A) int32: the box of a positive anchor, -1 background, -2 ignored.
        miner: how many.

    Returns:
        (N, A) float32, 1 for the chosen, without gradient.
    """
    count = tf.shape(losses)[1]

    def choose(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        loss, box, match = image
        chosen = tf.image.non_max_suppression(box, loss, miner.examples or count, miner.iou_threshold)
        if miner.max_negatives_per_positive:
            chosen = _with_few_negatives(chosen, tf.gather(match, chosen), miner)
        return tf.scatter_nd(chosen[:, tf.newaxis], tf.ones_like(chosen, tf.float32), [count])

    kept = tf.map_fn(choose, (losses, boxes, matches), fn_output_signature=tf.float32)
    return tf.ensure_shape(tf.stop_gradient(kept), losses.shape)


def _with_few_negatives(chosen: tf.Tensor, matches: tf.Tensor, miner: HardExampleMiner) -> tf.Tensor:
    """All chosen positives, and the hardest of the others until there are enough negatives."""
    positives = matches >= 0
    wanted = miner.max_negatives_per_positive * tf.reduce_sum(tf.cast(positives, tf.int32))
    wanted = tf.maximum(wanted, miner.min_negatives_per_image)
    early = tf.cumsum(tf.cast(matches == -1, tf.int32)) <= wanted
    return tf.boolean_mask(chosen, positives | early)


def _sigmoid(logits: tf.Tensor, targets: tf.Tensor, loss: ClassificationLoss) -> tf.Tensor:
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), -1)


def _focal(logits: tf.Tensor, targets: tf.Tensor, loss: ClassificationLoss) -> tf.Tensor:
    # With targets of 0 and 1, `wrong` is the logit of the wrong answer: the cross-entropy is
    # softplus(wrong), and 1 - p_t is sigmoid(wrong), whose logarithm never overflows.
    wrong = logits * (1.0 - 2.0 * targets)
    entropy = tf.nn.softplus(wrong)
    weighed = tf.exp(loss.gamma * (wrong - entropy)) * entropy
    if loss.alpha is not None:
        weighed *= 1.0 - loss.alpha + targets * (2.0 * loss.alpha - 1.0)
    return tf.reduce_sum(weighed, -1)


def _softmax(logits: tf.Tensor, targets: tf.Tensor, loss: ClassificationLoss) -> tf.Tensor:
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits / loss.logit_scale)


def _softmax_of_logits(logits: tf.Tensor, targets: tf.Tensor, loss: ClassificationLoss) -> tf.Tensor:
    return _softmax(logits, tf.nn.softmax(targets / loss.logit_scale), loss)


def _bootstrapped(logits: tf.Tensor, targets: tf.Tensor, loss: ClassificationLoss) -> tf.Tensor:
    """Cross-entropy against a mix of what is annotated and what is believed."""
    assert loss.alpha is not None
    belief = tf.sigmoid(logits)
    if loss.hard_bootstrap:
        belief = tf.cast(belief > 0.5, tf.float32)
    return _sigmoid(logits, loss.alpha * targets + (1.0 - loss.alpha) * belief, loss)


CLASSIFICATION = {
    "weighted_sigmoid": _sigmoid,
    "weighted_sigmoid_focal": _focal,
    "weighted_softmax": _softmax,
    "weighted_logits_softmax": _softmax_of_logits,
    "bootstrapped_sigmoid": _bootstrapped,
}
OVERLAPS = {"iou": matched_iou, "giou": generalized_iou}
