"""What a training needs to know, free of protobuf and TensorFlow.

`translation` fills these from a pipeline.config; the other modules of this room
read nothing else. What one architecture alone has is in its folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Resizer:
    """How an image becomes the network's input.

    Attributes:
        height: height of the network's input in pixels.
        width: width of the network's input in pixels.
        min_dimension: for `keep_aspect_ratio`, the wanted shorter side in pixels;
            None stretches the image to height x width.
    """

    height: int
    width: int
    min_dimension: int | None = None


@dataclass(frozen=True)
class Hyperparams:
    """What all convolutions share.

    Attributes:
        activation: a Model Garden activation name.
        norm_momentum: decay of the batch norm statistics.
        norm_epsilon: added to the variance.
        l2_weight: L2 regularization, in TensorFlow's half-squared form.
    """

    activation: str
    norm_momentum: float
    norm_epsilon: float
    l2_weight: float


@dataclass(frozen=True)
class PostProcessing:
    """Non-maximum suppression of the exported graph."""

    score_threshold: float
    iou_threshold: float
    max_per_class: int
    max_total: int


@dataclass(frozen=True)
class LearningRate:
    """A learning rate schedule of the Object Detection API.

    Attributes:
        kind: `constant`, `cosine`, `exponential` or `manual_step`.
        base: the rate after the warm-up.
        total_steps: cosine: where the rate reaches 0.
        warmup_rate: the rate at step 0.
        warmup_steps: steps of the warm-up.
        hold_steps: cosine: steps at the base rate after the warm-up.
        decay_steps: exponential: steps of one decay.
        decay_factor: exponential: factor of one decay.
        staircase: exponential: decay in whole steps.
        least: exponential: the rate never falls below it.
        boundaries: manual_step: the steps from which `rates` hold.
        rates: manual_step: one rate for each boundary.
        warmup: manual_step: rise in a line to the first boundary.
    """

    kind: str
    base: float
    total_steps: int = 0
    warmup_rate: float = 0.0
    warmup_steps: int = 0
    hold_steps: int = 0
    decay_steps: int = 1
    decay_factor: float = 1.0
    staircase: bool = True
    least: float = 0.0
    boundaries: Sequence[int] = ()
    rates: Sequence[float] = ()
    warmup: bool = False


@dataclass(frozen=True)
class Optimizer:
    """The optimizer.

    Attributes:
        kind: `momentum`, `adam` or `rms_prop`.
        learning_rate: the schedule.
        momentum: of momentum and rms_prop.
        decay: rms_prop's.
        epsilon: adam's and rms_prop's.
        clip_norm: global norm at which gradients are cut; 0 leaves them.
        average_decay: of the moving average of the weights; 0 for none.
    """

    kind: str
    learning_rate: LearningRate
    momentum: float = 0.0
    decay: float = 0.9
    epsilon: float = 1e-8
    clip_norm: float = 0.0
    average_decay: float = 0.0


@dataclass(frozen=True)
class Augmentation:
    """One random change of a training image: its name in the API and its parameters."""

    kind: str
    parameters: dict[str, float | bool] = field(default_factory=dict)
    operations: Sequence[dict[str, float | bool]] = ()


@dataclass(frozen=True)
class Training:
    """What every architecture is trained by.

    Attributes:
        batch_size: images a step.
        num_steps: steps of the whole training.
        optimizer: with its learning rate.
        augmentations: in their order.
        fine_tune_type: `classification`, `detection` or `full`.
        max_boxes: boxes of an image beyond this many are left out.
        shuffle_buffer: examples that wait to be drawn; 1 keeps the order of the records.
    """

    batch_size: int
    num_steps: int
    optimizer: Optimizer
    augmentations: Sequence[Augmentation]
    fine_tune_type: str
    max_boxes: int
    shuffle_buffer: int


class Model(Protocol):
    """What the settings of every architecture have."""

    @property
    def num_classes(self) -> int:
        """Classes without the background."""

    @property
    def resizer(self) -> Resizer:
        """How an image becomes the network's input."""


@dataclass(frozen=True)
class Settings:
    """A whole pipeline.config, translated.

    Attributes:
        model: the detector: an `SsdModel`, ...; says which architecture it is by its type.
        training: how it is trained.
    """

    model: Model
    training: Training
