"""A CenterNet small enough to build and train in seconds."""

import pytest

from odflow.training.center_net.settings import Boxes, CenterNetModel, Centers, Extractor, Head
from odflow.training.settings import (
    LearningRate,
    Normalization,
    Optimizer,
    Reader,
    Resizer,
    Settings,
    Training,
)


@pytest.fixture(scope="package")
def model() -> CenterNetModel:
    head = Head((16,), (3,))
    return CenterNetModel(
        num_classes=2,
        resizer=Resizer(64, 64, 64),
        extractor=Extractor("hourglass_10", Normalization((104.0, 114.0, 120.0), (73.0, 70.0, 71.0), True)),
        centers=Centers(head=head, max_detections=5),
        boxes=Boxes(scale_head=head, offset_head=head),
    )


@pytest.fixture(scope="package")
def settings(model) -> Settings:
    optimizer = Optimizer("adam", LearningRate("constant", 0.003), epsilon=1e-7)
    return Settings(model, Training(4, 60, optimizer, (), "full", Reader(max_boxes=4)))
