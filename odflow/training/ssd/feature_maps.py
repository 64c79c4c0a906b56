"""The feature maps of a plain SSD: two of the backbone, and ever smaller ones on top."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions, FixedPadding, apply
from odflow.training.ssd.fpn_extractor import pad_to_multiple
from odflow.training.ssd.settings import Extractor

DEPTHS = (512, 256, 256, 128)
"""Channels of the maps on top, before the depth multiplier."""

FROM_BACKBONE = 2


class PlainExtractor(tf_keras.layers.Layer):
    """A backbone and the maps on top of it.

    The attributes have the names that the Object Detection API's have: they are part of the
    names of the weights in a checkpoint.
    """

    def __init__(
        self,
        backbone: tf_keras.Model,
        settings: Extractor,
        layers: Convolutions,
        last: str,
        generator: str,
        name: str,
    ) -> None:
        """Make the maps' layers.

        Args:
            backbone: gives two maps, the second half the size of the first.
            settings: of the extractor.
            layers: makes the layers on the backbone.
            last: what TF-Slim calls the backbone's last layer; the new layers' names begin with it.
            generator: the attribute that holds the new layers; it differs between the API's extractors.
            name: of the layer.
        """
        super().__init__(name=name)
        self._multiple, self._count = settings.pad_to_multiple, settings.num_layers
        self.classification_backbone = backbone
        self._generator = generator
        setattr(self, generator, FeatureMaps(settings, layers, last))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """The maps of a batch of preprocessed images.

        Args:
            inputs: (N, H, W, 3) float32.
            training: batch norms learn.

        Returns:
            The maps (N, h, w, channels), finest first, each half the size of the one before.
        """
        maps = self.classification_backbone(pad_to_multiple(inputs, self._multiple), training=training)
        return getattr(self, self._generator)(maps, training=training)[: self._count]


class FeatureMaps(tf_keras.layers.Layer):
    """Makes each map out of the one before: a 1x1 convolution, then a 3x3 one that halves it."""

    def __init__(self, settings: Extractor, layers: Convolutions, last: str) -> None:
        super().__init__(name="FeatureMaps")
        # A place for each map, also for those of the backbone: checkpoints count so.
        self.convolutions = [
            [] if place < FROM_BACKBONE else _layers(settings, layers, last, place)
            for place in range(settings.num_layers)
        ]

    def call(self, maps: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """The backbone's maps and the new ones, finest first."""
        found = list(maps)
        for layers in self.convolutions[FROM_BACKBONE:]:
            found.append(apply(layers, found[-1], training))
        return found


def _layers(settings: Extractor, layers: Convolutions, last: str, place: int) -> list[tf_keras.layers.Layer]:
    depth = DEPTHS[place - FROM_BACKBONE]
    narrow, wide = settings.depth(depth // 2), settings.depth(depth)
    first, second = f"{last}_1_Conv2d_{place}_1x1_{narrow}", f"{last}_2_Conv2d_{place}_3x3_s2_{wide}"
    padding = "valid" if settings.explicit_padding else "same"
    return [
        *_followed(layers, layers.conv2d(narrow, 1, f"{first}_conv"), first),
        *([FixedPadding(3)] if settings.explicit_padding else []),
        *(_separable if settings.separable else _whole)(layers, wide, second, padding),
    ]


def _whole(layers: Convolutions, filters: int, name: str, padding: str) -> list[tf_keras.layers.Layer]:
    return _followed(layers, layers.conv2d(filters, 3, f"{name}_conv", strides=2, padding=padding), name)


def _separable(layers: Convolutions, filters: int, name: str, padding: str) -> list[tf_keras.layers.Layer]:
    # As in the API, the hyperparameters do not reach the depthwise kernel.
    depthwise = tf_keras.layers.DepthwiseConv2D(
        3, strides=2, padding=padding, use_bias=layers.use_bias, name=f"{name}_depthwise_conv"
    )
    pointwise = layers.conv2d(filters, 1, f"{name}_conv")
    return [*_followed(layers, depthwise, f"{name}_depthwise"), *_followed(layers, pointwise, name)]


def _followed(
    layers: Convolutions, convolution: tf_keras.layers.Layer, name: str
) -> list[tf_keras.layers.Layer]:
    return [convolution, layers.batch_norm(f"{name}_batchnorm"), layers.activation(name)]
