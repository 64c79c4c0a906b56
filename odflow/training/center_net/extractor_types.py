"""The feature extractors that odflow builds for a CenterNet, as a config needs to know them."""

from __future__ import annotations

from dataclasses import dataclass

from odflow.training.settings import Normalization


@dataclass(frozen=True)
class HourglassShape:
    """How large an hourglass is.

    Attributes:
        stem: channels of the first convolution.
        channels: of each stage, the finest first; each stage halves the map.
        blocks: residual blocks of each stage.
        stacks: hourglasses one after the other, each with an output.
    """

    stem: int
    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    stacks: int = 1

    @property
    def step(self) -> int:
        """What the sides of an image must be multiples of, in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)


HOURGLASSES = {
    "hourglass_10": HourglassShape(32, (64, 64), (1, 1)),
    "hourglass_20": HourglassShape(48, (96, 96, 144), (1, 2, 2)),
    "hourglass_32": HourglassShape(48, (96, 96, 144, 144), (2, 2, 2, 2)),
    "hourglass_52": HourglassShape(64, (128, 128, 192, 192, 192, 256), (2, 2, 2, 2, 2, 4)),
    "hourglass_104": HourglassShape(128, (256, 256, 384, 384, 384, 512), (2, 2, 2, 2, 2, 4), 2),
}
"""`feature_extractor.type` to its shape."""

RESNET_STEP = 32
"""What the sides of a ResNet's image must be multiples of, in pixels."""

V1 = Normalization((103.939, 116.779, 123.68), bgr=True)
V2 = Normalization((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))

RESNETS = {"resnet_v1_50_fpn": V1, "resnet_v1_101_fpn": V1, "resnet_v2_50": V2, "resnet_v2_101": V2}
"""`feature_extractor.type` to what Keras does to its pixels, after the config's means and deviations."""


def joined(first: Normalization, then: Normalization) -> Normalization:
    """The one normalization that does what two do, one after the other; padded as the first one."""
    means = first.means[::-1] if then.bgr else first.means
    deviations = first.deviations[::-1] if then.bgr else first.deviations
    shifted = [mean + shift * by for mean, shift, by in zip(means, then.means, deviations, strict=True)]
    scaled = [by * more for by, more in zip(deviations, then.deviations, strict=True)]
    return Normalization(
        (shifted[0], shifted[1], shifted[2]),
        (scaled[0], scaled[1], scaled[2]),
        first.bgr != then.bgr,
        first.padding_too,
    )
