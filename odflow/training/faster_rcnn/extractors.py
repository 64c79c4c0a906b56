"""The features that proposals come from, and what becomes of the crops of them."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from odflow.training.faster_rcnn.settings import Extractor, Pyramid
from odflow.training.layers.convolutions import Convolutions, apply
from odflow.training.layers.fpn import TopDown
from odflow.training.layers.resnet_v1 import ResNetV1, resnet_hyperparams

FEATURES = 1024
"""Numbers that a proposal's crop from a pyramid is boiled down to."""


def proposal_features(extractor: Extractor) -> tf_keras.layers.Layer:
    """What turns (N, H, W, 3) into the maps that proposals come from: a list, finest first, or one map.

    Its variables have the API's names: layers `layer_with_weights-0`, ... of the
    backbone; with a pyramid also `fpn_features_generator` and `coarse_feature_layers`.
    """
    resnet, inputs = _resnet(extractor), tf_keras.Input([None, None, 3])
    if extractor.pyramid is None:
        return tf_keras.Model(inputs, resnet.stages(inputs, last=4)[-1])
    backbone = tf_keras.Model(inputs, resnet.stages(inputs))
    return PyramidFeatures(backbone, extractor.pyramid, frozen=not extractor.train_batch_norm)


def box_classifier_features(extractor: Extractor, channels: int) -> tf_keras.Model:
    """What turns the crops (N, h, w, channels) into the features of a proposal.

    Args:
        extractor: with a pyramid: two dense layers, (N, 1, 1, 1024) comes out; without:
            the backbone's fifth stage.
        channels: of the features that are cropped.
    """
    pyramid = extractor.pyramid
    if pyramid is None:
        crops = tf_keras.Input([None, None, channels])
        return tf_keras.Model(crops, _resnet(extractor).stage5(crops))
    layers = Convolutions(pyramid.hyperparams, frozen=not extractor.train_batch_norm)
    return tf_keras.Sequential(
        [
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(FEATURES, activation="relu"),
            layers.batch_norm(),
            tf_keras.layers.Dense(FEATURES, activation="relu"),
            tf_keras.layers.Reshape((1, 1, FEATURES)),
        ]
    )


def _resnet(extractor: Extractor) -> ResNetV1:
    own = resnet_hyperparams(weight_decay=0.0001 if extractor.pyramid else 0.0)
    return ResNetV1(
        Convolutions(extractor.hyperparams or own, frozen=not extractor.train_batch_norm),
        depth=extractor.depth,
        depth_multiplier=extractor.depth_multiplier,
        slim=extractor.slim,
        output_stride=extractor.stride if extractor.slim else 32,
    )


class PyramidFeatures(tf_keras.layers.Layer):
    """A backbone with a feature pyramid on it; coarser levels are convolved from its last map.

    Attributes:
        classification_backbone: gives the maps of the levels 2 to 5.
        fpn_features_generator: the pyramid.
        coarse_feature_layers: a convolution, batch norm and activation for each coarser level.
    """

    def __init__(self, backbone: tf_keras.Model, pyramid: Pyramid, frozen: bool) -> None:
        """Make the layers.

        Args:
            backbone: see above.
            pyramid: levels, channels and hyperparameters.
            frozen: whether batch norms stand still.
        """
        super().__init__(name="private__resnet_fpn")  # the API's, of its class _ResnetFPN
        layers, base = Convolutions(pyramid.hyperparams, frozen), min(pyramid.max_level, 5)
        self._taken = slice(pyramid.min_level - 2, base - 1)
        self.classification_backbone = backbone
        self.fpn_features_generator = TopDown(
            base + 1 - pyramid.min_level, pyramid.filters, layers, separable=False, explicit_padding=False
        )
        self.coarse_feature_layers = [
            layers.block(pyramid.filters, f"bottom_up_block{level}", separable=False, strides=2)
            for level in range(base, pyramid.max_level)
        ]

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """(N, H, W, 3) becomes the maps of all levels, finest first."""
        maps = self.classification_backbone(inputs, training=training)
        maps = self.fpn_features_generator(maps[self._taken], training=training)
        for layers in self.coarse_feature_layers:
            maps = [*maps, apply(layers, maps[-1], training)]
        return maps
