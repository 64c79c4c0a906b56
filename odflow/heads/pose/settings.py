"""What a pose training needs to know, free of TensorFlow; `trained/pose.json` holds it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from odflow.heads.pose.skeleton import Skeleton
from odflow.inference.head_graph import Head
from odflow.training.settings import Settings

if TYPE_CHECKING:
    from odflow.heads.pose.architecture import Pose


@dataclass(frozen=True)
class Crop:
    """How a person becomes the network's input.

    Attributes:
        height: of the input in pixels.
        width: of the input in pixels.
        whole: the whole image is stretched to the input; nothing is cropped (FLIC's own way).
        margin: room around the person's joints, as a share of the body height.
        margin_range: training draws the margin from this range.
        flip: share of the training images that are flipped.
        rotation: training turns by up to so many degrees either way.
        scale: training makes the crop smaller or larger by up to this share.
    """

    height: int = 256
    width: int = 256
    whole: bool = False
    margin: float = 0.2
    margin_range: tuple[float, float] = (0.1, 0.3)
    flip: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True)
class Heatmaps:
    """What the network shall give for a person: one map a joint.

    Attributes:
        height: in cells.
        width: in cells.
        kernel: `gaussian`, or `binomial`: the outer product of [1 2 1] / 4 (FLIC's own way).
        sigma: gaussian: standard deviation in cells.
        support: gaussian: side of the patch in cells, odd.
        peak: gaussian: the value at the joint.
    """

    height: int = 64
    width: int = 64
    kernel: str = "gaussian"
    sigma: float = 1.0
    support: int = 7
    peak: float = 12.0


@dataclass(frozen=True)
class PoseModel:
    """A stacked hourglass network, and what goes in and comes out.

    Attributes:
        skeleton: the joints.
        crop: the input.
        heatmaps: the targets; a quarter of the input's height and width.
        stacks: hourglasses, one after the other, each with an output.
        channels: of the feature maps.
        order: times that an hourglass halves its maps.
        foreground_weight: added to the weight 1 of a cell whose target is positive.
    """

    skeleton: Skeleton
    crop: Crop = Crop()
    heatmaps: Heatmaps = Heatmaps()
    stacks: int = 1
    channels: int = 256
    order: int = 4
    foreground_weight: float = 81.0

    def architecture(self, settings: Settings) -> Pose:
        """What trains such a model."""
        from odflow.heads.pose.architecture import Pose

        return Pose(settings)


@dataclasses.dataclass(frozen=True)
class PoseSettings(Settings):
    """What is trained, and how.

    Attributes:
        model: the network.
        training: how it is trained.
        keep: what the weights that are kept are best at: `pck` or `loss`.
    """

    model: PoseModel
    keep: str = "pck"


POSE = Head("pose", PoseModel, "keypoints")
"""Its output: (N, joints, 3) float32, y x score; y and x as shares of the image's height and width."""
