"""Export a trained detector the way the Object Detection API does."""

from __future__ import annotations

import shutil
from typing import ClassVar

from pydantic import Field

from odflow.errors import InputError
from odflow.graph import InputFolder, Job, OutputFolder, Stage, output

PARTS = ("pipeline.config", "label_map.pbtxt", "checkpoint")


class Export(Stage):
    """Turn a trained detector into a frozen graph and a SavedModel.

    The frozen graph of the same weights is the same to the byte; a SavedModel holds
    a fingerprint of TensorFlow's that differs each time.
    """

    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    trained: InputFolder = Field(description="what the stage train made")

    exported: OutputFolder = output(
        "exported", "frozen_inference_graph.pb, saved_model/, checkpoint/, pipeline.config, label_map.pbtxt"
    )

    def run(self, job: Job) -> None:
        """Build the network of the trained config around the trained weights and freeze it."""
        for part in PARTS:
            if not (self.trained / part).exists():
                raise InputError(
                    f"{self.trained}: has no {part}; wanted: the folder that the stage train wrote."
                )
        from odflow.odapi.pipeline_config import read_pipeline_config
        from odflow.training.exporting import export_detector
        from odflow.training.translation import translate

        config = self.trained / "pipeline.config"
        settings, _ = translate(read_pipeline_config(config), str(config))
        self.exported.mkdir()
        export_detector(settings, self.trained, self.exported)
        for name in ("pipeline.config", "label_map.pbtxt"):
            shutil.copyfile(self.trained / name, self.exported / name)
        shutil.copytree(
            self.trained / "checkpoint", self.exported / "checkpoint", copy_function=shutil.copyfile
        )
        size = (self.exported / "frozen_inference_graph.pb").stat().st_size / 1e6
        job.say(f"frozen_inference_graph.pb, {size:.1f} MB, {settings.model.num_classes} classes")
