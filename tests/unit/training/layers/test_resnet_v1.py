"""ResNet v1: the layers of Keras's, the strides of Keras's or of TF-Slim's."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.layers.resnet_v1 import UNITS, ResNetV1, resnet_hyperparams  # noqa: E402


def build(size=None, last=5, **options):
    inputs = tf_keras.Input([size, size, 3])
    layers = Convolutions(resnet_hyperparams())
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
