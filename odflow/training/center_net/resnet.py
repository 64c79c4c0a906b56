"""The ResNets of the Object Detection API's CenterNets: Keras's own, and a way back up.

Definitions: object_detection/models/center_net_resnet_feature_extractor.py and
center_net_resnet_v1_fpn_feature_extractor.py. The attributes' names are those of the
API, and so are the names of the variables in checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tf_keras
from tf_keras import applications, layers

FILTERS = (256, 128, 64)
"""Channels on the way up, from a 32nd of the image to a quarter."""

DEEPEST = "conv5_block3_out"


class ResNetV2(tf_keras.Model):
    """ResNet v2 with transposed convolutions on top."""

    outputs_count = 1

    def __init__(self, base: Callable[..., tf_keras.Model]) -> None:
        """Make the layers.

        Args:
            base: makes one of Keras's ResNets v2.
        """
        super().__init__()
        self._base_model = base(weights=None, include_top=False)
        inputs = self._base_model.input
        self._resnet_model = tf_keras.Model(inputs, self._base_model.get_layer(DEEPEST).output)
        maps = self._resnet_model(inputs)
        for filters in FILTERS:
            maps = _normalized(layers.Conv2D(filters, 3, padding="same")(maps))
            maps = _normalized(layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(maps))
        self._feature_extractor_model = tf_keras.Model(inputs, maps)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """(N, h, w, 3) to one map (N, h / 4, w / 4, 64)."""
        return [self._feature_extractor_model(inputs, training=training)]


class ResNetV1Fpn(tf_keras.Model):
    """ResNet v1 with a feature pyramid of which the finest level alone is used."""

    outputs_count = 1

    def __init__(self, base: Callable[..., tf_keras.Model], levels: tuple[str, str, str]) -> None:
        """Make the layers.

        Args:
            base: makes one of Keras's ResNets v1.
            levels: its layers at a 4th, an 8th and a 16th of the image.
        """
        super().__init__()
        self._base_model = base(weights=None, include_top=False)
        inputs = self._base_model.input
        outputs = [self._base_model.get_layer(name).output for name in (*levels, DEEPEST)]
        self._resnet_model = tf_keras.Model(inputs, outputs)
        *finer, top = self._resnet_model(inputs)
        maps = layers.Conv2D(256, 1, padding="same")(top)
        for filters, beside in zip(FILTERS, reversed(finer), strict=True):
            lateral = layers.Conv2D(filters, 1, padding="same")
            maps = layers.UpSampling2D(2)(maps) + lateral(beside)
            maps = _normalized(layers.Conv2D(max(filters // 2, 64), 3, padding="same")(maps))
        self._feature_extractor_model = tf_keras.Model(inputs, maps)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """(N, h, w, 3) to one map (N, h / 4, w / 4, 64)."""
        return [self._feature_extractor_model(inputs, training=training)]


BUILDERS: dict[str, Callable[[], tf_keras.Model]] = {
    "resnet_v2_50": lambda: ResNetV2(applications.ResNet50V2),
    "resnet_v2_101": lambda: ResNetV2(applications.ResNet101V2),
    "resnet_v1_50_fpn": lambda: ResNetV1Fpn(
        applications.ResNet50, ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out")
    ),
    "resnet_v1_101_fpn": lambda: ResNetV1Fpn(
        applications.ResNet101, ("conv2_block3_out", "conv3_block4_out", "conv4_block23_out")
    ),
}
"""`feature_extractor.type` to what makes it."""


def _normalized(maps: tf_keras.KerasTensor) -> tf_keras.KerasTensor:
    return layers.ReLU()(layers.BatchNormalization()(maps))
