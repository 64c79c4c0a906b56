"""What the stages that run a detector have in common: the model, its classes and its tensors.

A room of its own above both columns: stages know the DAG, inference does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from odflow.formats.images import MOST_PIXELS, PIXELS_OPENED
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputPath, Stage

if TYPE_CHECKING:
    from odflow.graph.checking import Checking
    from odflow.inference.model_tensors import TensorNames

Output = Literal["detection_boxes", "detection_scores", "detection_classes", "num_detections"]


class DetectorStage(Stage):
    """Runs a detector over images."""

    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)

    model: InputPath = Field(
        description="frozen graph (.pb), SavedModel folder, exported folder, or TFLite detection file"
    )
    label_map: InputFile | None = Field(
        None,
        description="label map (.pbtxt) with the model's classes; an exported folder holds its own",
    )
    input: str | None = Field(
        None,
        description="the image's tensor, where it is neither called as in exports of the API nor the "
        "only one: as in x:0, or a key of a SavedModel's signature",
    )
    outputs: dict[Output, str] | None = Field(
        None,
        description="what the model calls detection_boxes, detection_scores, detection_classes and "
        "num_detections (where it has that), if it calls them otherwise: as in Identity_1:0, or a key "
        "of a SavedModel's signature",
    )
    signature: str | None = Field(
        None, description="of a SavedModel; serving_default, or the only one, if left out"
    )
    trust_model: bool = Field(
        False,
        description="run a model with operations that reach files, Python or the network; a model is a "
        "program: only where you trust who made it",
    )
    max_pixels: int = Field(
        MOST_PIXELS,
        ge=1,
        le=PIXELS_OPENED,
        description="images with more pixels are unreadable: detect counts and names them, evaluate ends",
    )

    def tensors(self) -> TensorNames:
        """What the model calls its tensors."""
        from odflow.inference.model_tensors import TensorNames

        named = dict(self.outputs or {})
        return TensorNames(self.input, tuple(sorted(named.items())), self.signature)

    def check_detector(self, checking: Checking) -> None:
        """See that there is a model, and nothing named that its form has not."""
        from odflow.odapi.model_files import detector_file

        given = checking.given("model")
        if given is not None:
            named, signature = bool(self.input or self.outputs), self.signature is not None
            checking.passes(lambda: detector_file(given, named=named, signature=signature), "model")

    def classes_file(self) -> Path:
        """The label map: the one that was given, or that of the exported folder.

        Raises:
            InputError: there is none.
        """
        from odflow.inference.detector import label_map_file

        return label_map_file(self.model, self.label_map)


def tell_resized(job: Job, size: Sequence[int | None]) -> None:
    """Say that a graph takes images of one size alone.

    Args:
        job: hears it.
        size: height and width in pixels, None where that side may be any; empty where both may.
    """
    if not size:
        return
    height, width = ("any" if side is None else str(side) for side in size)
    job.say(
        f"the model takes images of {width}x{height} pixels alone: each is resized to that, its boxes back"
    )
