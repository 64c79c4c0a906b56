"""What a visibility training needs to know, free of TensorFlow; `trained/visibility.json` holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from odflow.formats.label_map import Label, LabelMap
from odflow.inference.head_graph import Head
from odflow.training.settings import Settings

if TYPE_CHECKING:
    from odflow.heads.visibility.architecture import Visibility

SMALL_CNN = "small_cnn"
"""The backbone that is not of Model Garden."""


@dataclass(frozen=True)
class Look:
    """How an image becomes the network's input: it is stretched to it.

    Attributes:
        height: of the input in pixels.
        width: of the input in pixels.
        flip: share of the training images that are mirrored.
        crop: training cuts out windows of this share of the image's area or more; 1: it does not.
        colour: how far training changes brightness, contrast, saturation and hue, 0 to 1.
    """

    height: int
    width: int
    flip: float = 0.5
    crop: float = 0.5
    colour: float = 0.3


@dataclass(frozen=True)
class VisibilityModel:
    """A network that tells of each class whether an image shows it.

    Attributes:
        classes: in the order of the outputs.
        look: the input.
        backbone: `small_cnn`, or one of Model Garden's, see `build_backbone`.
        width: factor of the backbone's channels.
        dropout: share of the features that training drops.
        weight_decay: of the kernels, a factor of tf.nn.l2_loss.
    """

    classes: tuple[Label, ...]
    look: Look
    backbone: str = SMALL_CNN
    width: float = 1.0
    dropout: float = 0.0
    weight_decay: float = 1e-4

    @property
    def label_map(self) -> LabelMap:
        """The classes with all of their names."""
        return LabelMap(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """What metrics call the classes; no two are the same, as display names may be."""
        return tuple(label.name for label in self.classes)

    def architecture(self, settings: Settings) -> Visibility:
        """What trains such a model."""
        from odflow.heads.visibility.architecture import Visibility

        return Visibility(settings)


VISIBILITY = Head("visibility", VisibilityModel, "scores")
"""Its output: (N, classes) float32, 0 to 1."""
