"""MobileNet v2 as the Object Detection API's Keras version builds it."""

from __future__ import annotations

from dataclasses import replace

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
    *[(24, 2), (24, 1)],
    *[(32, 2), (32, 1), (32, 1)],
    *[(64, 2), (64, 1), (64, 1), (64, 1)],
    *[(96, 1), (96, 1), (96, 1)],
    *[(160, 2), (160, 1), (160, 1)],
    (320, 1),
)
"""Channels and stride of the blocks 1 to 16; block 0 does not expand and gives 16 channels."""

TOP, THIN_TOP = 1280, 256
"""Channels of the last convolution; thin in TensorFlow 1 under a pyramid of depthwise layers."""

EXPANSION = 6


def plain_extractor(settings: Extractor, layers: Convolutions) -> PlainExtractor:
    """`ssd_mobilenet_v2_keras`, and that of TensorFlow 1."""
    return PlainExtractor(
        cut(mobilenet_v2(settings, layers), ["block_13_expand_relu", "out_relu"]),
        settings,
        layers,
        last="layer_19",
        generator="feature_map_generator",
        name="ssd_mobile_net_v2_keras_feature_extractor",
    )


def fpn_extractor(settings: Extractor, layers: Convolutions) -> FpnExtractor:
    """`ssd_mobilenet_v2_fpn_keras`, and that of TensorFlow 1."""
    backbone = mobilenet_v2(settings, layers)
    names = {layer.name for layer in backbone.layers}
    # Without a shortcut (see `_Builder.block`) a block ends with its last batch norm.
    ends = [f"block_{i}_add" if f"block_{i}_add" in names else f"block_{i}_project_BN" for i in (2, 5, 12)]
    return FpnExtractor(
        cut(backbone, [*ends, "out_relu"]),
        settings,
        layers,
        coarse=[f"bottom_up_Conv2d_{19 + i}" for i in range(1, 6)],
        name="ssd_mobile_net_v2_fpn_keras_feature_extractor",
    )


def mobilenet_v2(settings: Extractor, layers: Convolutions) -> tf_keras.Model:
    """The backbone.

    Args:
        settings: depth multiplier, least depth, padding.
        layers: makes its layers where `override_hyperparams`.

    Returns:
        A functional model from (N, H, W, 3) to the map of layer `out_relu`; the layers
        have the names that Keras's own MobileNetV2 gives them.
    """
    build = _Builder(settings, layers.with_hyperparams(_hyperparams(settings)))
    inputs = maps = tf_keras.Input((None, None, 3))
    maps = build.normalized(
        build.conv(maps, divisible(32 * settings.depth_multiplier), "Conv1", 3, 2), "bn_Conv1"
    )
    maps = build.activated(maps, "Conv1_relu")
    maps = build.block(maps, 16, 1, "expanded_conv_")
    for i, (filters, stride) in enumerate(BLOCKS, start=1):
        maps = build.block(maps, filters, stride, f"block_{i}_")
    maps = build.normalized(build.conv(maps, _top(settings), "Conv_1"), "Conv_1_bn")
    return tf_keras.Model(inputs, build.activated(maps, "out_relu"))


def _hyperparams(settings: Extractor) -> Hyperparams:
    """The backbone's; TF-Slim's network keeps its activation and the form of its batch norms in any case."""
    if not settings.override_hyperparams:
        return HYPERPARAMS
    if not settings.slim:
        return settings.hyperparams
    norm = settings.hyperparams.batch_norm or HYPERPARAMS.batch_norm
    assert norm is not None
    fixed = replace(norm, center=True, scale=True)
    return replace(settings.hyperparams, activation=HYPERPARAMS.activation, batch_norm=fixed)


def divisible(depth: float) -> int:
    """The multiple of 8 next to a number of channels, at least 8 and not more than a tenth below."""
    rounded = max(8, int(depth + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * depth else rounded


def _top(settings: Extractor) -> int:
    """Channels of the last convolution: Keras lets them shrink alone, TF-Slim multiplies as elsewhere."""
    multiplier = settings.depth_multiplier
    if settings.slim:
        thin = settings.separable and settings.pyramid is not None
        return divisible((THIN_TOP if thin else TOP) * multiplier)
    return divisible(TOP * multiplier) if multiplier < 1.0 else TOP


class _Builder:
    """Lays MobileNet v2's layers on Keras tensors."""

    def __init__(self, settings: Extractor, layers: Convolutions) -> None:
        self._settings, self._layers = settings, layers

    def block(self, maps: tf_keras.KerasTensor, filters: int, stride: int, name: str) -> tf_keras.KerasTensor:
        """Widen (but for the first block), convolve each channel, project, add the input where it fits."""
        entered, channels = maps, maps.shape[-1]
        projected = divisible(int(filters * self._settings.depth_multiplier))
        if name != "expanded_conv_":
            maps = self._layers.conv2d(EXPANSION * channels, 1, f"{name}expand", use_bias=False)(maps)
            maps = self.activated(self.normalized(maps, f"{name}expand_BN"), f"{name}expand_relu")
        options = self._padding(3)
        maps = self._padded(maps, 3)
        maps = self._layers.depthwise(3, f"{name}depthwise", use_bias=False, strides=stride, **options)(maps)
        maps = self.activated(self.normalized(maps, f"{name}depthwise_BN"), f"{name}depthwise_relu")
        maps = self.normalized(self.conv(maps, projected, f"{name}project"), f"{name}project_BN")
        # Keras compares with the channels before `min_depth` raises them, and the API with it.
        fits = maps.shape[-1] if self._settings.slim else projected
        if stride == 1 and channels == fits:
            return tf_keras.layers.Add(name=f"{name}add")([entered, maps])
        return maps

    def conv(
        self, maps: tf_keras.KerasTensor, filters: int, name: str, kernel_size: int = 1, stride: int = 1
    ) -> tf_keras.KerasTensor:
        """A convolution of at least the least depth."""
        filters = max(filters, self._settings.min_depth)
        make = self._layers.conv2d(
            filters, kernel_size, name, use_bias=False, strides=stride, **self._padding(kernel_size)
        )
        return make(self._padded(maps, kernel_size))

    def normalized(self, maps: tf_keras.KerasTensor, name: str) -> tf_keras.KerasTensor:
        """Batch norm."""
        return self._layers.batch_norm(name)(maps)

    def activated(self, maps: tf_keras.KerasTensor, name: str) -> tf_keras.KerasTensor:
        """Activation."""
        return self._layers.activation(name)(maps)

    def _padding(self, kernel_size: int) -> dict[str, str]:
        return {"padding": "valid" if self._settings.explicit_padding and kernel_size > 1 else "same"}

    def _padded(self, maps: tf_keras.KerasTensor, kernel_size: int) -> tf_keras.KerasTensor:
        return (
            FixedPadding(kernel_size)(maps) if self._settings.explicit_padding and kernel_size > 1 else maps
        )
