"""What a training needs to know, free of protobuf and TensorFlow.

`translation` fills these from a pipeline.config; the other modules of this room
read nothing else. What one architecture alone has is in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Resizer:
    """How an image becomes the network's input.

    Attributes:
        height: height of the network's input in pixels.
        width: width of the network's input in pixels.
        min_dimension: for `keep_aspect_ratio`, the wanted shorter side in pixels;
            None stretches the image to height x width.
        pad_value: of red, green and blue, where `keep_aspect_ratio` leaves room.
        padded: with `keep_aspect_ratio`, images are padded to height x width in detection too,
            not in training alone.
    """

    height: int
    width: int
    min_dimension: int | None = None
    pad_value: tuple[float, float, float] = (0.0, 0.0, 0.0)
    padded: bool = True


@dataclass(frozen=True)
class Normalization:
    """How pixels from 0 to 255 become the network's numbers: (pixel - mean) / deviation.

    Attributes:
        means: of each channel, in the order in which the network sees them.
        deviations: of each channel, likewise.
        bgr: the network sees blue, green, red.
        padding_too: the room beside a picture is filled before, so that `pad_value` is a
            pixel as any other; False: what is filled in is not normalised.
    """

    means: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviations: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False
    padding_too: bool = False


Pixels = Normalization | tuple[float, float, float] | None
"""None maps pixels to -1..1; three numbers are subtracted from red, green and blue."""


@dataclass(frozen=True)
class Initializer:
    """First values of the weights of a layer.

    Attributes:
        kind: `truncated_normal`, `random_normal`, `variance_scaling`, or a name that Keras knows.
        mean: of the normal kinds.
        stddev: of the normal kinds.
        factor: variance_scaling: variance times the number that `mode` counts.
        mode: variance_scaling: `fan_in`, `fan_out` or `fan_avg`.
        uniform: variance_scaling: uniform, not truncated normal.
    """

    kind: str
    mean: float = 0.0
    stddev: float = 1.0
    factor: float = 2.0
    mode: str = "fan_in"
    uniform: bool = False


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization.

    Attributes:
        momentum: share of the running statistics that a step keeps.
        epsilon: added to the variance.
        center: learn an offset.
        scale: learn a scale.
        train: false: the statistics stand still while the rest is trained.
        synchronized: the statistics are of all replicas together.
    """

    momentum: float
    epsilon: float
    center: bool = True
    scale: bool = True
    train: bool = True
    synchronized: bool = False


@dataclass(frozen=True)
class Hyperparams:
    """What a set of layers shares: the API's `Hyperparams`.

    Attributes:
        activation: `none`, `relu`, `relu6` or `swish`.
        batch_norm: None for none; layers have a bias then.
        initializer: None for the layer's own.
        l1_weight: L1 regularization of the kernels.
        l2_weight: L2 regularization of the kernels, in TensorFlow's half-squared form.
        force_use_bias: a bias even where the batch norm has an offset.
    """

    activation: str
    batch_norm: BatchNorm | None = None
    initializer: Initializer | None = None
    l1_weight: float = 0.0
    l2_weight: float = 0.0
    force_use_bias: bool = False


@dataclass(frozen=True)
class PostProcessing:
    """From logits and boxes to detections.

    Attributes:
        score_threshold: a box that scores no more is no detection.
        iou_threshold: of two boxes of a class that overlap more, the better one stays.
        max_per_class: detections of one class in an image, at most.
        max_total: detections in an image, at most.
        score_converter: `identity`, `sigmoid` or `softmax`.
        logit_scale: logits are divided by it first.
        class_agnostic: suppress all classes together; each box stands for its best class.
        soft_nms_sigma: above 0, scores of overlapping boxes fall by it, and boxes stay.
        change_coordinate_frame: say boxes in the height and width of what is picture,
            not of the padded input.
    """

    score_threshold: float
    iou_threshold: float
    max_per_class: int
    max_total: int
    score_converter: str = "sigmoid"
    logit_scale: float = 1.0
    class_agnostic: bool = False
    soft_nms_sigma: float = 0.0
    change_coordinate_frame: bool = True


@dataclass(frozen=True)
class ClassificationLoss:
    """How class logits are compared with classes.

    Attributes:
        kind: `weighted_sigmoid`, `weighted_sigmoid_focal`, `weighted_softmax`,
            `weighted_logits_softmax` or `bootstrapped_sigmoid`.
        alpha: focal: weight of positives, None weighs positives and negatives alike;
            bootstrapped: share of the annotation in the target.
        gamma: focal: exponent that plays down what is easy.
        logit_scale: softmax: logits are divided by it first.
        hard_bootstrap: bootstrapped: mix in the predicted classes, not their probabilities.
    """

    kind: str = "weighted_sigmoid"
    alpha: float | None = None
    gamma: float = 2.0
    logit_scale: float = 1.0
    hard_bootstrap: bool = False


