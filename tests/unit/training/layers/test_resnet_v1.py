"""ResNet v1: the layers of Keras's, the strides of Keras's or of TF-Slim's."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.layers.resnet_v1 import (  # noqa: E402
    UNITS,
    ResNetV1,
    resnet_hyperparams,
    slim_hyperparams,
)
from odflow.training.settings import BatchNorm, Hyperparams, Initializer  # noqa: E402


def build(size=None, last=5, hyperparams=None, **options):
    inputs = tf_keras.Input([size, size, 3])
    layers = Convolutions(hyperparams or resnet_hyperparams())
    return tf_keras.Model(inputs, ResNetV1(layers, **options).stages(inputs, last))


def with_weights(network):
    return [layer for layer in network.layers if layer.weights]


def randomise(network, seed):
    rng = np.random.default_rng(seed)
    for layer in with_weights(network):
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])


@pytest.mark.parametrize(
    ("depth", "name"),
    [
        (50, "ResNet50"),
        pytest.param(101, "ResNet101", marks=pytest.mark.slow),
        pytest.param(152, "ResNet152", marks=pytest.mark.slow),
    ],
)
def test_layers_have_keras_s_names_in_keras_s_order(depth, name):
    mine = with_weights(build(depth=depth))
    keras = with_weights(
        getattr(tf_keras.applications, name)(include_top=False, weights=None, input_shape=(None, None, 3))
    )
    assert [layer.name for layer in mine] == [layer.name for layer in keras]
    for own, other in zip(mine, keras, strict=True):
        assert own.weights[0].shape == other.weights[0].shape


def test_numbers_are_keras_s():
    mine = build()
    randomise(mine, 1)
    keras = tf_keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    for own, other in zip(with_weights(mine), with_weights(keras), strict=True):
        if isinstance(other, tf_keras.layers.BatchNormalization):
            other.set_weights(own.get_weights())
            other.epsilon = own.epsilon
        else:
            other.set_weights([own.get_weights()[0], np.zeros(other.bias.shape)])
    # Of an odd size Keras's own padding before the pooling is what "same" gives.
    image = np.random.default_rng(2).normal(size=(1, 97, 97, 3)).astype("f")
    wanted = keras(image).numpy()
    np.testing.assert_allclose(mine(image)[-1], wanted, atol=1e-4 * np.abs(wanted).max())


def test_stages_have_their_strides_and_channels(monkeypatch):
    monkeypatch.setitem(UNITS, 50, (2, 2, 2, 2))
    shapes = [tuple(map_.shape[1:]) for map_ in build(64).outputs]
    assert shapes == [(16, 16, 256), (8, 8, 512), (4, 4, 1024), (2, 2, 2048)]
    narrow = build(64, depth_multiplier=0.125).outputs
    assert [map_.shape[3] for map_ in narrow] == [32, 64, 128, 256]


@pytest.mark.parametrize(("stride", "sides"), [(8, [9, 9, 9]), (16, [9, 5, 5]), (32, [9, 5, 3])])
def test_tf_slim_s_strides_stop_where_told(monkeypatch, stride, sides):
    monkeypatch.setitem(UNITS, 50, (2, 2, 2, 2))
    maps = build(65, 4, slim=True, output_stride=stride, depth_multiplier=0.125).outputs
    assert [map_.shape[1] for map_ in maps] == sides


def test_what_is_dilated_holds_what_strides_would_have_given(monkeypatch):
    """The property that TF-Slim's own network has: sampled, the finer map is the coarser one."""
    monkeypatch.setitem(UNITS, 50, (2, 2, 3, 2))
    coarse = build(97, 4, slim=True, output_stride=32, depth_multiplier=0.125)
    fine = build(97, 4, slim=True, output_stride=8, depth_multiplier=0.125)
    randomise(coarse, 3)
    fine.set_weights(coarse.get_weights())
    image = np.random.default_rng(4).normal(size=(1, 97, 97, 3)).astype("f")
    small, large = coarse(image)[-1].numpy(), fine(image)[-1].numpy()
    assert (small.shape[1], large.shape[1]) == (4, 13)
    np.testing.assert_allclose(large[:, ::4, ::4], small, atol=1e-4 * np.abs(small).max())


def test_strides_do_not_change_the_order_in_which_layers_are_counted(monkeypatch):
    monkeypatch.setitem(UNITS, 50, (2, 3, 2, 2))
    names = [layer.name for layer in with_weights(build(64))]
    for stride in (8, 16, 32):
        assert [layer.name for layer in with_weights(build(64, slim=True, output_stride=stride))] == names


@pytest.mark.parametrize("depth", [50, 101, 152])
@pytest.mark.parametrize("size", [64, 65, 97])
def test_tf_slim_s_pyramid_takes_the_maps_before_their_stride(monkeypatch, depth, size):
    """What goes on is every second row and column: the same as a stride in the last unit."""
    monkeypatch.setitem(UNITS, depth, (2, 2, 3, 2))
    options = {"depth": depth, "slim": True, "depth_multiplier": 0.125}
    strided, whole = build(size, **options), build(size, **options, whole_maps=True)
    randomise(whole, 5)
    strided.set_weights(whole.get_weights())
    image = np.random.default_rng(6).normal(size=(1, size, size, 3)).astype("f")
    assert [one.shape[1] for one in whole.outputs] == [-(-size // 2**level) for level in (2, 3, 4, 5)]
    for before, after in zip(whole(image)[:3], strided(image)[:3], strict=True):
        np.testing.assert_allclose(before[:, ::2, ::2], after, atol=1e-4 * np.abs(after).max())
    np.testing.assert_allclose(
        whole(image)[3], strided(image)[3], atol=1e-4 * np.abs(strided(image)[3]).max()
    )


@pytest.mark.parametrize("slim", [False, True])
def test_a_unit_of_tf_slim_ends_in_a_relu_whatever_the_activation(monkeypatch, slim):
    monkeypatch.setitem(UNITS, 50, (2, 2, 2, 2))
    clipped = Hyperparams("relu6", BatchNorm(0.9, 0.001))
    network = build(64, hyperparams=clipped, slim=slim, depth_multiplier=0.125)
    for layer in with_weights(network):
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta + 5.0, mean, variance])
    found = network(np.random.default_rng(7).normal(size=(1, 64, 64, 3)).astype("f"))
    assert all((np.max(one) > 6.0) == slim for one in found)


def test_channels_of_tf_slim_are_multiples_of_the_narrow_ones_and_the_stem_keeps_its_own(monkeypatch):
    monkeypatch.setitem(UNITS, 50, (2, 2, 2, 2))
    options = {"depth_multiplier": 0.35, "min_depth": 8}
    assert [one.shape[3] for one in build(64, slim=True, **options).outputs] == [88, 176, 356, 716]
    assert [one.shape[3] for one in build(64, **options).outputs] == [89, 179, 358, 716]
    stems = [build(64, slim=slim, **options).get_layer("conv1_conv").filters for slim in (True, False)]
    assert stems == [64, 22]


def test_an_override_leaves_tf_slim_its_own_batch_norm():
    """The API's graphs have 1e-5 in the backbone, whatever the config says."""
    own, given = Initializer("random_normal", stddev=0.1), BatchNorm(0.9, 0.001, scale=False, train=False)
    found = slim_hyperparams(Hyperparams("relu6", given, own, l2_weight=0.5))
    assert found == Hyperparams("relu6", BatchNorm(0.997, 1e-5, train=False), own, l2_weight=0.5)
    without = Hyperparams("relu6", None, own)
    assert slim_hyperparams(without) == without
