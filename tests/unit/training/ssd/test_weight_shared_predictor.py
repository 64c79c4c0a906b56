"""The weight-shared predictor: its names in checkpoints, its order, its first values."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.settings import BatchNorm, Hyperparams, Initializer  # noqa: E402
from odflow.training.ssd.settings import WeightSharedPredictor  # noqa: E402
from odflow.training.ssd.weight_shared_predictor import weight_shared_predictor  # noqa: E402

NORMED = Hyperparams("relu6", BatchNorm(0.9, 0.001), Initializer("random_normal", stddev=0.01), l2_weight=0.1)
PLAIN = WeightSharedPredictor(NORMED, convolutions=2, filters=8, class_bias=-4.6)
SHAPES = [(6, 4), (3, 2), (2, 1)]
ANCHORS, SLOTS = 3, 5


def build(channels=(8, 8, 8), **changes):
    settings = dataclasses.replace(PLAIN, **changes)
    predictor = weight_shared_predictor(settings, [ANCHORS] * 3, SLOTS, Convolutions(settings.hyperparams))
    maps = [tf.random.normal([2, *shape, depth]) for shape, depth in zip(SHAPES, channels, strict=True)]
    return predictor, maps, predictor(maps)


def names(predictor, tmp_path):
    """Checkpoint keys without the part that every layer has."""
    path = tf.train.Checkpoint(p=predictor).write(str(tmp_path / "c"))
    keys = (key for key, _ in tf.train.list_variables(path) if key.startswith("p/"))
    return {key.removeprefix("p/").removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in keys}


def norms(head, levels=3, places=(1, 4)):
    return {
        f"_base_tower_layers_for_heads/{head}/{level}/{place}/{name}"
        for level in range(levels)
        for place in places
        for name in ("beta", "gamma", "moving_mean", "moving_variance")
    }


HEADS = {
    f"{head}/{name}"
    for head in (
        "_box_prediction_head/_box_encoder_layers/0",
        "_prediction_heads/class_predictions_with_background/_class_predictor_layers/0",
    )
    for name in ("bias", "kernel")
}


def test_separate_towers_are_stored_under_the_apis_names(tmp_path):
    convolutions = {
        f"_head_scope_conv_layers/{tower}/{i}/kernel"
        for tower in ("BoxPredictionTower", "ClassPredictionTower")
        for i in (0, 1)
    }
    towers = norms("box_encodings") | norms("class_predictions_with_background")
    assert names(build()[0], tmp_path) == HEADS | convolutions | towers


def test_a_shared_tower_is_stored_once(tmp_path):
    convolutions = {f"_head_scope_conv_layers/PredictionTower/{i}/kernel" for i in (0, 1)}
    assert names(build(share_tower=True)[0], tmp_path) == HEADS | convolutions | norms("box_encodings")


def test_without_batch_norm_layers_have_a_bias_and_no_place_is_kept(tmp_path):
    predictor, _, _ = build(hyperparams=Hyperparams("relu"), share_tower=True)
    tower = predictor._base_tower_layers_for_heads["box_encodings"][0]
    assert [type(layer).__name__ for layer in tower] == ["Conv2D", "Activation"] * 2
    convolutions = {
        f"_head_scope_conv_layers/PredictionTower/{i}/{name}" for i in (0, 1) for name in ("bias", "kernel")
    }
    assert names(predictor, tmp_path) == HEADS | convolutions


def test_dropout_stands_before_the_class_head_and_drops_in_training_alone(tmp_path):
    predictor, maps, (_, logits) = build(dropout=0.5, share_tower=True)
    head = "_prediction_heads/class_predictions_with_background/_class_predictor_layers/1"
    assert {f"{head}/bias", f"{head}/kernel"} <= names(predictor, tmp_path)
    np.testing.assert_array_equal(predictor(maps, training=False)[1], logits)
    frozen = [norm for norm in predictor.submodules if hasattr(norm, "frozen")]
    for norm in frozen:
        norm.frozen = True
    encodings, dropped = predictor(maps, training=True)
    np.testing.assert_allclose(encodings, predictor(maps, training=False)[0], atol=1e-6)
    assert not np.allclose(dropped, logits)


def test_maps_of_other_channels_are_projected_to_what_most_have(tmp_path):
    predictor, _, (encodings, _) = build(channels=(6, 8, 8), share_tower=True)
    keys = names(predictor, tmp_path)
    assert {f"_additional_projection_layers/{level}/0/kernel" for level in range(3)} <= keys
    assert "_additional_projection_layers/0/1/moving_mean" in keys
    assert encodings.shape == (2, (24 + 6 + 2) * ANCHORS, 4)


def test_predictions_stand_by_level_row_column_anchor():
    """What a map has in one cell decides what that cell's anchors say (1x1 kernels: and nothing else)."""
    predictor, maps, _ = build(
        hyperparams=Hyperparams("relu"), share_tower=True, kernel_size=1, convolutions=0
    )
    kernel, bias = predictor._prediction_heads["class_predictions_with_background"].weights
    cell = maps[1].numpy()[1, 2, 1] @ kernel.numpy()[0, 0] + bias.numpy()
    _, logits = predictor(maps)
    row = (24 + 2 * 2 + 1) * ANCHORS  # all of level 0, then row 2, column 1 of level 1
    np.testing.assert_allclose(logits[1, row : row + ANCHORS], cell.reshape(ANCHORS, SLOTS), atol=1e-5)


