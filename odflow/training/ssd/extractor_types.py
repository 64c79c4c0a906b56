"""The feature extractors that odflow builds: what a config needs to know of them, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from odflow.training.settings import Normalization, Pixels

VGG_MEANS = (123.68, 116.779, 103.939)
"""What the ResNets subtract from red, green and blue."""

IMAGENET = Normalization(
    means=(0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0),
    deviations=(0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0),
)
"""ImageNet's mean and deviation of red, green and blue, which the EfficientNets take out."""


@dataclass(frozen=True)
class ExtractorType:
    """What an extractor asks of a config.

    Attributes:
        pyramid: `fpn` or `bifpn`, the message with its levels; empty for a plain SSD's maps.
        pixel_means: see `Extractor`.
        scalable: it has a depth multiplier.
        plain_only: it has neither depthwise layers nor explicit padding, and ignores both, as the API's.
    """

    pyramid: str
    pixel_means: Pixels = None
    plain_only: bool = False
    scalable: bool = True


MOBILENET = ExtractorType("")
MOBILENET_FPN = ExtractorType("fpn")
RESNET_FPN = ExtractorType("fpn", VGG_MEANS, plain_only=True)
EFFICIENTNET_BIFPN = ExtractorType("bifpn", IMAGENET, plain_only=True, scalable=False)

EXTRACTOR_TYPES: dict[str, ExtractorType] = {
    **{f"ssd_mobilenet_v{version}{suffix}": MOBILENET for version in (1, 2) for suffix in ("", "_keras")},
    "ssd_mobilenet_v1_fpn": MOBILENET_FPN,
    "ssd_mobilenet_v1_fpn_keras": MOBILENET_FPN,
    "ssd_mobilenet_v2_fpn": MOBILENET_FPN,
    "ssd_mobilenet_v2_fpn_keras": MOBILENET_FPN,
    "ssd_resnet50_v1_fpn": RESNET_FPN,
    "ssd_resnet50_v1_fpn_keras": RESNET_FPN,
    "ssd_resnet101_v1_fpn": RESNET_FPN,
    "ssd_resnet101_v1_fpn_keras": RESNET_FPN,
    "ssd_resnet152_v1_fpn": RESNET_FPN,
    "ssd_resnet152_v1_fpn_keras": RESNET_FPN,
    **{f"ssd_efficientnet-b{size}_bifpn_keras": EFFICIENTNET_BIFPN for size in range(8)},
}
"""`feature_extractor.type` to what it is; `extractors.EXTRACTORS` builds each."""

INSTEAD = {
    "embedded_ssd_mobilenet_v1": "ssd_mobilenet_v1 with num_layers: 5",
    "ssd_mobilenet_v1_ppn": "ssd_mobilenet_v1 with a convolutional_box_predictor",
    "ssd_mobilenet_v2_mnasfpn": "ssd_mobilenet_v2_fpn with use_depthwise: true",
    "ssd_inception": "ssd_mobilenet_v2",
    "ssd_mobiledet": "ssd_mobilenet_v2",
    "ssd_mobilenet_edgetpu": "ssd_mobilenet_v2",
    "ssd_mobilenet_v3": "ssd_mobilenet_v2",
    "ssd_pnasnet": "ssd_resnet101_v1_fpn with a multiscale_anchor_generator",
    "ssd_resnet50_v1_ppn": "ssd_resnet50_v1_fpn with a multiscale_anchor_generator",
    "ssd_resnet101_v1_ppn": "ssd_resnet101_v1_fpn with a multiscale_anchor_generator",
    "ssd_resnet152_v1_ppn": "ssd_resnet152_v1_fpn with a multiscale_anchor_generator",
    "ssd_spaghettinet": "ssd_mobilenet_v2_fpn with use_depthwise: true",
}
"""How the API's other types begin, and what comes nearest to them."""
