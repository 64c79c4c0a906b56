"""Train a detector as an Object Detection API pipeline.config says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from odflow.errors import ConfigError
from odflow.graph import InputFile, InputPath, InputPaths, Job, OutputFolder, Stage, output
from odflow.left_out import LeftOut

if TYPE_CHECKING:
    from odflow.graph.checking import Checking
    from odflow.training.settings import DetectorSettings


class Train(Stage):
    """Train or fine-tune a detector from a pipeline.config.

    Two trainings of the same inputs give the same kind of detector, not the same
    bytes: sums over threads come in no fixed order.
    """

    version: ClassVar[int] = 3
    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    config: InputFile = Field(description="an Object Detection API pipeline.config")
    label_map: InputFile = Field(description="the classes of the records (.pbtxt)")
    train_records: InputPaths = Field(
        description="TFRecords to train on: a file, a folder, or a pattern (train.record-?????-of-00010)"
    )
    valid_records: InputPaths | None = Field(
        None, description="TFRecords to evaluate on, see evaluate_every; named in the trained config"
    )
    fine_tune_checkpoint: InputPath | None = Field(
        None,
        description="weights to start from: an exported or trained folder, a folder of checkpoints, "
        "or a checkpoint's prefix (ckpt-0); the config's own fine_tune_checkpoint if left out",
    )
    set: dict[str, str | int | float | bool] = Field(
        {}, description="fields of the config to change first, by path: train_config.batch_size=8"
    )
    strict: bool = Field(False, description="an approximated or unsupported field is an error")
    allow_partial: bool = Field(
        False, description="go on when less than 90 percent of the backbone's variables fit the checkpoint"
    )
    num_steps: int | None = Field(None, ge=1, description="steps; the config's if left out")
    batch_size: int | None = Field(
        None, ge=1, description="images a step, of all devices together; the config's if left out"
    )
    accumulate: int = Field(
        1, ge=1, description="small batches that a batch is worked off in, to save memory; the same result"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32", description="what the network computes in; weights and losses have 32 bits"
    )
    strategy: Literal["auto", "one_device", "mirrored", "multi_worker_mirrored", "ray"] = Field(
        "auto",
        description="auto: all GPUs of the machine; multi_worker_mirrored: the machines of TF_CONFIG, each "
        "running this command; ray: workers on a Ray cluster",
    )
    workers: int = Field(1, ge=1, description="with strategy ray: processes that train together")
    verify: Literal["pixels", "structure"] = Field(
        "pixels",
        description="how the picture of each record is proved whole before the first step; pixels: decoded, "
        "a JPEG at an eighth of its size; structure: lengths, checksums and the end",
    )
    checkpoint_steps: int = Field(100, ge=1, description="steps between two checkpoints")
    evaluate_every: int = Field(
        0,
        ge=0,
        description="steps between two evaluations on valid_records; the best weights are kept; 0: none",
    )
    patience: int = Field(
        0, ge=0, description="evaluations without a better mAP after which training ends; 0: it does not"
    )

    trained: OutputFolder = output(
        "trained",
        "checkpoint/, pipeline.config, label_map.pbtxt, translation.json and .md, tensorboard/, "
        "evaluations.json, fine_tune.json",
    )

    @field_validator("fine_tune_checkpoint")
    @classmethod
    def _existing(cls, path: Path | None) -> Path | None:
        from odflow.odapi.checkpoint import existing_path

        return path and existing_path(path)

    @model_validator(mode="after")
    def _fitting(self) -> Train:
        if self.evaluate_every and self.valid_records is None:
            raise ValueError("evaluate_every needs valid_records")
        if self.patience and not self.evaluate_every:
            raise ValueError("patience needs evaluate_every")
        if self.workers > 1 and self.strategy != "ray":
            raise ValueError("workers needs strategy: ray")
        return self

    def check(self, checking: Checking) -> None:
        """See that the config can be trained on the records from where it starts, and with what classes."""
        from odflow import checks
        from odflow.formats.expected import ExpectedClasses
        from odflow.odapi.coverage_report import CoverageReport
        from odflow.training.loop.frozen_variables import check_patterns

        for field in ("train_records", "valid_records"):
            checks.check_records(checking, field)
        label_map = checks.label_map_of(checking, "label_map")
        checks.check_checkpoint(checking, "fine_tune_checkpoint")
        found = checks.translation_of(checking, "config", self.config, partial(self._change, checking))
        if found is None:
            return
        own = None if self.fine_tune_checkpoint else _own_checkpoint(found.config)
        if own:
            checks.check_checkpoint(checking, "config", own)
        training, options = found.settings.training, (self.strategy, self.workers)
        checks.check_replicas(checking, *options, training.batch_size, self.accumulate)
        checking.passes(lambda: check_patterns(training), "config")
        if self.strict:
            checking.passes(CoverageReport.of(found.config, found.coverage).check_strict, "strict")
        if label_map is None:
            return
        kind = found.config.model.WhichOneof("model")
        field = f"model.{kind}.num_classes"
        checking.passes(
            lambda: _check_classes(field, found.settings.model.num_classes, label_map.ids, self), "config"
        )
        checking.expect("trained", ExpectedClasses(label_map.ids, found.settings))

    def _change(self, checking: Checking, config: Any) -> bool:
        """Set what the stage sets in its config; whether that can be."""
        from odflow import checks

        if not checks.set_fields(checking, config, self.set):
            return False
        return checking.passes(lambda: self._fill(config), "config")

    def also_reads(self) -> Iterable[Path]:
        """The files of a checkpoint that the config, or an index file, names."""
        from odflow.odapi.checkpoint import checkpoint_files

        start = self.fine_tune_checkpoint
        if start is None:
            from odflow.odapi.pipeline_config import read_pipeline_config

            start = _own_checkpoint(read_pipeline_config(self.config))
        return checkpoint_files(start) if start else ()

    def run(self, job: Job) -> None:
        """Translate the config, check the records, train, and keep the weights with what explains them."""
        from odflow.odapi.pipeline_config import pipeline_config_text

        config = self._filled_config()
        settings = self._translated(job, config)
        files = self._checked_records(job, settings)
        start = self.fine_tune_checkpoint or _own_checkpoint(config)
        step, loss = self._fit(job, settings, files, start)
        (self.trained / "pipeline.config").write_text(pipeline_config_text(config), encoding="utf-8")
        (self.trained / "label_map.pbtxt").write_bytes(self.label_map.read_bytes())
        job.say(f"{step} steps, loss {loss:.3f}")

    def _filled_config(self) -> Any:
        """The config as `set` changes it, with the stage's inputs in the places that they stand in for."""
        from odflow.odapi.assignment import set_field
        from odflow.odapi.pipeline_config import read_pipeline_config

        config = read_pipeline_config(self.config)
        for path, value in self.set.items():
            set_field(config, path, value)
        self._fill(config)
        return config

    def _fill(self, config: Any) -> None:
        """Put the stage's inputs into a config; none of its places may be left open."""
        from odflow.odapi.assignment import set_field
        from odflow.odapi.pipeline_config import unfilled_paths

        for path, value in self._fillings().items():
            if value is not None:
                set_field(config, path, value)
        if self.valid_records is None:
            config.ClearField("eval_input_reader")
        unfilled = unfilled_paths(config)
        if unfilled:
            raise ConfigError(
                *(f"{self.config}: {path} is PATH_TO_BE_CONFIGURED. {_remedy(path)}" for path in unfilled)
            )
        if not config.train_config.num_steps:
            raise ConfigError(
                f"{self.config}: train_config.num_steps is 0 (for ever). Give the stage num_steps."
            )

    def _fillings(self) -> dict[str, Any]:
        # Names alone: a trained config carries no path of the machine that made it.
        reader = "tf_record_input_reader.input_path"
        valid = self.valid_records
        return {
            "train_input_reader.label_map_path": self.label_map.name,
            f"train_input_reader.{reader}": _names(self.train_records),
            "eval_input_reader[0].label_map_path": self.label_map.name if valid else None,
            f"eval_input_reader[0].{reader}": _names(valid) if valid else None,
            "train_config.fine_tune_checkpoint": self.fine_tune_checkpoint and self.fine_tune_checkpoint.name,
            "train_config.num_steps": self.num_steps,
            "train_config.batch_size": self.batch_size,
        }

    def _translated(self, job: Job, config: Any) -> DetectorSettings:
        """The settings; what became of every field is written, and told where it is not honoured."""
        from odflow.formats.label_map import read_label_map
        from odflow.odapi.coverage_report import CoverageReport
        from odflow.training.translation import translate

        settings, coverage = translate(config, str(self.config))
        kind = config.model.WhichOneof("model")
        ids = read_label_map(self.label_map).ids
        _check_classes(f"model.{kind}.num_classes", settings.model.num_classes, ids, self)
        report = CoverageReport.of(config, coverage)
        if self.strict:
            report.check_strict()
        for path, verdict in report.loose():
            job.log.warning("%s: %s: %s", path, verdict.state, verdict.remark)
        self.trained.mkdir(exist_ok=True)
        (self.trained / "translation.json").write_text(report.to_json(), encoding="utf-8")
        (self.trained / "translation.md").write_text(report.to_markdown(), encoding="utf-8")
        job.say(f"{report.summary()}, see translation.md")
        reader = replace(settings.training.reader, class_ids=ids)
        return replace(settings, training=replace(settings.training, reader=reader))

    def _checked_records(self, job: Job, settings: DetectorSettings) -> list[str]:
        """The files to train on, after a look at every example, those to evaluate on included."""
        from odflow.formats.tfrecord import record_files, shards_unread

        files = record_files(self.train_records)
        told = [*self._left_out(job, settings, files), shards_unread(files)]
        if self.valid_records and self.evaluate_every:
            valid = record_files(self.valid_records)
            told += [
                replace(one, what=f"{one.what} (valid_records)")
                for one in self._left_out(job, settings, valid)
            ]
            told.append(shards_unread(valid))
        job.leave_out(*told)
        lines = [f"- {one}\n" for one in told if one.number]
        if lines:
            with (self.trained / "translation.md").open("a", encoding="utf-8") as file:
                file.writelines(["\n## Records\n\n", *lines])
        return [str(file) for file in files]

    def _left_out(self, job: Job, settings: DetectorSettings, files: list[Path]) -> list[LeftOut]:
        """What training leaves out of records; each example is looked at."""
        from odflow.formats.object_check import Wanted, check_records
        from odflow.formats.object_classes import unknown_objects
        from odflow.formats.record_check import Looking

        reader = settings.training.reader
        wanted = Wanted(settings.model.num_classes, reader.class_ids, reader.masks, reader.keypoints)
        found = check_records(files, wanted, Looking(self.verify, job.map, job.progress))
        objects = found.objects + found.unknown_texts.total()
        return [
            unknown_objects(found.unknown_texts, objects, reader.class_ids, str(self.label_map)),
            LeftOut("objects_without_box", found.without_box, "objects left out, whose boxes hold NaN"),
        ]

    def _fit(
        self, job: Job, settings: DetectorSettings, files: list[str], start: Path | None
    ) -> tuple[int, float]:
        """Train; returns the last step and its loss."""
        from odflow.formats.label_map import read_label_map
        from odflow.training.loop.run_options import Data, Folders, Options
        from odflow.training.loop.telling import fit_and_tell

        data = Data(files, self.valid_records, read_label_map(self.label_map), start)
        folders = Folders(job.staging / "training", self.trained)
        options = Options(**{name: getattr(self, name) for name in (field.name for field in fields(Options))})
        return fit_and_tell(settings, data, folders, options, job)


def _names(records: Path | list[Path]) -> str | list[str]:
    return records.name if isinstance(records, Path) else [path.name for path in records]


def _own_checkpoint(config: Any) -> Path | None:
    """What the config starts from; a placeholder is not a path, and is told of later."""
    path = config.train_config.fine_tune_checkpoint
    return Path(path) if path and "PATH_TO_BE_CONFIGURED" not in path else None


def _remedy(path: str) -> str:
    if path.startswith("train_config.fine_tune_checkpoint"):
        return "Give the stage fine_tune_checkpoint, or remove the line to train from scratch."
    if path.startswith("eval_input_reader"):
        return "Give the stage valid_records."
    return "Write a path there, or remove the line."


def _check_classes(field: str, num_classes: int, ids: Mapping[str, int], stage: Train) -> None:
    last = max(ids.values(), default=0)
    if num_classes != last:
        raise ConfigError(
            f"{stage.config}: {field} is {num_classes}, the ids of {stage.label_map} end at {last}. "
            f"Set num_classes: {last}, or give the label map that the records were written with."
        )
