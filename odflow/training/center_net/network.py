"""The network of a CenterNet."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from odflow.training.center_net.extractor_types import HOURGLASSES
from odflow.training.center_net.hourglass import CenterNetHourglassFeatureExtractor
from odflow.training.center_net.resnet import BUILDERS
from odflow.training.center_net.settings import CenterNetModel, Head

Predictions = dict[str, list[tf.Tensor]]
"""A head's name in the API to its maps (N, h, w, channels), one for each output of the extractor."""

CENTER, SCALE, OFFSET = "object_center", "box/scale", "box/offset"


class CenterNetNetwork(tf_keras.Model):
    """A feature extractor and prediction heads.

    `tf.train.Checkpoint(model=network)` stores its weights under the names that the
    Object Detection API's own checkpoints have.
    """

    def __init__(self, model: CenterNetModel) -> None:
        """Make the network and its variables.

        Args:
            model: what to build.
        """
        super().__init__(name="center_net")
        self._feature_extractor = _extractor(model.extractor.type)
        count = self._feature_extractor.outputs_count
        self._prediction_head_dict = {
            name: [_head(head, channels, bias, model.separable) for _ in range(count)]
            for name, (head, channels, bias) in heads(model).items()
        }
        # Not through `call`, so that no variable's name begins with the name of this model.
        self._predict(tf_keras.Input((model.resizer.height, model.resizer.width, 3)), None)
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> Predictions:
        """Predict.

        Args:
            inputs: (N, H, W, 3) float32, preprocessed.
            training: batch norms learn.

        Returns:
            The maps of each head, float32, (N, H / 4, W / 4, channels).
        """
        maps = self._predict(inputs, training)
        return {name: [tf.cast(one, tf.float32) for one in some] for name, some in maps.items()}

    def _predict(self, inputs: tf.Tensor, training: bool | None) -> Predictions:
        features = self._feature_extractor(inputs, training=training)
        return {
            name: [head(maps) for head, maps in zip(some, features, strict=True)]
            for name, some in self._prediction_head_dict.items()
        }


def heads(model: CenterNetModel) -> dict[str, tuple[Head, int, float]]:
    """The name of each head to its convolutions, the channels that come out and their first bias."""
    return {
        CENTER: (model.centers.head, model.num_classes, model.centers.bias),
        SCALE: (model.boxes.scale_head, 2, 0.0),
        OFFSET: (model.boxes.offset_head, 2, 0.0),
    }


def _extractor(kind: str) -> tf_keras.Model:
    return CenterNetHourglassFeatureExtractor(HOURGLASSES[kind]) if kind in HOURGLASSES else BUILDERS[kind]()


def _head(head: Head, channels: int, bias: float, separable: bool) -> tf_keras.Sequential:
    first = tf_keras.initializers.Constant(bias)
    # Made before the others, as in the API: Keras numbers layers in the order in which they are made.
    last = tf_keras.layers.Conv2D(channels, 1, bias_initializer=first)
    make = tf_keras.layers.SeparableConv2D if separable else tf_keras.layers.Conv2D
    layers: list[tf_keras.layers.Layer] = []
    for filters, size in zip(head.filters, head.kernel_sizes, strict=True):
        layers += [make(filters, size, padding="same"), tf_keras.layers.ReLU()]
    return tf_keras.Sequential([*layers, last])
