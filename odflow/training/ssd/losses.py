"""The loss of the Object Detection API's single-shot detectors."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from odflow.training.detection.losses import Decode, classification_loss, hard_examples, localization_loss
from odflow.training.ssd.settings import Losses


def ssd_losses(
    encodings: tf.Tensor, logits: tf.Tensor, labels: Mapping[str, tf.Tensor], losses: Losses, decode: Decode
) -> dict[str, tf.Tensor]:
    """The terms of the loss, weighted.

    Args:
        encodings: (N, anchors, 4) float32: encoded y x height width.
        logits: (N, anchors, slots) float32; slot 0 is the background where the model has one.
        labels: targets as `targets.Targets` gives them, batched.
        losses: what they are made of.
        decode: from encodings to boxes.

    Returns:
        `classification_loss` and `localization_loss`, scalars.
    """
    classification = classification_loss(
        logits,
        _targets(labels["classes"], logits.shape[-1], losses),
        labels["class_weights"],
        losses.classification,
    )
    localization = localization_loss(
        encodings, labels["encodings"], labels["box_weights"], losses.localization, decode
    )
    if losses.miner is not None:
        kept = hard_examples(
            _deciding(classification, localization, losses),
            decode(encodings),
            labels["matches"],
            losses.miner,
        )
        classification, localization = classification * kept, localization * kept
    matches = normalizer(labels, losses)
    code_size = 4.0 if losses.by_code_size else 1.0
    return {
        "classification_loss": losses.classification_weight * tf.reduce_sum(classification) / matches,
        "localization_loss": losses.localization_weight * tf.reduce_sum(localization) / (matches * code_size),
    }


def normalizer(labels: Mapping[str, tf.Tensor], losses: Losses) -> tf.Tensor:
    """What the losses are divided by: the weights of the batch's positive anchors, at least 1.

    Args:
        labels: targets, batched.
        losses: whether they are divided at all.

    Returns:
        A scalar.
    """
    if not losses.by_matches:
        return tf.constant(1.0)
    return tf.maximum(tf.reduce_sum(labels["box_weights"]), 1.0)


def _targets(slots: tf.Tensor, count: int, losses: Losses) -> tf.Tensor:
    """One-hot classes; those of the background as the config wants them."""
    return tf.one_hot(slots if losses.background_as_zeros else tf.maximum(slots, 0), count)


def _deciding(classification: tf.Tensor, localization: tf.Tensor, losses: Losses) -> tf.Tensor:
    """The loss by which anchors are mined."""
    assert losses.miner is not None
    if losses.miner.by == "classification":
        return classification
    if losses.miner.by == "localization":
        return localization
    return losses.classification_weight * classification + losses.localization_weight * localization
