"""ResNet v1 under a feature pyramid."""

from __future__ import annotations

import re

import tf_keras

from odflow.training.layers.convolutions import Convolutions
from odflow.training.layers.resnet_v1 import ResNetV1, resnet_hyperparams, slim_hyperparams
from odflow.training.settings import Hyperparams
from odflow.training.ssd.fpn_extractor import COARSEST, FpnExtractor
from odflow.training.ssd.settings import Extractor


def fpn_extractor(settings: Extractor, layers: Convolutions) -> FpnExtractor:
    """`ssd_resnet50_v1_fpn_keras`, 101 and 152, and those of TensorFlow 1."""
    depth = int(re.findall(r"resnet(\d+)_", settings.type)[0])
    network = ResNetV1(
        layers.with_hyperparams(_backbone_hyperparams(settings)),
        depth,
        settings.depth_multiplier,
        settings.min_depth,
        settings.slim,
        whole_maps=settings.slim,
    )
    images = tf_keras.Input((None, None, 3))
    backbone = tf_keras.Model(images, network.stages(images))
    assert settings.pyramid is not None
    last = min(settings.pyramid.max_level, COARSEST)
    coarse = [f"bottom_up_block{i}" for i in range(last, settings.pyramid.max_level)]
    return FpnExtractor(backbone, settings, layers, coarse, name=f"ResNet{depth}V1_FPN")


def _backbone_hyperparams(settings: Extractor) -> Hyperparams:
    override = settings.hyperparams if settings.override_hyperparams else None
    return slim_hyperparams(override) if settings.slim else override or resnet_hyperparams()
