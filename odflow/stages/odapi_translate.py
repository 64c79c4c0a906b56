"""Say what training makes of an Object Detection API pipeline.config."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from odflow.graph import InputFile, Job, OutputFile, Stage, output

if TYPE_CHECKING:
    from odflow.graph.checking import Checking


class Translate(Stage):
    """Translate a pipeline.config, and tell what became of every field that it sets.

    Places that are still PATH_TO_BE_CONFIGURED are listed, and are no error here; nor is what only training
    asks for, such as an optimizer.
    """

    version: ClassVar[int] = 2

    pipeline_config: InputFile = Field(description="an Object Detection API pipeline.config")
    set: dict[str, str | int | float | bool] = Field(
        {}, description="fields to change first, by their proto path: train_config.batch_size=8"
    )
    strict: bool = Field(False, description="an approximated or unsupported field is an error")

    experiment: OutputFile = output(
        "experiment.json", "what would be trained, with every default filled in; or untrainable: why not"
    )
    table: OutputFile = output("translation.json", "every field: honoured, approximated, ... and why")
    page: OutputFile = output("translation.md", "the same table to read")

    def check(self, checking: Checking) -> None:
        """See that the config can be translated."""
        from odflow import checks
        from odflow.odapi.coverage_report import CoverageReport

        change = partial(checks.set_fields, checking, changes=self.set)
        found = checks.translation_of(
            checking, "pipeline_config", self.pipeline_config, change, to_train=False
        )
        if found and self.strict:
            checking.passes(CoverageReport.of(found.config, found.coverage).check_strict, "strict")

    def run(self, job: Job) -> None:
        """Read, change, translate, write; TensorFlow is not needed."""
        import dataclasses
        import json

        from odflow.odapi.assignment import set_field
        from odflow.odapi.coverage_report import CoverageReport
        from odflow.odapi.pipeline_config import read_pipeline_config, unfilled_paths
        from odflow.training.translation import translate

        config = read_pipeline_config(self.pipeline_config)
        for path, value in self.set.items():
            set_field(config, path, value)
        settings, coverage = translate(config, str(self.pipeline_config), to_train=False)
        report = CoverageReport.of(config, coverage)
        if self.strict:
            report.check_strict()
        plain = {
            "architecture": config.model.WhichOneof("model"),
            **dataclasses.asdict(settings),
            **({"training": None, "untrainable": coverage.untrainable} if coverage.untrainable else {}),
        }
        self.experiment.write_text(json.dumps(plain, indent=2, default=str) + "\n", encoding="utf-8")
        self.table.write_text(report.to_json(), encoding="utf-8")
        self.page.write_text(report.to_markdown(), encoding="utf-8")
        for path, verdict in report.loose():
            job.log.warning("%s: %s: %s", path, verdict.state, verdict.remark)
        for line in coverage.untrainable:
            job.log.warning("%s Only the stage train asks for this, and refuses it.", line)
        for path in unfilled_paths(config):
            job.log.info("%s: PATH_TO_BE_CONFIGURED; the stage train fills it, or asks for it", path)
        job.say(report.summary())
