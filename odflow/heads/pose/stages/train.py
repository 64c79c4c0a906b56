"""The stage `pose.train`: from records of people to a network that finds their joints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from odflow.graph.stage import OutputFolder, output
from odflow.training_stage import TrainingStage

if TYPE_CHECKING:
    from odflow.formats.record_check import Looking
    from odflow.heads.pose.settings import PoseModel, PoseSettings
    from odflow.inference.head_graph import Head
    from odflow.training.settings import Training


class Train(TrainingStage):
    """Train a stacked hourglass to find the joints of a person.

    Two trainings of the same inputs give the same kind of network, not the same
    bytes: sums over threads come in no fixed order.
    """

    examples: ClassVar[tuple[str, str]] = ("person", "people")

    skeleton: str = Field(description="mpii, flic, lsp, coco or a JSON file: the joints, as in the records")

    input_height: int = Field(256, ge=8, description="height of the network's input in pixels")
    input_width: int = Field(256, ge=8, description="width of the network's input in pixels")
    stride: Literal[2, 4, 8] = Field(4, description="pixels of the input to a cell of the heatmaps")
    kernel: Literal["gaussian", "binomial"] = Field(
        "gaussian", description="what stands around a joint; binomial: [1 2 1] / 4 both ways, as for FLIC"
    )
    sigma: float = Field(1.0, gt=0, description="gaussian: standard deviation in cells")
    support: int = Field(7, ge=1, description="gaussian: side of the patch in cells, odd")
    peak: float = Field(12.0, gt=0, description="gaussian: the value at the joint")
    whole: bool = Field(False, description="stretch the whole image to the input; crop nothing")
    margin: float = Field(0.2, ge=0, description="room around a person's joints, as a share of body height")
    margin_range: tuple[float, float] = Field(
        (0.1, 0.3), description="training draws the margin from this range"
    )
    flip: float = Field(0.0, ge=0, le=1, description="share of the training images that are mirrored")
    rotation: float = Field(
        0.0, ge=0, le=180, description="training turns by up to so many degrees either way"
    )
    scale: float = Field(0.0, ge=0, lt=1, description="training changes the crop's size by up to this share")

    stacks: int = Field(1, ge=1, le=8, description="hourglasses, one after the other")
    channels: int = Field(256, ge=4, description="channels of the feature maps, a multiple of 4")
    order: int = Field(4, ge=1, description="times that an hourglass halves its maps")
    foreground_weight: float = Field(
        81.0, ge=0, description="added to the weight 1 of a heatmap's cells that shall be above 0"
    )

    keep: Literal["pck", "loss"] = Field("pck", description="what the weights that are kept are best at")

    trained: OutputFolder = output(
        "trained", "checkpoint/, pose.json, tensorboard/, evaluations.json, fine_tune.json"
    )

    @model_validator(mode="after")
    def _margins(self) -> Train:
        if self.margin_range[0] > self.margin_range[1] or self.margin_range[0] < 0:
            raise ValueError("margin_range: wanted the smaller number first, neither below 0")
        return self

    def also_reads(self) -> Iterable[Path]:
        """A skeleton of one's own, and the files of a checkpoint."""
        own = Path(self.skeleton)
        return [*([own] if own.is_file() else ()), *super().also_reads()]

    def _head(self) -> Head[PoseModel]:
        from odflow.heads.pose.settings import POSE

        return POSE

    def _model(self) -> PoseModel:
        from odflow.heads.pose.hourglass import check_shape
        from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel
        from odflow.heads.pose.skeleton import read_skeleton

        crop = ("whole", "margin", "margin_range", "flip", "rotation", "scale")
        maps = ("kernel", "sigma", "support", "peak")
        size = self.input_height, self.input_width
        cells = size[0] // self.stride, size[1] // self.stride
        model = PoseModel(
            read_skeleton(self.skeleton),
            Crop(*size, **{name: getattr(self, name) for name in crop}),
            Heatmaps(*cells, **{name: getattr(self, name) for name in maps}),
            self.stacks,
            self.channels,
            self.order,
            self.foreground_weight,
        )
        check_shape(model)
        return model

    def _check(self, model: Any, files: Sequence[Path], looking: Looking) -> int:
        from odflow.heads.pose.record_check import check_people

        return check_people(files, model.skeleton.joints, looking)

    def _settings(self, model: Any, training: Training) -> PoseSettings:
        from odflow.heads.pose.settings import PoseSettings

        return PoseSettings(model, training, self.keep)
