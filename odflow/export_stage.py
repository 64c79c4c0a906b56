"""What the export stages of heads have in common: from a trained folder to graphs that anything can run.

A room of its own above both columns: stages know the DAG, training does not.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from odflow.graph.job import Job
from odflow.graph.stage import InputFolder, InputPath, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.graph.checking import Checking


class ExportStage(Stage):
    """Turns the trained network of a head into a frozen graph and a SavedModel.

    A head's stage says which head: `_head`, when two outputs are the same: `_sameness`, and
    what to tell of a model: `_summary`.
    """

    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    trained: InputFolder = Field(description="what the training stage of the head made")
    check_images: InputPath | None = Field(
        None,
        description="images, a folder or a list file, in which each file must find what the checkpoint "
        "does (the first 20 are used); drawn ones if left out",
    )

    exported: OutputFolder = output(
        "exported", "frozen_inference_graph.pb, saved_model/, checkpoint/, the settings of the model"
    )

    @abstractmethod
    def _head(self) -> Any:
        """What the files of the head's models are like: an `odflow.inference.head_graph.Head`."""

    @abstractmethod
    def _sameness(self) -> Any:
        """When two outputs are the same: an `odflow.training.export.head_graph.Sameness`."""

    @abstractmethod
    def _summary(self, model: Any) -> str:
        """A line about a model, from its settings."""

    def check(self, checking: Checking) -> None:
        """See that a model of this head was trained, and that there are images to compare on."""
        from odflow.checks import check_image_folder

        if checking.given("trained"):
            checking.passes(lambda: self._head().read_model(self.trained), "trained")
        check_image_folder(checking, "check_images")

    def also_reads(self) -> Iterable[Path]:
        """The images that a list file names."""
        from odflow.formats.images import find_images

        if self.check_images is None or self.check_images.is_dir():
            return []
        return [image.path for image in find_images(self.check_images)]

    def run(self, job: Job) -> None:
        """Build the network around the trained weights, write it out, and check what was written."""
        from odflow.training.export.drawn_images import images_to_check
        from odflow.training.export.head_graph import export_head

        head, images = self._head(), images_to_check(self.check_images)
        lines = export_head(head, self.trained, self.exported, images, self._sameness())
        for line in job.progress(lines, total=2, unit="file"):
            job.say(line)
        job.say(self._summary(head.read_model(self.exported)))
