"""A DeepLab as training, evaluation and export see it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from odflow.formats.label_map import LabelMap
from odflow.formats.tfrecord import Records
from odflow.heads.segmentation.inputs import MASK, training_example
from odflow.heads.segmentation.losses import counted_pixels, pixel_losses
from odflow.heads.segmentation.placement import Placement, whole
from odflow.heads.segmentation.settings import SegmentationModel
from odflow.ops.segmentation_metrics import MEAN_IOU
from odflow.training.architecture import Evaluator, Goal, Tensors
from odflow.training.checkpoints import Parts
from odflow.training.layers.names import number_layers_anew
from odflow.training.model_garden.deeplab import build_deeplab
from odflow.training.settings import LOSS, Settings

MEAN = (123.675, 116.28, 103.53)
"""Of red, green and blue in ImageNet, as Model Garden's weights want it."""

DEVIATION = (58.395, 57.12, 57.375)


class Segmentation:
    """The architecture of `SegmentationModel`.

    Attributes:
        settings: of the model and its training.
        model: the former.
        parts: what the network's variables belong to.
        goal: the highest mean IoU.
    """

    parts = Parts(
        backbone=("model/backbone/",),
        features=("model/backbone/", "model/decoder/"),
        class_layers=("model/head/_classifier/",),
    )
    goal = Goal({MEAN_IOU: MEAN_IOU, LOSS: LOSS})

    def __init__(self, settings: Settings) -> None:
        assert isinstance(settings.model, SegmentationModel)
        self.settings, self.model = settings, settings.model
        self._weights = [self.model.class_weights.get(name, 1.0) for name in self.model.classes]

    def build(self) -> tf_keras.Model:
        """The network with fresh weights; what is not trained is frozen."""
        number_layers_anew()
        network = build_deeplab(self.model.network)
        network.train_only(self.model.train_only)
        return network

    def example(self, serialized: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Scale, crop and mirror an image and its mask; see `training_example`."""
        image, labels = training_example(serialized, self.model.view, draw)
        return image, labels

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Tensors) -> tf.Tensor:
        """The logits, (N, h, w, classes)."""
        return network(_normalized(tf.cast(inputs, tf.float32)), training=True)

    def losses(self, outputs: tf.Tensor, labels: Tensors) -> dict[str, tf.Tensor]:
        """`segmentation_loss`: the mean over all pixels of the batch that are not ignored."""
        total = tf.reduce_sum(self.pixel_losses(outputs, labels[MASK]))
        return {"segmentation_loss": total / self.normalizer(labels)}

    def pixel_losses(self, logits: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
        """See `losses.pixel_losses`."""
        return pixel_losses(logits, masks, self._weights)

    def normalizer(self, labels: Tensors) -> tf.Tensor:
        """What the loss of a batch is divided by: its pixels that are not ignored."""
        return tf.maximum(counted_pixels(labels[MASK]), 1.0)

    def evaluator(self, records: Records, label_map: LabelMap | None) -> Evaluator:
        """What measures mean IoU and loss against records."""
        from odflow.heads.segmentation.evaluation import SegmentationEvaluator

        return SegmentationEvaluator(self, records)

    def predict(self, network: tf_keras.Model, images: tf.Tensor) -> tf.Tensor:
        """Find the class of each pixel.

        Args:
            network: from `build`.
            images: (N, H, W, 3) uint8 RGB, any size.

        Returns:
            (N, H, W) uint8 class numbers.
        """
        logits, place = self.look(network, images)
        return most_likely(place.out(logits, tf.shape(images)[1:3]))

    def look(self, network: tf_keras.Model, images: tf.Tensor) -> tuple[tf.Tensor, Placement]:
        """Logits (N, h, w, classes) float32 for images as `predict` takes them, and where these lay."""
        place = whole(tf.shape(images)[1:3], self.model.view)
        inputs = tf.ensure_shape(
            place.images(images), [None, self.model.view.height, self.model.view.width, 3]
        )
        return tf.cast(network(_normalized(inputs), training=False), tf.float32), place


def most_likely(logits: tf.Tensor) -> tf.Tensor:
    """The class with the highest of the logits (..., C), uint8."""
    return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.uint8)


def _normalized(images: tf.Tensor) -> tf.Tensor:
    return (images - tf.constant(MEAN)) / tf.constant(DEVIATION)
