"""Two-stage detectors small enough to build and train in seconds."""

from dataclasses import replace

import numpy as np
import pytest

from odflow.ops.anchors import GridAnchors, MultiscaleAnchors
from odflow.training.faster_rcnn.settings import (
    BoxHead,
    Crop,
    Extractor,
    FasterRcnnModel,
    FirstStage,
    MaskHead,
    Pyramid,
    SecondStage,
)
from odflow.training.settings import (
    BatchNorm,
    ClassificationLoss,
    Hyperparams,
    Initializer,
    LearningRate,
    Optimizer,
    PostProcessing,
    Reader,
    Resizer,
    Settings,
    Training,
)

PLAIN = Hyperparams("relu", initializer=Initializer("truncated_normal", stddev=0.05))
NORMED = Hyperparams("relu", BatchNorm(0.8, 1e-3), Initializer("variance_scaling", factor=1.0))


@pytest.fixture
def few_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ResNet "50" with one unit in each stage."""
    resnet_v1 = pytest.importorskip("odflow.training.layers.resnet_v1")
    monkeypatch.setitem(resnet_v1.UNITS, 50, (1, 1, 1, 1))


@pytest.fixture(scope="session")
def model() -> FasterRcnnModel:
    """A Mask R-CNN without a pyramid."""
    suppression = PostProcessing(0.0, 0.7, 20, 20, "softmax", change_coordinate_frame=False)
    return FasterRcnnModel(
        num_classes=2,
        resizer=Resizer(96, 128),
        stages=3,
        extractor=Extractor(50, False, 16, True, NORMED, depth_multiplier=0.125),
        anchors=GridAnchors((0.125, 0.25), (0.5, 1.0, 2.0)),
        first=FirstStage(PLAIN, 32, 3, 1, 16, 0.5, suppression, 2.0, 1.0, clip_anchors=False),
        crop=Crop(14, 2, 2),
        boxes=BoxHead(PLAIN),
        masks=MaskHead(PLAIN, 15, 13, 16, 2, False, False, 4.0),
        second=SecondStage(12, 0.25, ClassificationLoss("weighted_softmax"), 2.0, 1.0),
        post_processing=PostProcessing(0.05, 0.5, 10, 10, "softmax"),
    )


@pytest.fixture(scope="session")
def pyramid_model(model: FasterRcnnModel) -> FasterRcnnModel:
    """A Mask R-CNN with a feature pyramid, whose input is padded to a multiple of 32."""
    pyramid = Pyramid(3, 6, 16, NORMED)
    return replace(
        model,
        resizer=Resizer(100, 128),
        extractor=replace(model.extractor, pyramid=pyramid),
        anchors=MultiscaleAnchors(3, 6, 4.0, (1.0, 2.0), 1),
        first=replace(model.first, clip_anchors=True),
    )


@pytest.fixture(scope="session")
def training() -> Training:
    return Training(
        batch_size=4,
        num_steps=60,
        optimizer=Optimizer("adam", LearningRate("constant", 0.001), clip_norm=10.0),
        augmentations=(),
        fine_tune_type="full",
        reader=Reader(max_boxes=6, shuffle_buffer=8, masks="png"),
    )


@pytest.fixture(scope="session")
def settings(model: FasterRcnnModel, training: Training) -> Settings:
    return Settings(model, training)


def _iou(a, b):
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)


def _encode(boxes, anchors):
    sides, anchor_sides = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    offset = (boxes[:, :2] + sides / 2 - anchors[:, :2] - anchor_sides / 2) / anchor_sides
    return np.concatenate([offset * 10, np.log(sides / anchor_sides) * 5], axis=1)


@pytest.fixture(scope="session")
def numpy_iou():
    """The overlap of every box (N, 4) with every other (M, 4)."""
    return _iou


@pytest.fixture(scope="session")
def numpy_encode():
    """The Faster R-CNN box coding of boxes (N, 4) by anchors (N, 4)."""
    return _encode
