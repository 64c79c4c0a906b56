"""What a two-stage detector needs to know, free of protobuf and TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from odflow.ops.anchors import Anchors, Shape
from odflow.training.settings import (
    ClassificationLoss,
    DetectorSettings,
    Hyperparams,
    PostProcessing,
    Resizer,
)

if TYPE_CHECKING:
    from odflow.training.faster_rcnn.architecture import FasterRcnn


@dataclass(frozen=True)
class Pyramid:
    """A feature pyramid on the backbone.

    Attributes:
        min_level: finest level; level l has 2**l pixels to a cell. At least 2.
        max_level: coarsest level.
        filters: channels of every level.
        hyperparams: what its layers share.
        pad_to_multiple: the input's sides are padded with zeros to a multiple of this.
    """

    min_level: int
    max_level: int
    filters: int
    hyperparams: Hyperparams
    pad_to_multiple: int = 32


@dataclass(frozen=True)
class Extractor:
    """The feature extractor: a ResNet v1.

    Attributes:
        depth: 50, 101 or 152.
        slim: TF-Slim's strides, as in the API's TF1 types, not Keras's.
        stride: pixels to a cell of the features without a pyramid.
        train_batch_norm: the statistics of the batch norms are trained.
        hyperparams: what the backbone's layers share; None: the backbone's own.
        pyramid: None: proposals come from the fourth stage, and the fifth sees each crop.
        depth_multiplier: factor on the backbone's channels; 1 in every config.
    """

    depth: int
    slim: bool
    stride: int
    train_batch_norm: bool
    hyperparams: Hyperparams | None = None
    pyramid: Pyramid | None = None
    depth_multiplier: float = 1.0


@dataclass(frozen=True)
class FirstStage:
    """The region proposal network.

    Attributes:
        hyperparams: what its layers share.
        filters: channels of its convolution.
        kernel_size: of that convolution, in cells.
        dilation: of that convolution.
        batch_size: anchors of an image that the losses see.
        positive_fraction: share of positives among these, at most.
        suppression: what becomes a proposal, with `max_total` proposals to an image.
        localization_weight: factor on the localization loss.
        objectness_weight: factor on the objectness loss.
        clip_anchors: in training, anchors that leave the input are clipped, not dropped.
    """

    hyperparams: Hyperparams
    filters: int
    kernel_size: int
    dilation: int
    batch_size: int
    positive_fraction: float
    suppression: PostProcessing
    localization_weight: float
    objectness_weight: float
    clip_anchors: bool


@dataclass(frozen=True)
class Crop:
    """How the features of a proposal are cut out.

    Attributes:
        size: side of the square crop, in samples.
        pool_size: of the max pooling after it.
        pool_stride: of the max pooling after it.
    """

    size: int
    pool_size: int
    pool_stride: int


@dataclass(frozen=True)
class BoxHead:
    """What says class and box of a proposal.

    Attributes:
        hyperparams: what its dense layers share.
        dropout: share of the features that training drops; None: there is no such layer, which a
            checkpoint counts also where it drops nothing.
        share_boxes: one box for all classes.
    """

    hyperparams: Hyperparams
    dropout: float | None = None
    share_boxes: bool = False


@dataclass(frozen=True)
class MaskHead:
    """What says the mask of a proposal.

    Attributes:
        hyperparams: what its convolutions share.
        height: of the mask, in cells.
        width: of the mask, in cells.
        filters: channels of the convolutions; 0: by the numbers of classes and channels.
        convolutions: how many, with the last.
        class_agnostic: one mask for all classes.
        upsample_last: convolve, then enlarge by whole cells, instead of the other way round.
        weight: factor on the mask loss.
    """

    hyperparams: Hyperparams
    height: int
    width: int
    filters: int
    convolutions: int
    class_agnostic: bool
    upsample_last: bool
    weight: float


@dataclass(frozen=True)
class SecondStage:
    """How classes and boxes of the proposals are learnt.

    Attributes:
        batch_size: proposals of an image that the losses see.
        positive_fraction: share of positives among these, at most.
        loss: of the classes.
        localization_weight: factor on the localization loss.
        classification_weight: factor on the classification loss.
    """

    batch_size: int
    positive_fraction: float
    loss: ClassificationLoss
    localization_weight: float
    classification_weight: float


@dataclass(frozen=True)
class FasterRcnnModel:
    """`model.faster_rcnn` of a pipeline.config.

    Attributes:
        stages: 1: proposals alone; 2: classes and boxes; 3: masks too.
        masks: of a detector with three stages, else None.
        post_processing: of the second stage.
    """

    num_classes: int
    resizer: Resizer
    stages: int
    extractor: Extractor
    anchors: Anchors
    first: FirstStage
    crop: Crop
    boxes: BoxHead
    masks: MaskHead | None
    second: SecondStage
    post_processing: PostProcessing

    def architecture(self, settings: DetectorSettings) -> FasterRcnn:
        """What trains such a detector."""
        from odflow.training.faster_rcnn.architecture import FasterRcnn

        return FasterRcnn(settings)

    @property
    def input_size(self) -> Shape:
        """Height and width in pixels of what the backbone sees: the resized picture, padded."""
        multiple = self.extractor.pyramid.pad_to_multiple if self.extractor.pyramid else 1
        height, width = (
            math.ceil(side / multiple) * multiple for side in (self.resizer.height, self.resizer.width)
        )
        return height, width

    def strides(self) -> list[int]:
        """Pixels to a cell of each feature map, finest first."""
        pyramid = self.extractor.pyramid
        if pyramid is None:
            return [self.extractor.stride]
        return [2**level for level in range(pyramid.min_level, pyramid.max_level + 1)]

    def anchor_boxes(self) -> np.ndarray:
        """The anchors: (N, 4) float32, ymin xmin ymax xmax in pixels, clipped to the resized picture.

        Those of the finest map come first; `anchors_in_training` says which of them are trained.
        """
        height, width = self.resizer.height, self.resizer.width
        return np.clip(self._anchors(), 0, np.array([height, width, height, width], np.float32))

    def anchors_in_training(self) -> np.ndarray:
        """(N,) bool: the anchors that are not dropped because they leave the resized picture."""
        height, width = self.resizer.height, self.resizer.width
        boxes = self._anchors()
        inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= [height, width]).all(axis=1)
        return np.asarray(inside | self.first.clip_anchors)

    def map_shapes(self) -> list[Shape]:
        """Rows and columns of each feature map, finest first."""
        rows, columns = self.input_size
        return [(math.ceil(rows / stride), math.ceil(columns / stride)) for stride in self.strides()]

    def _anchors(self) -> np.ndarray:
        return self.anchors.boxes(self.resizer.height, self.resizer.width, self.map_shapes())