@dataclass(frozen=True)
class LocalizationLoss:
    """How predicted boxes are compared with boxes.

    Attributes:
        kind: `smooth_l1`, `l1` or `l2` of box codes, or `iou` or `giou` of boxes.
        delta: smooth_l1: where it turns from square to line.
    """

    kind: str = "smooth_l1"
    delta: float = 1.0


@dataclass(frozen=True)
class HardExampleMiner:
    """Which anchors of an image count: those with the highest losses.

    Attributes:
        examples: at most so many; 0 for any number.
        iou_threshold: an anchor that overlaps a chosen one more is not chosen.
        by: `both`, `classification` or `localization`: the loss that decides.
        max_negatives_per_positive: 0 for any number.
        min_negatives_per_image: even where there are no positives.
    """

    examples: int = 64
    iou_threshold: float = 0.7
    by: str = "both"
    max_negatives_per_positive: int = 0
    min_negatives_per_image: int = 0


@dataclass(frozen=True)
class Matcher:
    """Which annotated box an anchor stands for.

    Attributes:
        kind: `argmax` or `bipartite`.
        matched: argmax: least similarity of a positive anchor.
        unmatched: argmax: below it an anchor is background, and from it to `matched` ignored.
        negatives_below: argmax: false swaps background and ignored.
        force_match: argmax: every box gets its best anchor.
    """

    kind: str = "argmax"
    matched: float = 0.5
    unmatched: float = 0.5
    negatives_below: bool = True
    force_match: bool = False


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


LOSS = "loss"
"""What a head's evaluations during training call the mean loss of an example."""


@dataclass(frozen=True)
class Plateau:
    """Lower the learning rate when the evaluations get no better.

    Attributes:
        metric: of the evaluations, which shall fall.
        patience: evaluations without a lower one.
        factor: on the rate.
    """

    metric: str
    patience: int = 10
    factor: float = 0.1


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
        plateau: lowers the rate beside the schedule.
    """

    kind: str
    learning_rate: LearningRate
    momentum: float = 0.0
    decay: float = 0.9
    epsilon: float = 1e-8
    clip_norm: float = 0.0
    average_decay: float = 0.0
    plateau: Plateau | None = None


@dataclass(frozen=True)
class Augmentation:
    """One random change of a training image: its name in the API and its parameters."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """How the records are read.

    Attributes:
        shuffle: false keeps the order of the files and of the records.
        shuffle_buffer: examples that wait to be drawn.
        files_at_once: files that are read in turn.
        block_length: records taken from one file before the next.
        sample_1_of_n: every n-th example only.
        max_boxes: objects of an image beyond this many are left out.
        masks: how masks are kept: `png` or `numerical`; empty: they are not read.
        keypoints: of each object; 0: they are not read.
        class_ids: class text to id. Where an example has texts, they decide, not its
            labels, and objects of other classes are left out; empty: labels decide.
    """

    shuffle: bool = True
    shuffle_buffer: int = 2048
    files_at_once: int = 64
    block_length: int = 32
    sample_1_of_n: int = 1
    max_boxes: int = 100
    masks: str = ""
    keypoints: int = 0
    class_ids: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What every architecture is trained by.

    Attributes:
        batch_size: images a step.
        num_steps: steps of the whole training; 0 for ever, as the API means it.
        optimizer: with its learning rate.
        augmentations: in their order.
        fine_tune_type: `classification`, `detection` or `full`.
        reader: how the records are read.
        freeze_variables: patterns of variables that are not trained.
        update_trainable_variables: patterns of the variables that are trained; all if empty.
        bias_grad_multiplier: factor on the gradients of biases; 0 leaves them.
        add_regularization_loss: whether the loss holds the regularization terms.
    """

    batch_size: int
    num_steps: int
    optimizer: Optimizer
    augmentations: Sequence[Augmentation] = ()
    fine_tune_type: str = "full"
    reader: Reader = field(default_factory=Reader)
    freeze_variables: Sequence[str] = ()
    update_trainable_variables: Sequence[str] = ()
    bias_grad_multiplier: float = 0.0
    add_regularization_loss: bool = True


class Model(Protocol):
    """What the settings of every kind of model have."""

    def architecture(self, settings: Any) -> Any:
        """The `Architecture` that trains it, for the whole `Settings` that it is part of."""


class DetectionModel(Model, Protocol):
    """What the settings of every detector have."""

    @property
    def num_classes(self) -> int:
        """Classes without the background."""

    @property
    def resizer(self) -> Resizer:
        """How an image becomes the network's input."""


@dataclass(frozen=True)
class Settings:
    """What is trained, and how.

    Attributes:
        model: what is trained.
        training: how.
    """

    model: Model
    training: Training


@dataclass(frozen=True)
class DetectorSettings(Settings):
    """A whole pipeline.config, translated.

    Attributes:
        model: the detector: an `SsdModel`, ...
        training: how it is trained.
    """

    model: DetectionModel
