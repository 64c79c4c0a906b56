"""What a DeepLab is like, free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Backbone = Literal[
    "mobilenet/MobileNetV1", "mobilenet/MobileNetV2", "dilated_resnet/50", "dilated_resnet/101"
]
"""A type of Model Garden's backbones and its model_id, as `backbones.build_backbone` takes them."""

OutputStride = Literal[8, 16, 32]


@dataclass(frozen=True)
class DeepLabConfig:
    """What a DeepLab is like.

    Attributes:
        num_classes: channels of the logits.
        backbone: ResNets have DeepLab's stem of three 3x3 convolutions.
        plus: DeepLabV3+: a head of two convolutions that also sees features at stride 4.
        width: factor of the backbone's channels; of MobileNets only.
        output_stride: pixels of the image a feature's step is wide: 8, 16 or 32.
        dilation_rates: of the pyramid's 3x3 convolutions; with none it has a 1x1 convolution and
            the image's mean alone, as Model Garden has it for MobileNets.
        filters: channels of the pyramid and of the head.
        dropout: share of the pyramid's features that training drops.
        batch_norm_momentum: of all batch norms.
        weight_decay: factor of the L2 regularization.
    """

    num_classes: int
    backbone: Backbone = "mobilenet/MobileNetV2"
    plus: bool = False
    width: float = 1.0
    output_stride: OutputStride = 16
    dilation_rates: tuple[int, ...] = ()
    filters: int = 256
    dropout: float = 0.0
    batch_norm_momentum: float = 0.99
    weight_decay: float = 4e-5
