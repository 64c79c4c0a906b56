"""The way down a feature pyramid, by hand."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.layers.fpn import TopDown, upsample  # noqa: E402
from odflow.training.settings import Hyperparams  # noqa: E402


def test_upsampling_writes_every_cell_four_times():
    maps = np.random.default_rng(1).normal(size=(2, 3, 5, 4)).astype("f")
    np.testing.assert_array_equal(upsample(tf.constant(maps)), maps.repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize("height", [12, 11, 10])
@pytest.mark.parametrize("slim", [False, True])
@pytest.mark.parametrize("separable", [False, True])
def test_a_map_gets_what_the_coarser_one_has(height, slim, separable):
    """Sizes that do not halve without rest are cut to the finer map; TensorFlow 1 hands the sum on."""
    sizes = [(height, 8), ((height + 1) // 2, 4), ((height + 3) // 4, 2)]
    maps = [tf.random.normal([1, *size, 3 + i]) for i, size in enumerate(sizes)]
    layers = Convolutions(Hyperparams("none"))
    pyramid = TopDown(3, 6, layers, separable=separable, explicit_padding=False, slim=slim)
    found = pyramid(maps)
    assert [tuple(one.shape) for one in found] == [(1, *size, 6) for size in sizes]

    project = [
        lambda x, layer=layer: tf.tensordot(x, layer.kernel[0, 0], 1) + layer.bias
        for layer in [pyramid.residual_blocks[1][0], pyramid.residual_blocks[0][0], pyramid.top_layers[0]]
    ]
    smooth = [block[0] for block in reversed(pyramid.conv_layers)]
    wanted = [down := project[2](maps[2])]
    for level in (1, 0):
        high, wide = sizes[level]
        above = down.numpy().repeat(2, 1).repeat(2, 2)[:, :high, :wide]
        added = above + project[level](maps[level])
        wanted.insert(0, _smoothed(added, smooth[level]))
        down = added if slim else wanted[0]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def _smoothed(maps, layer):
    *kernels, bias = layer.weights
    if len(kernels) == 1:
        return tf.nn.conv2d(maps, kernels[0], 1, "SAME") + bias
    return tf.nn.separable_conv2d(maps, *kernels, [1, 1, 1, 1], "SAME") + bias


def test_layers_are_named_as_in_the_api():
    pyramid = TopDown(3, 6, Convolutions(Hyperparams("none")), separable=True, explicit_padding=False)
    pyramid([tf.zeros([1, 8, 8, 3]), tf.zeros([1, 4, 4, 3]), tf.zeros([1, 2, 2, 3])])
    names = {
        weight.name.removeprefix("FeatureMaps/top_down/").partition("/")[0] for weight in pyramid.weights
    }
    smoothing = {"smoothing_1_depthwise_conv", "smoothing_2_depthwise_conv"}
    assert names == {"projection_1", "projection_2", "projection_3"} | smoothing
