"""A CenterNet as training, evaluation and export see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.center_net.detections import detections
from odflow.training.center_net.losses import center_net_losses, number_of_boxes
from odflow.training.center_net.network import CENTER, CenterNetNetwork
from odflow.training.center_net.settings import CenterNetModel
from odflow.training.center_net.targets import Targets
from odflow.training.checkpoints import Parts
from odflow.training.detector import DetectorArchitecture
from odflow.training.examples.preprocessing import preprocess
from odflow.training.layers.names import number_layers_anew
from odflow.training.settings import DetectorSettings

EXTRACTOR = "model/_feature_extractor/"


class CenterNet(DetectorArchitecture):
    """The architecture `model.center_net`."""

    def __init__(self, settings: DetectorSettings) -> None:
        assert isinstance(settings.model, CenterNetModel)
        self.settings, self.model = settings, settings.model
        self.targets = Targets(self.model, settings.training.reader.max_boxes)
        self.parts = _parts(self.model)

    def build(self) -> tf_keras.Model:
        """The network with fresh weights."""
        number_layers_anew()
        return CenterNetNetwork(self.model)

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Mapping[str, tf.Tensor]) -> Any:
        """The maps of each head; see `CenterNetNetwork.call`."""
        return network(inputs, training=True)

    def losses(self, outputs: Any, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`object_center`, `box/scale` and `box/offset`."""
        return center_net_losses(outputs, labels, self.model)

    def normalizer(self, labels: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the losses of a batch are divided by: its boxes, at least 1."""
        return number_of_boxes(labels)

    def detect(self, network: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size; see `DetectorArchitecture.detect`."""
        inputs, shape = preprocess(images, self.model.resizer, self.model.extractor.normalization)
        return detections(network(inputs, training=False), self.model.centers, shape)


def _parts(model: CenterNetModel) -> Parts:
    last = len(model.centers.head.filters)
    return Parts(
        backbone=(f"{EXTRACTOR}_network/", f"{EXTRACTOR}_base_model/"),  # of hourglasses, of ResNets
        features=(EXTRACTOR,),
        class_layers=tuple(
            f"model/_prediction_head_dict/{CENTER}/{output}/layer_with_weights-{last}/" for output in (0, 1)
        ),
    )
