"""What a CenterNet needs to know, free of protobuf and TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from odflow.training.settings import DetectorSettings, Normalization, Resizer

if TYPE_CHECKING:
    from odflow.training.center_net.architecture import CenterNet

STRIDE = 4
"""Pixels of the network's input to a cell of its output, in every CenterNet of the API."""


@dataclass(frozen=True)
class Extractor:
    """The feature extractor.

    Attributes:
        type: as the config names it.
        normalization: how pixels become the network's numbers.
    """

    type: str
    normalization: Normalization


@dataclass(frozen=True)
class Head:
    """The convolutions of a prediction head before its last one, which is 1x1.

    Attributes:
        filters: channels of each.
        kernel_sizes: sides of each, in cells.
    """

    filters: tuple[int, ...] = (256,)
    kernel_sizes: tuple[int, ...] = (3,)


@dataclass(frozen=True)
class Focal:
    """The penalty-reduced focal loss of a heatmap.

    Attributes:
        alpha: exponent that plays down what is easy.
        beta: exponent that plays down what is near a peak.
    """

    alpha: float = 2.0
    beta: float = 4.0


@dataclass(frozen=True)
class Centers:
    """The heatmap of the objects' centres, a channel a class.

    Attributes:
        weight: factor on its loss.
        focal: its loss.
        bias: first bias of its logits.
        min_overlap: a box that is shifted, but has this IoU with the right one, is punished less.
        max_detections: peaks that become boxes, at most.
        peak_window: side in cells of the neighbourhood in which a peak is the highest.
        head: its convolutions.
    """

    weight: float = 1.0
    focal: Focal = Focal()
    bias: float = -2.19
    min_overlap: float = 0.7
    max_detections: int = 100
    peak_window: int = 3
    head: Head = Head()


@dataclass(frozen=True)
class Boxes:
    """The maps of the boxes' sizes, and of where in its cell a centre lies.

    Attributes:
        weight: factor on both losses.
        scale_weight: factor on the loss of the sizes.
        offset_weight: factor on the loss of the offsets.
        scale_head: convolutions of the sizes.
        offset_head: convolutions of the offsets.
    """

    weight: float = 1.0
    scale_weight: float = 0.1
    offset_weight: float = 1.0
    scale_head: Head = Head()
    offset_head: Head = Head()


@dataclass(frozen=True)
class CenterNetModel:
    """`model.center_net` of a pipeline.config.

    Attributes:
        separable: depthwise separable convolutions in the heads.
    """

    num_classes: int
    resizer: Resizer
    extractor: Extractor
    centers: Centers = Centers()
    boxes: Boxes = Boxes()
    separable: bool = False

    def architecture(self, settings: DetectorSettings) -> CenterNet:
        """What trains such a detector."""
        from odflow.training.center_net.architecture import CenterNet

        return CenterNet(settings)

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the maps in cells."""
        return self.resizer.height // STRIDE, self.resizer.width // STRIDE
