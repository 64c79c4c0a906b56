"""The stage `visibility.train`: from records with boxes to a network that tells which classes can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from odflow.graph.job import Job
from odflow.graph.stage import InputFile, OutputFolder, output
from odflow.training_stage import TrainingStage

if TYPE_CHECKING:
    from odflow.formats.object_check import RecordSummary
    from odflow.formats.record_check import Looking
    from odflow.heads.visibility.settings import VisibilityModel
    from odflow.inference.head_graph import Head

SHOWN = 10
"""Classes that a warning names."""


class Train(TrainingStage):
    """Train a network to tell which classes an image shows: those that it has a box of.

    Two trainings of the same inputs give the same kind of network, not the same
    bytes: sums over threads come in no fixed order.
    """

    label_map: InputFile = Field(description="the classes of the records (.pbtxt)")

    backbone: str = Field(
        "small_cnn",
        description="small_cnn, or a type of Model Garden's classification backbones and its model_id: "
        "mobilenet/MobileNetV2, resnet/18, efficientnet/b0, ...",
    )
    width: float = Field(1.0, gt=0, description="factor of the backbone's channels, where it has one")
    input_height: int = Field(144, ge=32, description="images are stretched to this height in pixels")
    input_width: int = Field(192, ge=32, description="images are stretched to this width in pixels")
    flip: float = Field(0.5, ge=0, le=1, description="share of the training images that are mirrored")
    crop: float = Field(
        0.5,
        gt=0,
        le=1,
        description="training cuts out windows of this share of the image's area or more; what is outside is "
        "not visible in them; 1: the whole image",
    )
    colour: float = Field(
        0.3, ge=0, le=1, description="how far training changes brightness, contrast, saturation and hue"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features that training drops")
    weight_decay: float = Field(1e-4, ge=0, description="L2 regularization of the kernels, half squared")

    epochs: int = Field(120, ge=1, description="times that every image is seen")
    batch_size: int = Field(8, ge=1, description="images a step, of all devices together")
    learning_rate: float = Field(3e-3, gt=0, description="Adam's, at the start")
    schedule: Literal["constant", "steps", "cosine", "plateau"] = Field(
        "cosine", description=TrainingStage.model_fields["schedule"].description
    )

    trained: OutputFolder = output(
        "trained", "checkpoint/, visibility.json, tensorboard/, evaluations.json, fine_tune.json"
    )

    def _head(self) -> Head[VisibilityModel]:
        from odflow.heads.visibility.settings import VISIBILITY

        return VISIBILITY

    def _model(self) -> VisibilityModel:
        from odflow.formats.label_map import read_label_map
        from odflow.heads.visibility.settings import Look, VisibilityModel

        return VisibilityModel(
            read_label_map(self.label_map).labels,
            Look(self.input_height, self.input_width, self.flip, self.crop, self.colour),
            **{name: getattr(self, name) for name in ("backbone", "width", "dropout", "weight_decay")},
        )

    def _check(self, model: Any, files: Sequence[Path], looking: Looking) -> int:
        return _summary(model, files, looking).examples

    def _checked(self, job: Job, model: Any, files: Sequence[Path]) -> int:
        from odflow.formats.object_classes import unknown_objects
        from odflow.formats.record_check import Looking

        count = super()._checked(job, model, files)
        found = _summary(model, files, Looking(verify="structure", map=job.map))
        never = [label.name for label in model.classes if not found.classes[label.id]]
        if never:
            job.log.warning("%s: no image shows %s, which cannot be learnt", self.train_records, _list(never))
        objects = found.objects + found.unknown_texts.total()
        ids = model.label_map.ids
        job.leave_out(unknown_objects(found.unknown_texts, objects, ids, str(self.label_map)))
        return count


def _summary(model: VisibilityModel, files: Sequence[Path], looking: Looking) -> RecordSummary:
    from odflow.formats.object_check import Wanted, check_records

    ids = model.label_map.ids
    return check_records(files, Wanted(max(ids.values()), ids), looking)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