@pytest.mark.parametrize("separable", [False, True])
def test_first_values(separable):
    """Separable heads start as Keras has it and are not regularized, as in the API."""
    tf_keras.utils.set_random_seed(1)
    predictor, _, _ = build(separable=separable, filters=64, convolutions=1)
    weights = {weight.name.partition("/")[2]: weight.numpy() for weight in predictor.weights}
    head = "WeightSharedConvolutionalClassHead/ClassPredictor"
    np.testing.assert_allclose(weights[f"{head}/bias:0"], -4.6, rtol=1e-6)
    kernel = weights[f"{head}/{'pointwise_' if separable else ''}kernel:0"]
    glorot = (2 / (64 + ANCHORS * SLOTS)) ** 0.5
    assert kernel.std() == pytest.approx(glorot if separable else 0.01, rel=0.1)
    tower = weights[f"BoxPredictionTower/conv2d_0/{'depthwise_' if separable else ''}kernel:0"]
    assert tower.std() == pytest.approx(0.01, rel=0.15)
    assert len(predictor.losses) == (2 if separable else 4)


def test_the_config_can_draw_and_regularize_the_kernels_of_separable_heads_too():
    tf_keras.utils.set_random_seed(1)
    head = "WeightSharedConvolutionalClassHead/ClassPredictor"
    glorot = (2 / (64 + ANCHORS * SLOTS)) ** 0.5
    for pointwise, deviation, losses in ((False, glorot, 4), (True, 0.01, 8)):
        predictor, _, _ = build(
            separable=True,
            filters=64,
            convolutions=1,
            hyperparams_on_heads=True,
            hyperparams_on_pointwise=pointwise,
        )
        weights = {weight.name.partition("/")[2]: weight.numpy() for weight in predictor.weights}
        assert weights[f"{head}/depthwise_kernel:0"].std() == pytest.approx(0.01, rel=0.15)
        assert weights[f"{head}/pointwise_kernel:0"].std() == pytest.approx(deviation, rel=0.1)
        np.testing.assert_allclose(weights[f"{head}/bias:0"], -4.6, rtol=1e-6)
        assert len(predictor.losses) == losses


def test_box_encodings_are_cut_off_where_the_config_says():
    _, _, (free, _) = build()
    _, _, (cut, _) = build(encodings_range=(-1e-3, 1e-3), hyperparams=Hyperparams("relu"))
    assert np.abs(cut).max() <= 1e-3
    assert cut.shape == free.shape
