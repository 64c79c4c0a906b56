"""Train a detector as an Object Detection API pipeline.config says."""

from __future__ import annotations

import glob
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from odflow.errors import ConfigError, InputError
from odflow.graph import InputFile, InputPath, Job, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.formats.label_map import LabelMap
    from odflow.odapi.section import Coverage


class Train(Stage):
    """Train or fine-tune a detector from a pipeline.config.

    Two trainings of the same inputs give the same kind of detector, not the same
    bytes: sums over threads come in no fixed order.
    """

    version: ClassVar[int] = 1
    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    config: InputFile = Field(description="an Object Detection API pipeline.config")
    label_map: InputFile = Field(description="the classes of the records (.pbtxt)")
    train_records: InputPath = Field(description="TFRecords to train on: a file, or a folder of them")
    valid_records: InputPath | None = Field(
        None, description="TFRecords for evaluation, named in the trained config"
    )
    fine_tune_checkpoint: InputPath | None = Field(
        None,
        description="weights to start from: an exported or trained folder, a folder of checkpoints, "
        "or a checkpoint's .index file; the config's own fine_tune_checkpoint if left out",
    )
    num_steps: int | None = Field(None, ge=1, description="steps; the config's if left out")
    batch_size: int | None = Field(None, ge=1, description="images a step; the config's if left out")
    checkpoint_steps: int = Field(100, ge=1, description="steps between two checkpoints")

    trained: OutputFolder = output(
        "trained",
        "checkpoint/, pipeline.config, label_map.pbtxt, translation.json, tensorboard/",
    )

    def also_reads(self) -> Iterable[Path]:
        """The files of a checkpoint that the config, or an index file, names."""
        start = self.fine_tune_checkpoint
        if start is None:
            from odflow.odapi.pipeline_config import read_pipeline_config

            start = _own_checkpoint(read_pipeline_config(self.config))
        return checkpoint_files(start) if start else ()

    def run(self, job: Job) -> None:
        """Translate the config, train, and keep the weights with what explains them."""
        from odflow.formats.label_map import read_label_map
        from odflow.odapi.pipeline_config import pipeline_config_text
        from odflow.training.translation import translate

        config = self._filled_config()
        settings, coverage = translate(config, str(self.config))
        _check_classes(
            settings.model.num_classes, read_label_map(self.label_map), self.config, self.label_map
        )
        files = _check_records(self.train_records)
        self.trained.mkdir(exist_ok=True)
        _tell_coverage(job, config, coverage, self.trained / "translation.json")
        loss = self._fit(job, settings, files, self.fine_tune_checkpoint or _own_checkpoint(config))
        (self.trained / "pipeline.config").write_text(pipeline_config_text(config), encoding="utf-8")
        (self.trained / "label_map.pbtxt").write_bytes(self.label_map.read_bytes())
        job.say(f"{settings.training.num_steps} steps, loss {loss:.3f}")

    def _filled_config(self) -> Any:
        """The config with the stage's inputs in the places that they stand in for."""
        from odflow.odapi.assignment import set_field
        from odflow.odapi.pipeline_config import read_pipeline_config, unfilled_paths

        config = read_pipeline_config(self.config)
        for path, value in self._fillings().items():
            if value is not None:
                set_field(config, path, value)
        if self.valid_records is None:
            config.ClearField("eval_input_reader")
        unfilled = unfilled_paths(config)
        if unfilled:
            raise ConfigError(
                "\n".join(
                    f"{self.config}: {path} is PATH_TO_BE_CONFIGURED. {_remedy(path)}" for path in unfilled
                )
            )
        return config

    def _fillings(self) -> dict[str, Any]:
        # Names alone: a trained config carries no path of the machine that made it.
        reader = "tf_record_input_reader.input_path"
        valid = self.valid_records
        return {
            "train_input_reader.label_map_path": self.label_map.name,
            f"train_input_reader.{reader}": self.train_records.name,
            "eval_input_reader[0].label_map_path": self.label_map.name if valid else None,
            f"eval_input_reader[0].{reader}": valid.name if valid else None,
            "train_config.fine_tune_checkpoint": self.fine_tune_checkpoint and self.fine_tune_checkpoint.name,
            "train_config.num_steps": self.num_steps,
            "train_config.batch_size": self.batch_size,
        }

    def _fit(self, job: Job, settings: Any, files: list[str], start: Path | None) -> float:
        """Train with a bar that shows the loss; returns the last mean loss."""
        from odflow.training.fitting import Folders, fit

        folders = Folders(job.staging / "training", self.trained / "tensorboard", self.trained / "checkpoint")
        job.log.info("TensorBoard: tensorboard --logdir %s", folders.tensorboard)
        steps = fit(settings, files, folders, start, self.checkpoint_steps)
        loss = 0.0
        bar = job.progress(steps, total=settings.training.num_steps, unit="step")
        for step, loss in bar:
            if math.isnan(loss):  # a step of the run that was stopped
                continue
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if bar.disable and step % self.checkpoint_steps == 0:
                job.log.info("step %d of %d, loss %.3f", step, settings.training.num_steps, loss)
        return loss


def _check_records(path: Path) -> list[str]:
    """The files to train on, the first record of each whole."""
    from odflow.formats.tfrecord import read_records, record_files

    files = record_files(path)
    first = [next(read_records(file), None) for file in files]
    if not any(first):
        raise InputError(
            f"{path}: holds no example; nothing to train on. Did filter or split leave no image?"
        )
    return [str(file) for file in files]


def checkpoint_files(path: Path) -> list[Path]:
    """The files of a checkpoint.

    Args:
        path: a folder, a checkpoint's prefix (``ckpt-300``) or its ``.index`` file.

    Returns:
        Those that are there, sorted.
    """
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    return sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.*"))


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


def _check_classes(num_classes: int, label_map: LabelMap, config: Path, path: Path) -> None:
    last = max(label_map.names, default=0)
    if num_classes != last:
        raise ConfigError(
            f"{config}: model.ssd.num_classes is {num_classes}, the ids of {path} end at {last}. "
            f"Set num_classes: {last}, or give the label map that the records were written with."
        )


def _tell_coverage(job: Job, config: Any, coverage: Coverage, file: Path) -> None:
    """Write what became of every field, and name those that are not honoured."""
    import json

    from odflow.odapi.pipeline_config import set_fields

    rows = [(path, coverage.of(path)) for path in set_fields(config)]
    missed = [(path, verdict) for path, verdict in rows if verdict.state != "honoured"]
    for path, verdict in missed:
        level = logging.INFO if verdict.state == "not applicable" else logging.WARNING
        job.log.log(level, "%s: %s: %s", path, verdict.state, verdict.remark)
    table = [{"field": path, "state": verdict.state, "remark": verdict.remark} for path, verdict in rows]
    file.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    job.say(f"{len(rows) - len(missed)} of the config's {len(rows)} fields honoured, see {file.name}")
