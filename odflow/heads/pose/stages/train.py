"""The stage `pose.train`: from records of people to a network that finds their joints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from odflow.graph.job import Job
from odflow.graph.stage import InputPath, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.heads.pose.settings import PoseModel, PoseSettings
    from odflow.training.loop.run_options import Options
    from odflow.training.settings import Optimizer

WAIT = 10
"""Epochs without a better validation loss after which the schedule `plateau` does."""


class Train(Stage):
    """Train a stacked hourglass to find the joints of a person.

    Two trainings of the same inputs give the same kind of network, not the same
    bytes: sums over threads come in no fixed order.
    """

    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    skeleton: str = Field(description="mpii, flic, lsp, coco or a JSON file: the joints, as in the records")
    train_records: InputPath = Field(description="TFRecords to train on: a file, or a folder of them")
    valid_records: InputPath | None = Field(
        None,
        description="TFRecords to evaluate on; the best weights are kept; without them the last ones are",
    )
    fine_tune_checkpoint: InputPath | None = Field(
        None,
        description="weights to start from: a trained folder, a folder of checkpoints or a checkpoint's "
        "prefix; one for other joints fills all but the last layers",
    )
    allow_partial: bool = Field(
        False, description="go on when less than 90 percent of the network's variables fit the checkpoint"
    )

    input_height: int = Field(256, ge=8, description="height of the network's input in pixels")
    input_width: int = Field(256, ge=8, description="width of the network's input in pixels")
    stride: Literal[2, 4, 8] = Field(4, description="pixels of the input to a cell of the heatmaps")
    kernel: Literal["gaussian", "binomial"] = Field(
        "gaussian", description="what stands around a joint; binomial: [1 2 1] / 4 both ways, as for FLIC"
    )
    sigma: float = Field(1.0, gt=0, description="gaussian: standard deviation in cells")
    support: int = Field(7, ge=1, description="gaussian: side of the patch in cells, odd")
    peak: float = Field(12.0, gt=0, description="gaussian: the value at the joint")
    whole: bool = Field(False, description="stretch the whole image to the input; crop nothing")
    margin: float = Field(0.2, ge=0, description="room around a person's joints, as a share of body height")
    margin_range: tuple[float, float] = Field(
        (0.1, 0.3), description="training draws the margin from this range"
    )
    flip: float = Field(0.0, ge=0, le=1, description="share of the training images that are mirrored")
    rotation: float = Field(
        0.0, ge=0, le=180, description="training turns by up to so many degrees either way"
    )
    scale: float = Field(0.0, ge=0, lt=1, description="training changes the crop's size by up to this share")

    stacks: int = Field(1, ge=1, le=8, description="hourglasses, one after the other")
    channels: int = Field(256, ge=4, description="channels of the feature maps, a multiple of 4")
    order: int = Field(4, ge=1, description="times that an hourglass halves its maps")
    foreground_weight: float = Field(
        81.0, ge=0, description="added to the weight 1 of a heatmap's cells that shall be above 0"
    )

    batch_size: int = Field(16, ge=1, description="people a step, of all devices together")
    epochs: int = Field(100, ge=1, description="times that every person is seen")
    num_steps: int | None = Field(None, ge=1, description="steps, in the place of epochs")
    learning_rate: float = Field(7e-4, gt=0, description="Adam's, at the start")
    schedule: Literal["constant", "steps", "plateau"] = Field(
        "steps",
        description="steps: a tenth at each of drop_epochs; plateau: a tenth after "
        f"{WAIT} epochs without a lower loss on valid_records",
    )
    drop_epochs: list[int] = Field([25, 50, 75], description="schedule steps: epochs, rising")
    keep: Literal["pck", "loss"] = Field("pck", description="what the weights that are kept are best at")
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
    checkpoint_steps: int = Field(100, ge=1, description="steps between two checkpoints")

    trained: OutputFolder = output(
        "trained", "checkpoint/, pose.json, tensorboard/, evaluations.json, fine_tune.json"
    )

    @field_validator("fine_tune_checkpoint")
    @classmethod
    def _existing(cls, path: Path | None) -> Path | None:
        from odflow.odapi.checkpoint import existing_path

        return path and existing_path(path)

    @model_validator(mode="after")
    def _fitting(self) -> Train:
        if self.schedule == "plateau" and self.valid_records is None:
            raise ValueError("schedule: plateau needs valid_records")
        if self.patience and self.valid_records is None:
            raise ValueError("patience needs valid_records")
        if self.workers > 1 and self.strategy != "ray":
            raise ValueError("workers needs strategy: ray")
        if self.drop_epochs != sorted(self.drop_epochs) or min(self.drop_epochs, default=1) < 1:
            raise ValueError("drop_epochs: wanted rising numbers from 1")
        if self.margin_range[0] > self.margin_range[1] or self.margin_range[0] < 0:
            raise ValueError("margin_range: wanted the smaller number first, neither below 0")
        return self

    def also_reads(self) -> Iterable[Path]:
        """A skeleton of one's own, and the files of a checkpoint."""
        from odflow.odapi.checkpoint import checkpoint_files

        own, start = Path(self.skeleton), self.fine_tune_checkpoint
        return [*([own] if own.is_file() else ()), *(checkpoint_files(start) if start else ())]

    def run(self, job: Job) -> None:
        """Check the records, train, and keep the weights with what they are weights of."""
        from odflow.formats.tfrecord import record_files
        from odflow.heads.pose.hourglass import check_shape
        from odflow.heads.pose.settings import write_model
        from odflow.training.loop.run_options import Data, Folders
        from odflow.training.loop.telling import fit_and_tell

        model = self._model()
        check_shape(model)
        files = record_files(self.train_records)
        people = self._check(job, files, model)
        settings = self._settings(model, people)
        self.trained.mkdir(exist_ok=True)
        write_model(model, self.trained / "pose.json")
        data = Data([str(file) for file in files], self.valid_records, None, self.fine_tune_checkpoint)
        folders = Folders(job.staging / "training", self.trained)
        step, loss = fit_and_tell(settings, data, folders, self._options(people), job)
        job.say(f"{step} steps of {self.batch_size} people, loss {loss:.3f}")

    def _model(self) -> PoseModel:
        from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel
        from odflow.heads.pose.skeleton import read_skeleton

        crop = ("whole", "margin", "margin_range", "flip", "rotation", "scale")
        maps = ("kernel", "sigma", "support", "peak")
        size = self.input_height, self.input_width
        cells = size[0] // self.stride, size[1] // self.stride
        return PoseModel(
            read_skeleton(self.skeleton),
            Crop(*size, **{name: getattr(self, name) for name in crop}),
            Heatmaps(*cells, **{name: getattr(self, name) for name in maps}),
            self.stacks,
            self.channels,
            self.order,
            self.foreground_weight,
        )

    def _check(self, job: Job, files: list[Path], model: PoseModel) -> int:
        """Look at every record; returns how many people there are to train on."""
        from odflow.formats.tfrecord import record_files
        from odflow.heads.pose.record_check import check_people

        joints = model.skeleton.joints

        def counted(items: Iterable[str]) -> Iterable[str]:
            return job.progress(items, unit="person")

        people = check_people(files, joints, counted)
        if self.valid_records:
            check_people(record_files(self.valid_records), joints, counted)
        return people

    def _settings(self, model: PoseModel, people: int) -> PoseSettings:
        from odflow.heads.pose.settings import PoseSettings
        from odflow.training.settings import Training

        steps = self.num_steps or self._steps(self.epochs, people)
        return PoseSettings(model, Training(self.batch_size, steps, self._optimizer(people)), self.keep)

    def _optimizer(self, people: int) -> Optimizer:
        from odflow.heads.pose.architecture import LOSS
        from odflow.training.settings import LearningRate, Optimizer, Plateau

        rate = LearningRate("constant", self.learning_rate)
        if self.schedule == "steps":
            boundaries = [self._steps(epochs, people) for epochs in self.drop_epochs]
            rates = [self.learning_rate / 10**drops for drops in range(1, len(boundaries) + 1)]
            rate = LearningRate("manual_step", self.learning_rate, boundaries=boundaries, rates=rates)
        plateau = None
        if self.schedule == "plateau":
            plateau = Plateau(LOSS, patience=max(1, round(WAIT / self.evaluate_every)))
        return Optimizer("adam", rate, epsilon=1e-7, plateau=plateau)  # 1e-7 is Keras's

    def _options(self, people: int) -> Options:
        from odflow.training.loop.run_options import Options

        same = (
            "checkpoint_steps",
            "precision",
            "accumulate",
            "strategy",
            "workers",
            "patience",
            "allow_partial",
        )
        evaluate_every = self._steps(self.evaluate_every, people) if self.valid_records else 0
        return Options(evaluate_every=evaluate_every, **{name: getattr(self, name) for name in same})

    def _steps(self, epochs: float, people: int) -> int:
        """The steps of some epochs; examples follow one another without regard to epochs."""
        return max(1, round(epochs * people / self.batch_size))
