"""A single-shot detector as training, evaluation and export see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from odflow.training.checkpoints import Parts
from odflow.training.detection.boxes import decode_boxes
from odflow.training.detection.post_processing import AnchorPredictions, convert_scores, detections
from odflow.training.detector import DetectorArchitecture
from odflow.training.examples.preprocessing import preprocess
from odflow.training.layers.names import number_layers_anew
from odflow.training.settings import DetectorSettings
from odflow.training.ssd.losses import normalizer, ssd_losses
from odflow.training.ssd.network import build_network
from odflow.training.ssd.settings import SsdModel
from odflow.training.ssd.targets import Targets


class Ssd(DetectorArchitecture):
    """The architecture `model.ssd`."""

    parts = Parts(
        backbone=(
            "model/_feature_extractor/_efficientnet/",  # in EfficientDet alone; its other prefix is not run
            "model/_feature_extractor/classification_backbone/",
        ),
        features=("model/_feature_extractor/",),
        class_layers=("model/_box_predictor/_prediction_heads/class_predictions_with_background/",),
    )

    def __init__(self, settings: DetectorSettings) -> None:
        assert isinstance(settings.model, SsdModel)
        self.settings, self.model = settings, settings.model
        self._anchors = self.model.anchor_boxes()
        self.targets = Targets(self.model)

    def build(self) -> tf_keras.Model:
        """The network with fresh weights."""
        number_layers_anew()
        return build_network(self.model)

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Mapping[str, tf.Tensor]) -> Any:
        """Feature maps, box encodings and class logits; see `SsdNetwork.call`."""
        return network(inputs, training=True)

    def losses(self, outputs: Any, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`classification_loss` and `localization_loss`."""
        _, encodings, logits = outputs
        return ssd_losses(encodings, logits, labels, self.model.losses, self._decode)

    def normalizer(self, labels: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The positive anchors, where the losses are divided by them."""
        return normalizer(labels, self.model.losses)

    def detect(self, network: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size; see `DetectorArchitecture.detect`."""
        inputs, shape = self.preprocess(images)
        found = self.predictions(network, inputs)
        boxes = decode_boxes(found.encodings, found.anchors, found.box_scales)
        window = tf.concat([tf.zeros(2), shape / self._size], 0)
        return detections(boxes, found.scores, self.model.num_classes, self.model.post_processing, window)

    def preprocess(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The network's inputs, and the height and width in pixels that the picture takes of them."""
        return preprocess(images, self.model.resizer, self.model.extractor.pixel_means)

    def predictions(self, network: tf_keras.Model, inputs: tf.Tensor) -> AnchorPredictions:
        """What the network says of each anchor, before boxes are decoded and suppressed."""
        _, encodings, logits = network(inputs, training=False)
        scores = tf.sigmoid(logits) if self.model.predictor.sigmoid else logits
        scores = convert_scores(scores, self.model.post_processing)
        anchors = tf.constant(self._anchors / np.tile(self._size, 2), tf.float32)
        return AnchorPredictions(encodings, scores, anchors, self.model.matching.box_scales)

    @property
    def _size(self) -> np.ndarray:
        """(2,) float32: height and width of the network's input in pixels."""
        return np.array([self.model.resizer.height, self.model.resizer.width], np.float32)

    def _decode(self, encodings: tf.Tensor) -> tf.Tensor:
        """The (N, anchors, 4) boxes of encodings, in pixels of the network's input."""
        return decode_boxes(encodings, self._anchors, self.model.matching.box_scales)
