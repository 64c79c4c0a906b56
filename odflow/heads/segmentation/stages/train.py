"""The stage `segmentation.train`: from records of images and masks to a network that finds classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from odflow.errors import ConfigError, nearest
from odflow.graph.stage import InputFile, OutputFolder, output
from odflow.training_stage import TrainingStage

if TYPE_CHECKING:
    from odflow.formats.record_check import Looking
    from odflow.heads.segmentation.settings import SegmentationModel
    from odflow.inference.head_graph import Head


class Train(TrainingStage):
    """Train a DeepLab to find the class of each pixel.

    Two trainings of the same inputs give the same kind of network, not the same
    bytes: sums over threads come in no fixed order.
    """

    class_names: InputFile = Field(
        description="classes.json of segmentation.records: the class of each number in the masks"
    )
    train_only: Literal["last_layer", "head", "all"] = Field(
        "all",
        description="last_layer: the convolution that tells classes apart; head: all but the backbone. The "
        "rest, the moments of its batch norms included, stays as fine_tune_checkpoint has it",
    )

    backbone: Literal[
        "mobilenet/MobileNetV1", "mobilenet/MobileNetV2", "dilated_resnet/50", "dilated_resnet/101"
    ] = Field("mobilenet/MobileNetV2", description="what the features come from, as Model Garden calls it")
    width: float = Field(1.0, gt=0, description="factor of the channels of a MobileNet")
    plus: bool = Field(False, description="DeepLabV3+: the head sees features at stride 4, too")
    output_stride: Literal[8, 16, 32] = Field(
        16, description="pixels of the input to a cell of the features; less is finer and slower"
    )
    dilation_rates: list[int] | None = Field(
        None,
        description="of the pyramid's 3x3 convolutions, as in 6 12 18; if left out these for ResNets, twice "
        "as much at output_stride 8, and none for MobileNets",
    )
    filters: int = Field(256, ge=1, description="channels of the pyramid and of the head")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the pyramid's features that are dropped")
    batch_norm_momentum: float = Field(
        0.9, gt=0, lt=1, description="share of a batch norm's moments that a step keeps"
    )
    weight_decay: float = Field(4e-5, ge=0, description="factor of half the squares of the kernels")

    input_height: int = Field(512, ge=32, description="height of the network's input in pixels")
    input_width: int = Field(512, ge=32, description="width of the network's input in pixels")
    scale: tuple[float, float] = Field(
        (0.5, 2.0),
        description="training draws how large an image is from this range, 1 filling the input without being "
        "cut; what is larger is cropped",
    )
    flip: float = Field(0.5, ge=0, le=1, description="share of the training images that are mirrored")
    class_weights: dict[str, float] = Field(
        default_factory=dict, description="of a class's pixels in the loss, by name; 1 if left out"
    )

    batch_size: int = Field(8, ge=1, description="images a step, of all devices together")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's, at the start")
    schedule: Literal["constant", "steps", "cosine", "plateau"] = Field(
        "cosine",
        description="steps: a tenth at each of drop_epochs; cosine: falls to 0 at the end; plateau: a tenth "
        "after 10 epochs without a lower loss on valid_records",
    )

    trained: OutputFolder = output(
        "trained", "checkpoint/, segmentation.json, tensorboard/, evaluations.json, fine_tune.json"
    )

    @model_validator(mode="after")
    def _network_fits(self) -> Train:
        if self.train_only != "all" and self.fine_tune_checkpoint is None:
            raise ValueError(f"train_only: {self.train_only} needs fine_tune_checkpoint")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError("scale: wanted the smaller number first, both above 0")
        if self.width != 1 and not self.backbone.startswith("mobilenet/"):
            raise ValueError("width is of MobileNets only")
        if min(self.class_weights.values(), default=0) < 0:
            raise ValueError("class_weights: wanted 0 or more")
        return self

    def _head(self) -> Head[SegmentationModel]:
        from odflow.heads.segmentation.settings import SEGMENTATION

        return SEGMENTATION

    def _model(self) -> SegmentationModel:
        from odflow.heads.segmentation.settings import SegmentationModel, View
        from odflow.training.model_garden.deeplab_config import DeepLabConfig

        classes = self._classes()
        network = DeepLabConfig(
            num_classes=len(classes),
            dilation_rates=self._dilation_rates(),
            **{
                name: getattr(self, name)
                for name in (
                    "backbone",
                    "plus",
                    "width",
                    "output_stride",
                    "filters",
                    "dropout",
                    "batch_norm_momentum",
                    "weight_decay",
                )
            },
        )
        view = View(self.input_height, self.input_width, self.scale, self.flip)
        return SegmentationModel(classes, network, view, self.train_only, self.class_weights)

    def _classes(self) -> tuple[str, ...]:
        from odflow.formats.mask_classes import read_mask_classes
        from odflow.heads.segmentation.settings import class_names

        classes = class_names(read_mask_classes(self.class_names).names, str(self.class_names))
        unknown = [name for name in self.class_weights if name not in classes]
        if unknown:
            told = (f'class_weights: there is no class "{name}".{nearest(name, classes)}' for name in unknown)
            raise ConfigError(*told)
        return classes

    def _dilation_rates(self) -> tuple[int, ...]:
        if self.dilation_rates is not None:
            return tuple(self.dilation_rates)
        if self.backbone.startswith("mobilenet/"):
            return ()
        return (12, 24, 36) if self.output_stride == 8 else (6, 12, 18)

    def _check(self, model: Any, files: Sequence[Path], looking: Looking) -> int:
        from odflow.heads.segmentation.record_check import check_masks

        return check_masks(files, len(model.classes), looking)
