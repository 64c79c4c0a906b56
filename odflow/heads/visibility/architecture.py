"""A visibility network as training, evaluation and export see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.formats.label_map import LabelMap
from odflow.formats.tfrecord import Records
from odflow.heads.visibility.inputs import VisibilityInputs, fit
from odflow.heads.visibility.losses import cell_loss, image_loss
from odflow.heads.visibility.network import VisibilityNetwork, image_logits
from odflow.heads.visibility.settings import VisibilityModel
from odflow.ops.multilabel_metrics import MAP
from odflow.training.architecture import Evaluator, Goal, Tensors
from odflow.training.checkpoints import Parts
from odflow.training.layers.names import number_layers_anew
from odflow.training.settings import LOSS, Settings


class Visibility:
    """The architecture of `VisibilityModel`.

    Attributes:
        settings: of the model and its training.
        model: the former.
        parts: what the network's variables belong to.
        goal: the highest mean of the classes' average precisions.
        inputs: from records to images and labels.
    """

    parts = Parts(("model/backbone/",), ("model/backbone/",), ("model/head/",))
    goal = Goal({MAP: MAP, LOSS: LOSS})

    def __init__(self, settings: Settings) -> None:
        assert isinstance(settings.model, VisibilityModel)
        self.settings, self.model = settings, settings.model
        self.inputs = VisibilityInputs(self.model)

    def build(self) -> tf_keras.Model:
        """The network with fresh weights."""
        number_layers_anew()
        return VisibilityNetwork(self.model)

    def example(self, serialized: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """An image, changed at random, and what it shows; see `VisibilityInputs`."""
        image, labels = self.inputs(serialized, draw, training=True)
        return image, labels

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Tensors) -> tf.Tensor:
        """The logits of cells, (N, h, w, classes) float32."""
        return network(inputs, training=True)

    def losses(self, outputs: tf.Tensor, labels: Tensors) -> dict[str, tf.Tensor]:
        """`classification_loss` and, of the cells, `localization_loss`: means of the examples."""
        return {
            "classification_loss": tf.reduce_mean(image_loss(outputs, labels["visible"])),
            "localization_loss": tf.reduce_mean(cell_loss(outputs, labels["boxes"], labels["classes"])),
        }

    def normalizer(self, labels: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the loss of a batch is divided by: its examples."""
        return tf.cast(tf.shape(labels["visible"])[0], tf.float32)

    def evaluator(self, records: Records, label_map: LabelMap | None) -> Evaluator:
        """What measures average precision and loss against records."""
        from odflow.heads.visibility.evaluation import VisibilityEvaluator

        return VisibilityEvaluator(self, records)

    def predict(self, network: tf_keras.Model, images: tf.Tensor) -> tf.Tensor:
        """Score images.

        Args:
            network: from `build`.
            images: (N, H, W, 3) uint8 RGB, any size.

        Returns:
            (N, classes) float32, 0 to 1: how likely each class is to be seen in the image.
        """
        return tf.sigmoid(image_logits(network(fit(images, self.model.look), training=False)))
