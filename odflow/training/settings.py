"""What a training needs to know, free of protobuf and TensorFlow.

`translation` fills these from a pipeline.config; the other modules of this room
read nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from odflow.ops.anchors import MultiscaleAnchors


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
class Extractor:
    """The feature extractor.

    Attributes:
        backbone: `mobilenet_v1`, `mobilenet_v2`, `resnet50`, `resnet101` or `resnet152`.
        depth_multiplier: factor on the backbone's channels.
        min_level: finest level of the feature pyramid.
        max_level: coarsest level of the feature pyramid.
        pyramid_filters: channels of the feature pyramid.
        separable: depthwise separable convolutions in the pyramid.
        pixel_means: None maps pixels 0..255 to -1..1; three numbers are subtracted
            from red, green and blue.
    """

    backbone: str
    depth_multiplier: float
    min_level: int
    max_level: int
    pyramid_filters: int
    separable: bool
    pixel_means: tuple[float, float, float] | None


@dataclass(frozen=True)
class Predictor:
    """The weight-shared box predictor.

    Attributes:
        convolutions: layers before the prediction.
        filters: channels of these.
        separable: depthwise separable convolutions.
        class_bias: first value of the class logits.
    """

    convolutions: int
    filters: int
    separable: bool
    class_bias: float


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
class Matching:
    """How anchors are given to boxes.

    Attributes:
        matched: least IoU of a positive anchor.
        unmatched: below it an anchor is negative.
        force_match: every box gets its best anchor.
        box_scales: factors on the encoded y, x, height, width.
    """

    matched: float
    unmatched: float
    force_match: bool
    box_scales: tuple[float, float, float, float]


@dataclass(frozen=True)
class Losses:
    """The losses of an SSD.

    Attributes:
        focal_alpha: weight of positives; None weighs positives and negatives alike.
        focal_gamma: exponent that plays down what is easy.
        smooth_l1_delta: where the localization loss turns from square to line.
        classification_weight: factor on the classification loss.
        localization_weight: factor on the localization loss.
        by_matches: divide by the positive anchors of the batch.
        by_code_size: divide the localization loss by the 4 numbers of a box.
    """

    focal_alpha: float | None
    focal_gamma: float
    smooth_l1_delta: float
    classification_weight: float
    localization_weight: float
    by_matches: bool
    by_code_size: bool


@dataclass(frozen=True)
class PostProcessing:
    """Non-maximum suppression of the exported graph."""

    score_threshold: float
    iou_threshold: float
    max_per_class: int
    max_total: int


@dataclass(frozen=True)
class Model:
    """The detector: all that an exported graph depends on."""

    num_classes: int
    resizer: Resizer
    extractor: Extractor
    predictor: Predictor
    hyperparams: Hyperparams
    anchors: MultiscaleAnchors
    post_processing: PostProcessing


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
    """The training: all that is not part of the exported graph."""

    batch_size: int
    num_steps: int
    optimizer: Optimizer
    matching: Matching
    losses: Losses
    augmentations: Sequence[Augmentation]
    freeze_batch_norm: bool
    fine_tune_type: str
    max_boxes: int
    shuffle_buffer: int


@dataclass(frozen=True)
class Settings:
    """A whole pipeline.config, translated."""

    model: Model
    training: Training
