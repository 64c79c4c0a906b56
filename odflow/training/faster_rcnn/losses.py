"""The losses of the Object Detection API's two-stage detectors.

Definitions: object_detection/meta_architectures/faster_rcnn_meta_arch.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from odflow.training.detection.losses import classification_loss, localization_loss
from odflow.training.faster_rcnn.proposals import Assigned
from odflow.training.faster_rcnn.settings import FirstStage, MaskHead, SecondStage
from odflow.training.settings import ClassificationLoss, LocalizationLoss

Terms = dict[str, tf.Tensor]

SMOOTH = LocalizationLoss("smooth_l1")
"""Of both stages."""


def proposal_losses(
    encodings: tf.Tensor, logits: tf.Tensor, labels: Mapping[str, tf.Tensor], first: FirstStage
) -> Terms:
    """The losses of the first stage, of the anchors that were drawn.

    Args:
        encodings: (N, A, 4) of all anchors.
        logits: (N, A, 2) of background and object.
        labels: as `targets.Targets` gives them, batched.
        first: their weights.
    """
    rows, drawn = labels["anchor_rows"], labels["anchor_drawn"]
    encodings, logits = (tf.gather(each, rows, batch_dims=1) for each in (encodings, logits))
    objects = tf.one_hot(labels["anchor_classes"], 2)
    location = localization_loss(
        encodings, labels["anchor_encodings"], drawn * labels["anchor_weights"], SMOOTH, _no_decoding
    )
    objectness = classification_loss(logits, objects, drawn, ClassificationLoss("weighted_softmax"))
    count = tf.maximum(tf.reduce_sum(drawn, axis=1), 1.0)
    return {
        "RPNLoss/localization_loss": first.localization_weight * _mean(location, count),
        "RPNLoss/objectness_loss": first.objectness_weight * _mean(objectness, count),
    }


def classifier_losses(
    encodings: tf.Tensor, logits: tf.Tensor, assigned: Assigned, second: SecondStage
) -> Terms:
    """The losses of the second stage.

    Args:
        encodings: (N, P, classes or 1, 4).
        logits: (N, P, classes + 1), background first.
        assigned: the proposals.
        second: kind and weights.
    """
    classes = tf.one_hot(assigned.classes, logits.shape[-1])
    positive = tf.cast(assigned.classes > 0, tf.float32)
    location = localization_loss(
        of_class(encodings, assigned.classes),
        assigned.encodings,
        assigned.used * assigned.weights * positive,
        SMOOTH,
        _no_decoding,
    )
    classification = classification_loss(logits, classes, assigned.used * assigned.weights, second.loss)
    count = tf.maximum(tf.reduce_sum(assigned.used, axis=1), 1.0)
    prefix = "BoxClassifierLoss"
    return {
        f"{prefix}/localization_loss": second.localization_weight * _mean(location, count),
        f"{prefix}/classification_loss": second.classification_weight * _mean(classification, count),
    }


def mask_loss(logits: tf.Tensor, targets: tf.Tensor, assigned: Assigned, head: MaskHead) -> Terms:
    """The loss of the third stage.

    Args:
        logits: (N, P, classes or 1, height, width).
        targets: (N, P, height, width), 0 to 1.
        assigned: the proposals.
        head: its weight.
    """
    own = of_class(logits, assigned.classes)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=own)
    positive = tf.cast(assigned.classes > 0, tf.float32)
    weights = (assigned.used * assigned.weights * positive)[..., tf.newaxis, tf.newaxis]
    cells = tf.maximum(tf.reduce_sum(weights) * head.height * head.width, 1.0)
    return {"BoxClassifierLoss/mask_loss": head.weight * tf.reduce_sum(entropy * weights) / cells}


def of_class(predictions: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Of (N, P, classes or 1, ...) the (N, P, ...) of each proposal's class; of the first for background."""
    if predictions.shape[2] == 1:
        return predictions[:, :, 0]
    return tf.gather(predictions, tf.maximum(classes - 1, 0), axis=2, batch_dims=2)


def _mean(losses: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Each image's sum over what was drawn in it, then the mean over the images."""
    return tf.reduce_mean(tf.reduce_sum(losses, axis=1) / counts)


def _no_decoding(encodings: tf.Tensor) -> tf.Tensor:
    return encodings
