"""What a segmentation training needs to know, free of TensorFlow; `trained/segmentation.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from pydantic.dataclasses import dataclass

from odflow.errors import ConfigError
from odflow.inference.head_graph import Head
from odflow.training.model_garden.deeplab_config import DeepLabConfig
from odflow.training.settings import Settings

if TYPE_CHECKING:
    from odflow.heads.segmentation.architecture import Segmentation

TrainOnly = Literal["last_layer", "head", "all"]


@dataclass(frozen=True)
class View:
    """How an image becomes the network's input; it keeps its proportions.

    Attributes:
        height: of the input in pixels.
        width: of the input in pixels.
        scale: training draws from this range how large an image is, 1 filling the input without
            being cut; what is larger is cropped, and the room beside what is smaller is ignored.
        flip: share of the training images that are mirrored.
    """

    height: int = 512
    width: int = 512
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5


@dataclass(frozen=True)
class SegmentationModel:
    """A DeepLab, and what goes in and comes out.

    Attributes:
        classes: the name of each class number.
        network: with as many classes.
        view: the input.
        train_only: what is trained; the rest does not change.
        class_weights: of a class's pixels in the loss; 1 for others.
    """

    classes: tuple[str, ...]
    network: DeepLabConfig
    view: View = View()
    train_only: TrainOnly = "all"
    class_weights: dict[str, float] = field(default_factory=dict)

    def architecture(self, settings: Settings) -> Segmentation:
        """What trains such a model."""
        from odflow.heads.segmentation.architecture import Segmentation

        return Segmentation(settings)


SEGMENTATION = Head("segmentation", SegmentationModel, "masks")
"""Its output: (N, height, width) uint8 class numbers, of the images' own height and width."""


def class_names(names: Mapping[int, str], place: str) -> tuple[str, ...]:
    """The name of every number from 0 on; one without a name is called by its number.

    Args:
        names: of class numbers.
        place: what messages call their file.

    Raises:
        ConfigError: there are fewer than two classes, or two of one name.
    """
    listed = tuple(names.get(number, str(number)) for number in range(max(names) + 1))
    if len(listed) < 2:
        raise ConfigError(f"{place}: has the class {listed[0]} alone; wanted: two or more to tell apart.")
    twice = next((name for name in listed if listed.count(name) > 1), None)
    if twice:
        raise ConfigError(f'{place}: two classes have the name "{twice}". Rename one.')
    return listed
