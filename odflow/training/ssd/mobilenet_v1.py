"""MobileNet v1 as the Object Detection API builds it."""

from __future__ import annotations

import tf_keras

from odflow.training.layers.convolutions import Convolutions, FixedPadding
from odflow.training.settings import BatchNorm, Hyperparams, Initializer
from odflow.training.ssd.feature_maps import PlainExtractor
from odflow.training.ssd.fpn_extractor import FpnExtractor, cut
from odflow.training.ssd.settings import Extractor

HYPERPARAMS = Hyperparams(
    "relu6", BatchNorm(0.9997, 0.001), Initializer("truncated_normal", stddev=0.09), l2_weight=4e-5
)
"""The backbone's own, unless `override_base_feature_extractor_hyperparams`."""

BLOCKS = (
    (64, 1),
    *[(128, 2), (128, 1)],
    *[(256, 2), (256, 1)],
    *[(512, 2), *[(512, 1)] * 5],
    *[(1024, 2), (1024, 1)],
)
"""Channels and stride of the blocks 1 to 13; the convolution before them has 32 and 2."""

SLENDER = {12: 512, 13: 256}
"""Channels of the last blocks under a feature pyramid with depthwise separable convolutions."""


def plain_extractor(settings: Extractor, layers: Convolutions) -> PlainExtractor:
    """`ssd_mobilenet_v1_keras`, and that of TensorFlow 1."""
    return PlainExtractor(
        cut(mobilenet_v1(settings, layers), ["conv_pw_11_relu", "conv_pw_13_relu"]),
        settings,
        layers,
        last="Conv2d_13_pointwise",
        generator="_feature_map_generator",
        name="ssd_mobile_net_v1_keras_feature_extractor",
    )


def fpn_extractor(settings: Extractor, layers: Convolutions) -> FpnExtractor:
    """`ssd_mobilenet_v1_fpn_keras`, and that of TensorFlow 1."""
    backbone = mobilenet_v1(settings, layers, SLENDER if settings.separable else None)
    return FpnExtractor(
        cut(backbone, [f"conv_pw_{block}_relu" for block in (3, 5, 11, 13)]),
        settings,
        layers,
        coarse=[f"bottom_up_Conv2d_{13 + i}" for i in range(1, 6)],
        name="ssd_mobile_net_v1_fpn_keras_feature_extractor",
    )


def mobilenet_v1(
    settings: Extractor, layers: Convolutions, changed: dict[int, int] | None = None
) -> tf_keras.Model:
    """The backbone.

    Args:
        settings: depth multiplier, least depth, padding.
        layers: makes its layers where `override_hyperparams`.
        changed: channels of blocks that do not have their usual ones, before the multiplier.

    Returns:
        A functional model from (N, H, W, 3) to the map of layer `conv_pw_13_relu`; the
        layers have the names that Keras's own MobileNet gives them.
    """
    own = layers if settings.override_hyperparams else layers.with_hyperparams(HYPERPARAMS)
    build = _Builder(settings, own)
    inputs = tf_keras.Input((None, None, 3))
    maps = build.convolution(inputs, build.channels(32), "conv1", 3, 2)
    for block, (filters, stride) in enumerate(BLOCKS, start=1):
        maps = build.depthwise(maps, f"conv_dw_{block}", stride)
        narrow = (changed or {}).get(block)
        channels = settings.depth(narrow) if narrow else build.channels(filters)
        maps = build.convolution(maps, channels, f"conv_pw_{block}")
    return tf_keras.Model(inputs, maps)


class _Builder:
    """Lays MobileNet v1's layers on Keras tensors."""

    def __init__(self, settings: Extractor, layers: Convolutions) -> None:
        self._settings, self._layers = settings, layers

    def channels(self, filters: int) -> int:
        """Channels after multiplier and limit.

        Keras's MobileNet multiplies, and the API's Keras layers multiply again; so the
        API's TF2 models have the square of the multiplier, and its TF1 models have not.
        """
        multiplier = 1.0 if self._settings.slim else self._settings.depth_multiplier
        return self._settings.depth(int(filters * multiplier))

    def convolution(
        self, maps: tf_keras.KerasTensor, filters: int, name: str, kernel_size: int = 1, stride: int = 1
    ) -> tf_keras.KerasTensor:
        """A convolution over all channels, batch norm and activation."""
        padded, padding = self._padded(maps, kernel_size)
        make = self._layers.conv2d(
            filters, kernel_size, name, use_bias=False, strides=stride, padding=padding
        )
        return self._activated(make(padded), name)

    def depthwise(self, maps: tf_keras.KerasTensor, name: str, stride: int) -> tf_keras.KerasTensor:
        """A 3x3 convolution of each channel by itself, batch norm and activation."""
        padded, padding = self._padded(maps, 3)
        make = self._layers.depthwise(3, name, use_bias=False, strides=stride, padding=padding)
        return self._activated(make(padded), name)

    def _activated(self, maps: tf_keras.KerasTensor, name: str) -> tf_keras.KerasTensor:
        return self._layers.activation(f"{name}_relu")(self._layers.batch_norm(f"{name}_bn")(maps))

    def _padded(self, maps: tf_keras.KerasTensor, kernel_size: int) -> tuple[tf_keras.KerasTensor, str]:
        if self._settings.explicit_padding and kernel_size > 1:
            return FixedPadding(kernel_size)(maps), "valid"
        return maps, "same"
