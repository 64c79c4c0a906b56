"""Model Garden's RetinaNet task with the Object Detection API's data and losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.vision.configs import retinanet
from official.vision.losses import focal_loss
from official.vision.tasks.retinanet import RetinaNetTask

from odflow.training.network import build_network, flatten, retinanet_config
from odflow.training.settings import Losses, Settings

Terms = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


class DetectionTask(RetinaNetTask):
    """One training of one detector."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(retinanet.RetinaNetTask(model=retinanet_config(settings.model)))
        self.settings = settings

    def build_model(self) -> tf_keras.Model:
        """Build the network; batch norms stand still where the config says so."""
        network = build_network(self.settings.model)
        if self.settings.training.freeze_batch_norm:
            _freeze_batch_norms(network)
        return network

    def initialize(self, model: tf_keras.Model) -> None:
        """Nothing: weights are loaded before the trainer is made."""

    def build_losses(
        self, outputs: Mapping[str, Any], labels: Mapping[str, Any], aux_losses: Any = None
    ) -> Terms:
        """The API's SSD loss.

        Args:
            outputs: the network's maps, level name to (N, h, w, channels).
            labels: targets as `training_batches` gives them.
            aux_losses: the regularization terms.

        Returns:
            Four scalars: the whole loss, the weighted classification loss, the
            weighted localization loss, and these two together.
        """
        losses = self.settings.training.losses
        classes = self.settings.model.num_classes + 1
        classification = _classification(flatten(outputs["cls_outputs"], classes), labels, losses)
        localization = _localization(flatten(outputs["box_outputs"], 4), labels, losses)
        together = classification + localization
        regularization = tf.add_n(aux_losses) if aux_losses else 0.0
        return together + regularization, classification, localization, together


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


def _freeze_batch_norms(network: tf_keras.Model) -> None:
    for part in network.submodules:
        if isinstance(part, tf_keras.layers.BatchNormalization):
            part.trainable = False
