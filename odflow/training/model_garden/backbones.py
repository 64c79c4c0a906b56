"""Backbones of Model Garden's image classification: features of an image, by level.

The variables have Model Garden's names, so that its classification checkpoints fit.
Source: official/vision/configs/backbones.py, configs/image_classification.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tf_keras

from odflow.errors import ConfigError, nearest

_SWISH = ("efficientnet", "spinenet", "spinenet_mobile")
_RESIDUAL = ("resnet", "dilated_resnet", "revnet")

_MOMENTUM = 0.9
"""Of the batch norms: trainings on few images are over before a longer memory has forgotten their start."""

_CHANNEL_FACTORS = ("filter_size_scale", "depth_multiplier")
"""What Model Garden calls the factor of the channels, where it has one."""


def build_backbone(
    name: str, height: int, width: int, *, channels: float = 1.0, weight_decay: float = 0.0
) -> tf_keras.Model:
    """Build a backbone with fresh weights.

    Args:
        name: a type of Model Garden's backbones and its model_id, as `mobilenet/MobileNetV2`,
            `resnet/18` or `efficientnet/b0`.
        height: of the images in pixels.
        width: of the images in pixels.
        channels: factor of the number of channels.
        weight_decay: of the kernels, a factor of tf.nn.l2_loss.

    Returns:
        From (N, height, width, 3) float32, normalised with ImageNet's mean and deviation, to a dict
        of features (N, h, w, C) by level, a digit; the highest level is for classification.

    Raises:
        ConfigError: there is no such backbone, or it has no factor of the channels.
    """
    # All of them, as each file registers its own.
    from official.vision.modeling import backbones

    # Keras' L2 is w**2, Model Garden's decay is of tf.nn.l2_loss, which is half of that.
    regularizer = tf_keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    kind, config = _config(name, channels)
    specs = tf_keras.layers.InputSpec(shape=[None, height, width, 3])
    try:
        return backbones.factory.build_backbone(specs, config, _norm_activation(kind), regularizer)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f'backbone: Model Garden cannot build "{name}" for {width}x{height} pixels ({error}).'
        ) from error


def _config(name: str, channels: float) -> tuple[str, Any]:
    """The type, and the config of it."""
    from official.vision.configs import backbones

    every = backbones.Backbone()
    defaults = {field.name: getattr(every, field.name) for field in dataclasses.fields(every)}
    kinds = {kind: config for kind, config in defaults.items() if hasattr(config, "model_id")}
    kind, _, model_id = name.partition("/")
    if kind not in kinds or not model_id:
        known = ("small_cnn", *(f"{kind}/{one.model_id}" for kind, one in kinds.items()))
        raise ConfigError(f'backbone: "{name}" is unknown.{nearest(name, known)}')
    config = kinds[kind]
    number = isinstance(config.model_id, int) and model_id.isdecimal()
    config.model_id = int(model_id) if number else model_id
    if channels != 1.0:
        factor = next((factor for factor in _CHANNEL_FACTORS if hasattr(config, factor)), None)
        if factor is None:
            raise ConfigError(f'backbone: "{name}" has no factor of its channels; leave it at 1.')
        setattr(config, factor, channels)
    return kind, backbones.Backbone(type=kind, **{kind: config})


def _norm_activation(kind: str) -> Any:
    from official.vision.configs import common

    return common.NormActivation(
        activation="swish" if kind in _SWISH else "relu",
        use_sync_bn=False,
        norm_momentum=_MOMENTUM,
        norm_epsilon=1e-5 if kind in _RESIDUAL else 1e-3,
    )
