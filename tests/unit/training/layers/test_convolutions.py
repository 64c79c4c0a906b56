"""The layers that `conv_hyperparams` make, against Keras and NumPy."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.training.layers.convolutions import Convolutions, FixedPadding, apply, initializer  # noqa: E402
from odflow.training.settings import BatchNorm, Hyperparams, Initializer  # noqa: E402

PLAIN = Hyperparams("relu")
NORMED = Hyperparams("relu6", BatchNorm(0.9, 0.01), Initializer("random_normal", stddev=0.02), l2_weight=0.3)


@pytest.fixture
def maps():
    return tf.constant(np.random.default_rng(3).normal(size=(2, 9, 8, 4)), tf.float32)


@pytest.mark.parametrize(
    ("hyperparams", "bias"),
    [
        (PLAIN, True),
        (NORMED, False),
        (dataclasses.replace(NORMED, force_use_bias=True), True),
        (dataclasses.replace(NORMED, batch_norm=BatchNorm(0.9, 0.01, center=False)), True),
    ],
)
def test_a_bias_only_where_no_batch_norm_has_an_offset(hyperparams, bias):
    layers = Convolutions(hyperparams)
    made = [layers.conv2d(8, 3, "a"), layers.separable(8, 3, "b"), layers.depthwise(3, "c")]
    assert [layer.use_bias for layer in made] == [bias] * 3
    assert layers.conv2d(8, 3, "d", use_bias=not bias).use_bias is not bias


def test_regularization_is_half_the_sum_of_squares(maps):
    layer = Convolutions(NORMED).conv2d(8, 3, "a")
    layer(maps)
    squares = np.sum(layer.kernel.numpy().astype(float) ** 2)
    assert float(layer.losses[0]) == pytest.approx(0.3 * squares / 2, rel=1e-5)
    layer = Convolutions(dataclasses.replace(PLAIN, l1_weight=0.2)).conv2d(8, 3, "a")
    layer(maps)
    assert float(layer.losses[0]) == pytest.approx(0.2 * np.abs(layer.kernel.numpy()).sum(), rel=1e-5)
    assert Convolutions(PLAIN).conv2d(8, 3, "a").kernel_regularizer is None


@pytest.mark.parametrize("synchronized", [False, True])
def test_a_batch_norm_takes_the_statistics_of_all_replicas_where_it_says_so(synchronized):
    norm = BatchNorm(0.9, 0.01, synchronized=synchronized)
    layer = Convolutions(dataclasses.replace(NORMED, batch_norm=norm)).batch_norm()
    assert layer.synchronized is synchronized


def test_of_a_separable_convolution_only_the_depthwise_kernel_is_regularized(maps):
    layer = Convolutions(NORMED).separable(8, 3, "a")
    layer(maps)
    squares = np.sum(layer.depthwise_kernel.numpy().astype(float) ** 2)
    assert [float(loss) for loss in layer.losses] == [pytest.approx(0.3 * squares / 2, rel=1e-5)]


@pytest.mark.parametrize(
    ("settings", "deviation"),
    [
        (Initializer("random_normal", stddev=0.02), 0.02),
        (Initializer("truncated_normal", stddev=0.02), 0.02 * 0.8796),
        (Initializer("variance_scaling", factor=2.0), (2.0 / (9 * 64)) ** 0.5),
        (Initializer("variance_scaling", factor=1.0, mode="fan_out", uniform=True), (1 / (9 * 128)) ** 0.5),
        (Initializer("he_normal"), (2.0 / (9 * 64)) ** 0.5),
    ],
    ids=str,
)
def test_first_values_are_drawn_as_the_config_says(settings, deviation):
    tf_keras.utils.set_random_seed(1)
    values = initializer(settings)([3, 3, 64, 128]).numpy()
    assert values.std() == pytest.approx(deviation, rel=0.01)
    assert values.mean() == pytest.approx(0.0, abs=0.03 * deviation)
    if settings.kind == "truncated_normal":
        assert np.abs(values).max() <= 2 * settings.stddev


def test_a_frozen_batch_norm_keeps_its_statistics_and_goes_on_learning(maps):
    norm = Convolutions(NORMED, frozen=True).batch_norm("a")
    found = norm(maps, training=True)
    np.testing.assert_allclose(found, maps / np.sqrt(1.01), rtol=1e-5)
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(4))
    assert {weight.name for weight in norm.trainable_weights} == {"a/gamma:0", "a/beta:0"}
    untrained = dataclasses.replace(NORMED, batch_norm=BatchNorm(0.9, 0.01, train=False))
    assert Convolutions(untrained).batch_norm("b").frozen


def test_a_learning_batch_norm_moves_by_its_momentum(maps):
    norm = Convolutions(NORMED).batch_norm("a")
    norm(maps, training=True)
    mean = maps.numpy().mean(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (5, 7)])
def test_explicit_padding_is_the_same_for_even_and_odd_maps(size):
    maps = tf.random.normal([1, *size, 2])
    kernel = tf.random.normal([3, 3, 2, 4])
    found = tf.nn.conv2d(FixedPadding(3)(maps), kernel, 2, "VALID")
    centred = np.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = -(-size[0] // 2), -(-size[1] // 2)
    by_hand = [
        [np.tensordot(centred[0, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3], kernel, 3) for x in range(width)]
        for y in range(height)
    ]
    np.testing.assert_allclose(found[0], by_hand, rtol=1e-4, atol=1e-5)


def test_a_block_is_convolution_norm_activation(maps):
    plain = Convolutions(NORMED).block(8, "smoothing_1", separable=False)
    assert [layer.name for layer in plain] == ["smoothing_1_conv", "smoothing_1_batchnorm", "smoothing_1"]
    padded = Convolutions(NORMED).block(8, "up", separable=True, strides=2, explicit_padding=True)
    assert [layer.name for layer in padded[1:]] == ["up_depthwise_conv", "up_batchnorm", "up"]
    assert apply(padded, maps, None).shape == (2, 5, 4, 8)
    without = Convolutions(PLAIN).block(8, "smoothing_1", separable=False)
    assert len(without) == 3  # the place of the norm is kept: places are names in checkpoints
    np.testing.assert_array_equal(apply(without[1:2], maps, True), maps)
