"""The feature extractors that odflow builds: what a config needs to know of them, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

VGG_MEANS = (123.68, 116.779, 103.939)
"""What the ResNets subtract from red, green and blue."""


@dataclass(frozen=True)
class ExtractorType:
    """What an extractor asks of a config.

    Attributes:
        pyramid: `fpn` or `bifpn`, the message with its levels; empty for a plain SSD's maps.
        pixel_means: see `Extractor`.
        plain_only: it has neither depthwise layers nor explicit padding, and ignores both, as the API's.
    """

    pyramid: str
    pixel_means: tuple[float, float, float] | None = None
    plain_only: bool = False


MOBILENET_FPN = ExtractorType("fpn")
RESNET_FPN = ExtractorType("fpn", VGG_MEANS, plain_only=True)

EXTRACTOR_TYPES: dict[str, ExtractorType] = {
    "ssd_mobilenet_v2_fpn": MOBILENET_FPN,
    "ssd_mobilenet_v2_fpn_keras": MOBILENET_FPN,
    "ssd_resnet50_v1_fpn": RESNET_FPN,
    "ssd_resnet50_v1_fpn_keras": RESNET_FPN,
    "ssd_resnet101_v1_fpn": RESNET_FPN,
    "ssd_resnet101_v1_fpn_keras": RESNET_FPN,
    "ssd_resnet152_v1_fpn": RESNET_FPN,
    "ssd_resnet152_v1_fpn_keras": RESNET_FPN,
}
"""`feature_extractor.type` to what it is; `extractors.EXTRACTORS` builds each."""
