"""What the training stages of heads have in common: fields, and the way from records to weights.

A room of its own above both columns: stages know the DAG, training does not.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from odflow.graph.job import Job
from odflow.graph.stage import InputPath, InputPaths, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.formats.record_check import Looking
    from odflow.graph.checking import Checking
    from odflow.training.loop.run_options import Options
    from odflow.training.settings import LearningRate, Optimizer, Settings, Training

WAIT = 10
"""Epochs without a better validation loss after which the schedule `plateau` does."""


class TrainingStage(Stage):
    """Trains the network of a head with Adam, for epochs, and keeps the best of it.

    A head's stage adds the fields of its network, and says what that is: `_head`, `_model`,
    `_check`, and `_settings` where there is more to them. It may declare a field anew, to
    give it another default.
    """

    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")
    examples: ClassVar[tuple[str, str]] = ("image", "images")
    """What an example is, one and many."""

    train_records: InputPaths = Field(
        description="TFRecords to train on: a file, a folder, or a pattern (train.record-?????-of-00010)"
    )
    valid_records: InputPaths | None = Field(
        None,
        description="TFRecords to evaluate on; the best weights are kept; without them the last ones are",
    )
    fine_tune_checkpoint: InputPath | None = Field(
        None,
        description="weights to start from: a trained folder, a folder of checkpoints or a checkpoint's "
        "prefix; one for other classes or joints fills all but the last layers",
    )
    allow_partial: bool = Field(
        False, description="go on when less than 90 percent of the network's variables fit the checkpoint"
    )

    batch_size: int = Field(16, ge=1, description="examples a step, of all devices together")
    epochs: int = Field(100, ge=1, description="times that every example is seen")
    num_steps: int | None = Field(None, ge=1, description="steps, in the place of epochs")
    learning_rate: float = Field(7e-4, gt=0, description="Adam's, at the start")
    schedule: Literal["constant", "steps", "cosine", "plateau"] = Field(
        "steps",
        description="steps: a tenth at each of drop_epochs; cosine: falls to 0 at the end; plateau: a tenth "
        f"after {WAIT} epochs without a lower loss on valid_records",
    )
    drop_epochs: list[int] = Field([25, 50, 75], description="schedule steps: epochs, rising")
    evaluate_every: float = Field(1.0, gt=0, description="epochs between two evaluations on valid_records")
    patience: int = Field(
        0, ge=0, description="evaluations without a better one after which training ends; 0: it does not"
    )
    accumulate: int = Field(
        1, ge=1, description="small batches that a batch is worked off in, to save memory; the same loss"
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

    trained: OutputFolder = output("trained")

    @field_validator("fine_tune_checkpoint")
    @classmethod
    def _existing(cls, path: Path | None) -> Path | None:
        from odflow.odapi.checkpoint import existing_path

        return path and existing_path(path)

    @model_validator(mode="after")
    def _training_fits(self) -> TrainingStage:
        if self.schedule == "plateau" and self.valid_records is None:
            raise ValueError("schedule: plateau needs valid_records")
        if self.patience and self.valid_records is None:
            raise ValueError("patience needs valid_records")
        if self.workers > 1 and self.strategy != "ray":
            raise ValueError("workers needs strategy: ray")
        if self.drop_epochs != sorted(self.drop_epochs) or min(self.drop_epochs, default=1) < 1:
            raise ValueError("drop_epochs: wanted rising numbers from 1")
        return self

    def check(self, checking: Checking) -> None:
        """See that there are records, that the network can be built and begins where it is told to."""
        from odflow import checks

        for field in ("train_records", "valid_records"):
            checks.check_records(checking, field)
        checks.check_checkpoint(checking, "fine_tune_checkpoint")
        checks.check_replicas(checking, self.strategy, self.workers, self.batch_size, self.accumulate)
        if all(checking.given(field) or getattr(self, field) is None for field in self._needed()):
            checking.passes(self._model)

    def _needed(self) -> list[str]:
        """The inputs that the settings of the network come from."""
        common = TrainingStage.inputs()
        return [name for name in self.inputs() if name not in common]

    @abstractmethod
    def _model(self) -> Any:
        """The settings of the network, checked as far as that goes without records."""

    @abstractmethod
    def _check(self, model: Any, files: Sequence[Path], looking: Looking) -> int:
        """Look at every record; how many there are.

        Raises:
            InputError: there is none, or some that training cannot use.
        """

    @abstractmethod
    def _head(self) -> Any:
        """What the files of the head's models are like: an `odflow.inference.head_graph.Head`."""

    def _settings(self, model: Any, training: Training) -> Settings:
        """What is trained, and how."""
        from odflow.training.settings import Settings

        return Settings(model, training)

    def also_reads(self) -> Iterable[Path]:
        """The files of a checkpoint."""
        from odflow.odapi.checkpoint import checkpoint_files

        return checkpoint_files(self.fine_tune_checkpoint) if self.fine_tune_checkpoint else []

    def run(self, job: Job) -> None:
        """Check the records, train, and keep the weights with what they are weights of."""
        from odflow.formats.tfrecord import record_files
        from odflow.training.loop.run_options import Data, Folders
        from odflow.training.loop.telling import fit_and_tell

        model, files = self._model(), record_files(self.train_records)
        count = self._checked(job, model, files)
        settings = self._settings(model, self._training(count))
        self.trained.mkdir(exist_ok=True)
        self._head().write_model(model, self.trained)
        data = Data([str(file) for file in files], self.valid_records, None, self.fine_tune_checkpoint)
        folders = Folders(job.staging / "training", self.trained)
        step, loss = fit_and_tell(settings, data, folders, self._options(count), job)
        job.say(f"{step} steps of {self.batch_size} {self.examples[1]}, loss {loss:.3f}")

    def _checked(self, job: Job, model: Any, files: Sequence[Path]) -> int:
        """How many examples there are to train on, after a look at those to evaluate on too."""
        from odflow.formats.record_check import Looking
        from odflow.formats.tfrecord import record_files, shards_unread

        looking = Looking(self.verify, job.map, job.progress)
        job.leave_out(shards_unread(files))
        count = self._check(model, files, looking)
        if self.valid_records:
            self._check(model, record_files(self.valid_records), looking)
        return count

    def _training(self, count: int) -> Training:
        """How to train on so many examples."""
        from odflow.training.settings import Training

        return Training(self.batch_size, self._all_steps(count), self._optimizer(count))

    def _optimizer(self, count: int) -> Optimizer:
        from odflow.training.settings import LOSS, Optimizer, Plateau

        plateau = None
        if self.schedule == "plateau":
            plateau = Plateau(LOSS, patience=max(1, round(WAIT / self.evaluate_every)))
        return Optimizer("adam", self._rate(count), epsilon=1e-7, plateau=plateau)  # 1e-7 is Keras's

    def _rate(self, count: int) -> LearningRate:
        from odflow.training.settings import LearningRate

        if self.schedule == "cosine":
            return LearningRate("cosine", self.learning_rate, total_steps=self._all_steps(count))
        if self.schedule != "steps":
            return LearningRate("constant", self.learning_rate)
        boundaries = [self._steps(epochs, count) for epochs in self.drop_epochs]
        rates = [self.learning_rate / 10**drops for drops in range(1, len(boundaries) + 1)]
        return LearningRate("manual_step", self.learning_rate, boundaries=boundaries, rates=rates)

    def _options(self, count: int) -> Options:
        from odflow.training.loop.run_options import Options

        every = self._steps(self.evaluate_every, count) if self.valid_records else 0
        return Options(
            checkpoint_steps=self.checkpoint_steps,
            precision=self.precision,
            accumulate=self.accumulate,
            strategy=self.strategy,
            workers=self.workers,
            evaluate_every=every,
            patience=self.patience,
            allow_partial=self.allow_partial,
        )

    def _all_steps(self, count: int) -> int:
        return self.num_steps or self._steps(self.epochs, count)

    def _steps(self, epochs: float, count: int) -> int:
        """The steps of some epochs; examples follow one another without regard to epochs."""
        return max(1, round(epochs * count / self.batch_size))
