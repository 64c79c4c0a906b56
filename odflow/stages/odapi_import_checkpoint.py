"""Bring a checkpoint of the Object Detection API into the form that the stage train writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from odflow.graph import InputFile, InputPath, Job, OutputFolder, Stage, output
from odflow.left_out import LeftOut

if TYPE_CHECKING:
    from odflow.training.checkpoints import Report


NO_AVERAGES = (
    "{} says eval_config.use_moving_averages, and the checkpoint holds none: its values were taken, which in "
    "a checkpoint that the API exported are the averages"
)

if TYPE_CHECKING:
    from odflow.graph.checking import Checking


class ImportCheckpoint(Stage):
    """Take a checkpoint of the Object Detection API over, with an account of every variable.

    The result is what train writes: export, train and evaluate go on from it. Every variable of the
    config's network must be in the checkpoint. Of a TensorFlow 1 checkpoint the moving averages are taken
    where the config says eval_config.use_moving_averages, as the API's exporter does.
    """

    version: ClassVar[int] = 2
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    pipeline_config: InputFile = Field(description="the pipeline.config of the checkpoint's detector")
    checkpoint: InputPath = Field(
        description="a folder of checkpoints, an exported folder, a checkpoint's prefix (ckpt-0, model.ckpt) "
        "or one of its files; of the API under TensorFlow 1 or 2, of odflow or of Model Garden"
    )
    label_map: InputFile | None = Field(
        None, description="the detector's classes (.pbtxt); the one beside the checkpoint if left out"
    )
    allow_partial: bool = Field(
        False, description="go on when variables are missing or do not fit; they keep random first values"
    )

    trained: OutputFolder = output("trained", "checkpoint/, pipeline.config, label_map.pbtxt, import.json")

    @field_validator("checkpoint")
    @classmethod
    def _existing(cls, path: Path) -> Path:
        from odflow.odapi.checkpoint import existing_path

        return existing_path(path)

    def check(self, checking: Checking) -> None:
        """See that there is a checkpoint, and that its config and classes fit each other."""
        from odflow.checks import check_checkpoint
        from odflow.training.trained_folder import Imported

        check_checkpoint(checking, "checkpoint")
        if checking.given("checkpoint") and checking.given("pipeline_config"):
            checking.passes(Imported(self.pipeline_config, self._label_map()).settings, "pipeline_config")

    def also_reads(self) -> Iterable[Path]:
        """All files of the checkpoint, and the label map beside it."""
        from odflow.odapi.checkpoint import checkpoint_files

        return [*checkpoint_files(self.checkpoint), *filter(Path.is_file, [self._label_map()])]

    def run(self, job: Job) -> None:
        """Build the config's network, fill it, save it with what explains it."""
        from odflow.odapi.checkpoint import read_checkpoint
        from odflow.training.trained_folder import Imported

        imported = Imported(self.pipeline_config, self._label_map())
        settings = imported.settings()
        # TensorFlow comes with these: what is wrong with the config is told before it.
        from odflow.training.checkpoints import check_whole, fill
        from odflow.training.detector import detector_architecture

        averaged = imported.moving_averages()
        weights = read_checkpoint(self.checkpoint, averaged=averaged)
        kind = detector_architecture(settings)
        network = kind.build()
        report = fill(network, weights, kind.parts, "full", allow_partial=self.allow_partial)
        if not self.allow_partial:
            check_whole(report)
        imported.write(network, report.to_json(), self.trained)
        self._tell(job, report, averaged and weights.kind == "TF1")

    def _tell(self, job: Job, report: Report, averaged: bool) -> None:
        for name, reason in report.left.items():
            job.log.warning("%s: %s", name, reason)
        job.say(report.summary())
        advice = "Train it, or import a checkpoint that has them."
        what = "variables keep random first values"
        job.leave_out(LeftOut("variables_left_random", len(report.left), what, tuple(report.left), advice))
        if averaged:
            job.count("moving_averages_loaded", report.averages)
        if averaged and not report.averages:
            job.say(NO_AVERAGES.format(self.pipeline_config.name))

    def _label_map(self) -> Path:
        """The one given, or the one in the folder of the checkpoint or around it."""
        folder = self.checkpoint if self.checkpoint.is_dir() else self.checkpoint.parent
        beside = folder.parent if folder.name == "checkpoint" else folder
        return self.label_map or beside / "label_map.pbtxt"
