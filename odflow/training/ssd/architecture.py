"""A single-shot detector as training, evaluation and export see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.boxes import decode_boxes
from odflow.training.checkpoints import Parts
from odflow.training.post_processing import suppress
from odflow.training.preprocessing import preprocess
from odflow.training.settings import Settings
from odflow.training.ssd.losses import ssd_losses
from odflow.training.ssd.network import build_network
from odflow.training.ssd.settings import SsdModel
from odflow.training.ssd.targets import Targets


class Ssd:
    """The architecture `model.ssd`."""

    parts = Parts(
        backbone=("model/_feature_extractor/classification_backbone/",),
        features=("model/_feature_extractor/",),
        class_layers=("model/_box_predictor/_prediction_heads/class_predictions_with_background/",),
    )

    def __init__(self, settings: Settings) -> None:
        assert isinstance(settings.model, SsdModel)
        self.settings, self.model = settings, settings.model
        self._anchors = self.model.anchor_boxes()
        self.targets = Targets(self.model)

    def build(self) -> tf_keras.Model:
        """The network with fresh weights."""
        return build_network(self.model)

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Mapping[str, tf.Tensor]) -> Any:
        """Feature maps, box encodings and class logits; see `SsdNetwork.call`."""
        return network(inputs, training=True)

    def losses(self, outputs: Any, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`classification_loss` and `localization_loss`."""
        _, encodings, logits = outputs
        return ssd_losses(encodings, logits, labels, self.model.losses, self._decode)

    def detect(self, network: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size; see `Architecture.detect`."""
        inputs, shape = preprocess(images, self.model.resizer, self.model.extractor.pixel_means)
        _, encodings, logits = network(inputs, training=False)
        boxes = self._decode(encodings)
        boxes = tf.clip_by_value(boxes / tf.concat([shape, shape], 0), 0.0, 1.0)
        return suppress(boxes, tf.sigmoid(logits[..., 1:]), self.model.post_processing)

    def _decode(self, encodings: tf.Tensor) -> tf.Tensor:
        """The (N, anchors, 4) boxes of encodings, in pixels of the network's input."""
        return decode_boxes(encodings, self._anchors, self.model.matching.box_scales)
