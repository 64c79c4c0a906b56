"""What builds each feature extractor and each box predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tf_keras

from odflow.training.layers.convolutions import Convolutions
from odflow.training.ssd import efficientnet, mobilenet_v1, mobilenet_v2, resnet_fpn
from odflow.training.ssd.convolutional_predictor import convolutional_predictor
from odflow.training.ssd.settings import ConvolutionalPredictor, Extractor, WeightSharedPredictor
from odflow.training.ssd.weight_shared_predictor import weight_shared_predictor

EXTRACTORS: dict[str, Callable[[Extractor, Convolutions], tf_keras.layers.Layer]] = {
    "ssd_mobilenet_v1": mobilenet_v1.plain_extractor,
    "ssd_mobilenet_v1_keras": mobilenet_v1.plain_extractor,
    "ssd_mobilenet_v1_fpn": mobilenet_v1.fpn_extractor,
    "ssd_mobilenet_v1_fpn_keras": mobilenet_v1.fpn_extractor,
    "ssd_mobilenet_v2": mobilenet_v2.plain_extractor,
    "ssd_mobilenet_v2_keras": mobilenet_v2.plain_extractor,
    "ssd_mobilenet_v2_fpn": mobilenet_v2.fpn_extractor,
    "ssd_mobilenet_v2_fpn_keras": mobilenet_v2.fpn_extractor,
    **{
        f"ssd_resnet{depth}_v1_fpn{suffix}": resnet_fpn.fpn_extractor
        for depth in (50, 101, 152)
        for suffix in ("", "_keras")
    },
    **{f"ssd_efficientnet-b{size}_bifpn_keras": efficientnet.bifpn_extractor for size in range(8)},
}
"""`Extractor.type` to what makes the layer, from images (N, H, W, 3) to a list of maps, finest first."""

PREDICTORS: dict[type, Callable[[Any, Sequence[int], int, Convolutions], tf_keras.layers.Layer]] = {
    ConvolutionalPredictor: convolutional_predictor,
    WeightSharedPredictor: weight_shared_predictor,
}
"""The type of the predictor's settings to what makes the layer; see `weight_shared_predictor`."""
