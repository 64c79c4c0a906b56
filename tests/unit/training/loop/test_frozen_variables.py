"""Needs no TensorFlow: patterns and names alone."""

import dataclasses

import pytest

from odflow.errors import ConfigError
from odflow.training.loop.frozen_variables import trained_names
from odflow.training.settings import LearningRate, Optimizer, Training

NAMES = {
    "model/_feature_extractor/backbone/layer_with_weights-0/kernel": ["Conv1/kernel"],
    "model/_feature_extractor/backbone/layer_with_weights-1/gamma": ["bn_Conv1/gamma"],
    "model/_box_predictor/box/kernel": ["BoxPredictor/BoxHead/kernel"],
    "model/_box_predictor/box/bias": ["BoxPredictor/BoxHead/bias"],
}
BACKBONE, NORM, KERNEL, BIAS = NAMES


def trained(freeze=(), update=()):
    training = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.1)), (), "full")
    return trained_names(
        NAMES, dataclasses.replace(training, freeze_variables=freeze, update_trainable_variables=update)
    )


@pytest.mark.parametrize(
    ("freeze", "update", "expected"),
    [
        ((), (), [BACKBONE, NORM, KERNEL, BIAS]),
        (("model/_feature_extractor",), (), [KERNEL, BIAS]),
        (("Conv1", "bn_Conv1"), (), [KERNEL, BIAS]),
        ((".*bias$",), (), [BACKBONE, NORM, KERNEL]),
        ((), ("BoxPredictor",), [KERNEL, BIAS]),
        ((".*bias",), ("BoxPredictor", "bn_"), [NORM, KERNEL]),
    ],
)
def test_patterns_match_the_beginning_of_either_name(freeze, update, expected):
    assert trained(freeze, update) == expected


PARTS = {
    "model/_feature_extractor_for_proposal_features/layer_with_weights-0/kernel": ["conv1_conv/kernel"],
    "model/_feature_extractor_for_box_classifier_features/layer_with_weights-1/gamma": ["conv5_1_bn/gamma"],
    "model/_first_stage_box_predictor/_prediction_heads/x/kernel": ["FirstStageBoxPredictor/Head_0/kernel"],
    "model/_mask_rcnn_box_predictor/_box_prediction_head/kernel": ["mask_rcnn_keras_box_predictor/kernel"],
    "model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel": ["Conv1/kernel"],
}


@pytest.mark.parametrize(
    ("pattern", "frozen"),
    [
        ("FirstStageFeatureExtractor", [0]),
        ("SecondStageFeatureExtractor", [1]),
        ("FirstStageBoxPredictor", [2]),
        ("SecondStageBoxPredictor", [3]),
        ("SecondStage", [1, 3]),
        ("FeatureExtractor", [4]),
        (".*FeatureExtractor.*", [0, 1, 4]),
        ("FirstStage(FeatureExtractor|BoxPredictor)", [0, 2]),
        (".*_bn/", [1]),
    ],
)
def test_the_scopes_of_tensorflow_1_mean_the_parts_that_they_meant(pattern, frozen):
    training = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.1)), (), "full")
    trained = trained_names(PARTS, dataclasses.replace(training, freeze_variables=(pattern,)))
    assert [key for key in PARTS if key not in trained] == [list(PARTS)[place] for place in frozen]


def test_a_pattern_that_matches_nothing_is_told_with_what_is_near():
    with pytest.raises(ConfigError) as error:
        trained(freeze=("model/_feature_extracter", "kernel"), update=("(",))
    first, second, third = str(error.value).splitlines()
    assert first.startswith('train_config.update_trainable_variables: "(" is no regular expression')
    assert '"model/_feature_extracter" matches the beginning of no variable. Did you mean' in second
    assert '"model/_feature_extractor"?' in second
    assert '"kernel" matches the beginning of no variable.' in third
    assert "holds it further on: put .* before it." in third


def test_freezing_everything_is_refused():
    with pytest.raises(ConfigError, match="leave none of the 4 variables to train"):
        trained(freeze=(".*",))
