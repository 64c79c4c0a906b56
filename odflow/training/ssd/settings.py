"""What a single-shot detector needs to know, free of protobuf and TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from odflow.ops.anchors import MultiscaleAnchors
from odflow.training.settings import Hyperparams, PostProcessing, Resizer


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
class BifpnShape:
    """EfficientDet's bidirectional feature pyramid.

    Attributes:
        min_level: finest level.
        max_level: coarsest level.
        iterations: times down and up again.
        filters: channels of every level.
        combine_method: how a node adds its inputs: `fast_attention`, `attention`,
            `weighted_sum` or `sum`.
    """

    min_level: int
    max_level: int
    iterations: int
    filters: int
    combine_method: str = "fast_attention"


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
class SsdModel:
    """`model.ssd` of a pipeline.config.

    Attributes:
        freeze_batch_norm: batch norms stand still while the rest is trained.
    """

    num_classes: int
    resizer: Resizer
    extractor: Extractor
    predictor: Predictor
    hyperparams: Hyperparams
    anchors: MultiscaleAnchors
    matching: Matching
    losses: Losses
    post_processing: PostProcessing
    freeze_batch_norm: bool = False
