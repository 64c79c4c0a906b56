"""The losses of the Object Detection API's single-shot detectors."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from official.vision.losses import focal_loss

from odflow.training.ssd.settings import Losses


def ssd_losses(
    encodings: tf.Tensor, logits: tf.Tensor, labels: Mapping[str, tf.Tensor], losses: Losses
) -> dict[str, tf.Tensor]:
    """The terms of the loss, weighted.

    Args:
        encodings: (N, anchors, 4) float32: encoded y x height width.
        logits: (N, anchors, num_classes + 1) float32; slot 0 is the background.
        labels: targets as `targets.Targets` gives them, batched.
        losses: what they are made of.

    Returns:
        `classification_loss` and `localization_loss`, scalars.
    """
    return {
        "classification_loss": _classification(logits, labels, losses),
        "localization_loss": _localization(encodings, labels, losses),
    }


def _matches(labels: Mapping[str, tf.Tensor], losses: Losses) -> tf.Tensor:
    """What the losses are divided by: the positive anchors of the batch, at least 1."""
    return tf.maximum(tf.reduce_sum(labels["box_weights"]), 1.0) if losses.by_matches else 1.0


def _classification(logits: tf.Tensor, labels: Mapping[str, tf.Tensor], losses: Losses) -> tf.Tensor:
    wanted = tf.one_hot(labels["classes"], logits.shape[-1])
    # Model Garden always weighs by alpha; half and half, doubled, is no weighing.
    alpha, factor = (losses.focal_alpha, 1.0) if losses.focal_alpha is not None else (0.5, 2.0)
    focal = focal_loss.FocalLoss(alpha, losses.focal_gamma, reduction=tf_keras.losses.Reduction.SUM)
    total = factor * focal(wanted, logits, sample_weight=labels["class_weights"][..., tf.newaxis])
    return losses.classification_weight * total / _matches(labels, losses)


def _localization(encodings: tf.Tensor, labels: Mapping[str, tf.Tensor], losses: Losses) -> tf.Tensor:
    error = tf.abs(encodings - labels["encodings"])
    delta = losses.smooth_l1_delta
    smooth = tf.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2)
    total = tf.reduce_sum(tf.reduce_sum(smooth, -1) * labels["box_weights"])
    code_size = 4.0 if losses.by_code_size else 1.0
    return losses.localization_weight * total / (_matches(labels, losses) * code_size)
