"""A detector small enough to build and train in seconds."""

import pytest

from odflow.ops.anchors import MultiscaleAnchors
from odflow.training.settings import (
    Augmentation,
    BatchNorm,
    ClassificationLoss,
    Hyperparams,
    Initializer,
    LearningRate,
    LocalizationLoss,
    Matcher,
    Optimizer,
    PostProcessing,
    Reader,
    Resizer,
    Settings,
    Training,
)
from odflow.training.ssd.settings import (
    Extractor,
    FpnShape,
    Losses,
    Matching,
    SsdModel,
    WeightSharedPredictor,
)


@pytest.fixture(scope="session")
def model() -> SsdModel:
    hyperparams = Hyperparams(
        "relu6", BatchNorm(0.9, 0.001), Initializer("truncated_normal", stddev=0.03), l2_weight=4e-5
    )
    return SsdModel(
        num_classes=2,
        resizer=Resizer(96, 128),
        extractor=Extractor(
            "ssd_mobilenet_v2_fpn_keras", hyperparams, FpnShape(3, 5, 32), depth_multiplier=0.35, min_depth=8
        ),
        predictor=WeightSharedPredictor(hyperparams, 1, 16, class_bias=-3.0),
        anchors=MultiscaleAnchors(3, 5, 2.0, (1.0, 2.0), 2),
        matching=Matching(Matcher(force_match=True), (10.0, 10.0, 5.0, 5.0)),
        losses=Losses(
            ClassificationLoss("weighted_sigmoid_focal", alpha=0.25, gamma=1.5),
            LocalizationLoss(),
            by_code_size=True,
        ),
        post_processing=PostProcessing(0.01, 0.5, 20, 30),
    )


@pytest.fixture(scope="session")
def settings(model: SsdModel) -> Settings:
    return Settings(
        model,
        Training(
            batch_size=4,
            num_steps=12,
            optimizer=Optimizer("adam", LearningRate("constant", 0.002), clip_norm=10.0),
            augmentations=(Augmentation("random_horizontal_flip", {"probability": 0.5}),),
            fine_tune_type="full",
            reader=Reader(shuffle_buffer=8, max_boxes=10),
        ),
    )
