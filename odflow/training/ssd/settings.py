"""What a single-shot detector needs to know, free of protobuf and TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from odflow.ops.anchors import Anchors
from odflow.training.settings import (
    ClassificationLoss,
    DetectorSettings,
    HardExampleMiner,
    Hyperparams,
    LocalizationLoss,
    Matcher,
    Pixels,
    PostProcessing,
    Resizer,
)

if TYPE_CHECKING:
    from odflow.training.ssd.architecture import Ssd


@dataclass(frozen=True)
class FpnShape:
    """A feature pyramid.

    Attributes:
        min_level: finest level; level l has 2**l pixels to a cell.
        max_level: coarsest level.
        filters: channels of every level, before the extractor's depth multiplier.
    """

    min_level: int
    max_level: int
    filters: int


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
class Extractor:
    """The feature extractor.

    Attributes:
        type: as the config names it.
        hyperparams: of the layers on the backbone, and of its own where `override_hyperparams`.
        pyramid: None where the maps are a plain SSD's.
        depth_multiplier: factor on the channels.
        min_depth: least channels of a layer.
        separable: depthwise separable convolutions in the layers on the backbone.
        explicit_padding: pad by the kernel's size, not by the map's.
        override_hyperparams: the backbone too takes `hyperparams`, not its own.
        pad_to_multiple: height and width are padded to a multiple of this, in pixels.
        num_layers: feature maps of a plain SSD.
        pixel_means: how pixels become the network's numbers.
    """

    type: str
    hyperparams: Hyperparams
    pyramid: FpnShape | BifpnShape | None
    depth_multiplier: float = 1.0
    min_depth: int = 16
    separable: bool = False
    explicit_padding: bool = False
    override_hyperparams: bool = False
    pad_to_multiple: int = 1
    num_layers: int = 6
    pixel_means: Pixels = None

    @property
    def slim(self) -> bool:
        """Whether the type is one of TensorFlow 1, whose networks differ a little from Keras's."""
        return not self.type.endswith("_keras")

    @property
    def levels(self) -> range:
        """The levels of the feature maps, finest first; level l has 2**l pixels to a cell."""
        if self.pyramid is None:
            return range(4, 4 + self.num_layers)
        return range(self.pyramid.min_level, self.pyramid.max_level + 1)

    def depth(self, channels: int) -> int:
        """Channels after multiplier and limit."""
        return max(int(channels * self.depth_multiplier), self.min_depth)


@dataclass(frozen=True)
class WeightSharedPredictor:
    """The box predictor that runs the same convolutions over all feature maps.

    Attributes:
        hyperparams: of its layers.
        convolutions: layers before the prediction.
        filters: channels of these.
        kernel_size: of all its convolutions, in cells.
        separable: depthwise separable convolutions.
        share_tower: boxes and classes have those layers in common.
        class_bias: first value of the class logits.
        dropout: share of the class head's inputs that training drops; None: there is no such layer,
            which a checkpoint counts also where it drops nothing.
        encodings_range: box encodings are cut off below and above.
        sigmoid: outside training the class predictions are scores already.
        hyperparams_on_heads: the heads' separable convolutions have the hyperparameters too.
        hyperparams_on_pointwise: and so have the 1x1 kernels of separable convolutions.
    """

    hyperparams: Hyperparams
    convolutions: int
    filters: int
    kernel_size: int = 3
    separable: bool = False
    share_tower: bool = False
    class_bias: float = 0.0
    dropout: float | None = None
    encodings_range: tuple[float, float] | None = None
    sigmoid: bool = False
    hyperparams_on_heads: bool = False
    hyperparams_on_pointwise: bool = False


@dataclass(frozen=True)
class ConvolutionalPredictor:
    """The box predictor that has convolutions of its own for each feature map.

    Attributes:
        hyperparams: of its layers.
        convolutions: 1x1 layers before the prediction.
        min_depth: least channels of these.
        max_depth: most channels of these; 0 leaves them out.
        kernel_size: of the prediction, in cells.
        separable: depthwise separable prediction.
        class_bias: first value of the class logits.
        dropout: share of the class head's inputs that training drops; None: there is no such layer,
            which a checkpoint counts also where it drops nothing.
        encodings_range: box encodings are cut off below and above.
    """

    hyperparams: Hyperparams
    convolutions: int = 0
    min_depth: int = 0
    max_depth: int = 0
    kernel_size: int = 1
    separable: bool = False
    class_bias: float = 0.0
    dropout: float | None = None
    encodings_range: tuple[float, float] | None = None
    sigmoid: ClassVar[bool] = False


Predictor = ConvolutionalPredictor | WeightSharedPredictor


@dataclass(frozen=True)
class Matching:
    """How anchors are given to boxes.

    Attributes:
        matcher: which anchor stands for which box.
        box_scales: factors on the encoded y, x, height, width.
        negative_weight: weight of a background anchor in the classification loss.
    """

    matcher: Matcher
    box_scales: tuple[float, float, float, float]
    negative_weight: float = 1.0


@dataclass(frozen=True)
class Losses:
    """The losses of an SSD.

    Attributes:
        classification: of the class logits.
        localization: of the box codes.
        classification_weight: factor on the classification loss.
        localization_weight: factor on the localization loss.
        by_matches: divide by the positive anchors of the batch.
        by_code_size: divide the localization loss by the 4 numbers of a box.
        miner: which anchors count; None: all.
        background_as_zeros: the class target of the background is all zeros; false:
            1 in the first slot.
    """

    classification: ClassificationLoss
    localization: LocalizationLoss
    classification_weight: float = 1.0
    localization_weight: float = 1.0
    by_matches: bool = True
    by_code_size: bool = False
    miner: HardExampleMiner | None = None
    background_as_zeros: bool = True


@dataclass(frozen=True)
class SsdModel:
    """`model.ssd` of a pipeline.config.

    Attributes:
        background: the classes have a slot 0 for it.
        freeze_batch_norm: the statistics of batch norms stand still while the rest is trained.
    """

    num_classes: int
    resizer: Resizer
    extractor: Extractor
    predictor: Predictor
    anchors: Anchors
    matching: Matching
    losses: Losses
    post_processing: PostProcessing
    background: bool = True
    freeze_batch_norm: bool = False

    def architecture(self, settings: DetectorSettings) -> Ssd:
        """What trains such a detector."""
        from odflow.training.ssd.architecture import Ssd

        return Ssd(settings)

    @property
    def class_slots(self) -> int:
        """Class predictions of an anchor."""
        return self.num_classes + self.background

    def anchor_boxes(self) -> np.ndarray:
        """The (N, 4) float32 anchors, ymin xmin ymax xmax in pixels of the network's input."""
        resizer, multiple = self.resizer, self.extractor.pad_to_multiple
        height, width = (math.ceil(side / multiple) * multiple for side in (resizer.height, resizer.width))
        shapes = [
            (math.ceil(height / 2**level), math.ceil(width / 2**level)) for level in self.extractor.levels
        ]
        return self.anchors.boxes(resizer.height, resizer.width, shapes)
