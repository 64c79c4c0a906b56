"""The stacked hourglass against the paper, and on odd sizes."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from odflow.errors import ConfigError
from odflow.heads.pose.hourglass import StackedHourglass, check_shape
from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel
from odflow.heads.pose.skeleton import read_skeleton
from odflow.training.checkpoints import variables_by_name

LSP = read_skeleton("lsp")


def small(height: int = 64, width: int = 64, stride: int = 4, **others: int) -> PoseModel:
    given = {"channels": 8, "order": 2} | others
    return PoseModel(
        LSP, Crop(height, width), Heatmaps(height // stride, width // stride), foreground_weight=81.0, **given
    )


def numbers(count: int, height: int, width: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(3).integers(0, 256, (count, height, width, 3)), tf.uint8)


def residual_weights(channels_in: int, channels: int) -> int:
    """Counted by hand: 1x1, 3x3, 1x1 with biases, two trained numbers a channel before each, a shortcut."""
    half = channels // 2
    convolutions = channels_in * half + half + 9 * half * half + half + half * channels + channels
    norms = 2 * (channels_in + half + half)
    shortcut = 0 if channels_in == channels else channels_in * channels + channels
    return convolutions + norms + shortcut


@pytest.mark.parametrize("stacks", [1, 2])
def test_the_papers_network_has_the_papers_weights(stacks: int) -> None:
    model = PoseModel(read_skeleton("mpii"), stacks=stacks)
    network = StackedHourglass(model)
    same, joints = residual_weights(256, 256), 16
    stem = 7 * 7 * 3 * 64 + 64 + 2 * 64
    stem += residual_weights(64, 128) + residual_weights(128, 128) + residual_weights(128, 256)
    hourglass = (3 * 4 + 1) * same
    output = same + 256 * 256 + 256 + 2 * 256 + 256 * joints + joints
    remap = 256 * 256 + 256 + joints * 256 + 256
    wanted = stem + stacks * (hourglass + output) + (stacks - 1) * remap
    assert sum(np.prod(variable.shape) for variable in network.trainable_variables) == wanted
    assert [tuple(maps.shape) for maps in network(numbers(1, 256, 256))] == [(1, 64, 64, 16)] * stacks


def test_every_weight_has_a_name_in_a_checkpoint() -> None:
    network = StackedHourglass(small(stacks=2))
    names = variables_by_name(network)
    assert len(names) == len(network.variables)
    assert {name.split("/")[1] for name in names} == {"stem", "stacks", "remaps"}


def test_every_weight_learns() -> None:
    network = StackedHourglass(small(stacks=2))
    with tf.GradientTape() as tape:
        loss = tf.add_n(
            [tf.reduce_sum(tf.square(maps)) for maps in network(numbers(2, 64, 64), training=True)]
        )
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    # A bias before a batch norm moves nothing; what lies behind each ReLU gets something.
    assert sum(bool(tf.reduce_any(gradient != 0.0)) for gradient in gradients) > 0.95 * len(gradients)


def test_later_stacks_see_what_earlier_ones_found() -> None:
    network = StackedHourglass(small(stacks=2))
    images = numbers(1, 64, 64)
    before = network(images)
    network.stacks[0].maps.bias.assign_add(tf.ones(14))
    after = network(images)
    np.testing.assert_allclose(after[0], before[0] + 1.0, rtol=1e-5, atol=1e-4)
    assert np.abs(after[1] - before[1]).max() > 1e-3


def test_later_stacks_see_what_the_stem_found() -> None:
    network = StackedHourglass(small(stacks=2))
    for variable in network.remaps[0].variables:
        variable.assign(tf.zeros_like(variable))
    one, other = network(numbers(2, 64, 64))[1]
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("height", "width", "stride", "order"), [(60, 92, 4, 3), (96, 144, 8, 3), (64, 32, 2, 4), (8, 8, 4, 1)]
)
def test_maps_of_any_size_come_out_whole(height: int, width: int, stride: int, order: int) -> None:
    network = StackedHourglass(small(height, width, stride, order=order))
    assert network(numbers(2, height, width))[0].shape == (2, height // stride, width // stride, 14)


def test_maps_have_32_bits_where_the_network_has_16() -> None:
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = StackedHourglass(small(stacks=2))
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    with tf.GradientTape() as tape:
        outputs = network(numbers(1, 64, 64), training=True)
        loss = tf.add_n([tf.reduce_mean(maps) for maps in outputs])
    assert [maps.dtype for maps in outputs] == [tf.float32, tf.float32]
    assert network.stem.convolution.compute_dtype == "bfloat16"
    assert all(gradient is not None for gradient in tape.gradient(loss, network.trainable_variables))


def test_pixels_are_scaled_inside() -> None:
    network = StackedHourglass(small())
    images = numbers(1, 64, 64)
    np.testing.assert_allclose(network(images)[0], network(tf.cast(images, tf.float32))[0], atol=1e-5)
    seen = []
    network.stem.convolution.call = lambda pixels: seen.append(pixels) or tf.zeros([1, 32, 32, 2])
    network(tf.constant([[[[0, 255, 51]]]], tf.uint8) + tf.zeros([1, 64, 64, 3], tf.uint8))
    np.testing.assert_allclose(seen[0][0, 0, 0], [-1.0, 1.0, -0.6], atol=1e-6)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (small(64, 64, order=5), "order is 5; maps of 16x16 cells can be halved 4 times"),
        (small(64, 64, order=0), "from 1 to 4"),
        (small(64, 32, order=4), "maps of 8x16 cells can be halved 3 times"),
        (small(stacks=0), "stacks is 0"),
        (small(channels=10), "multiple of 4"),
        (PoseModel(LSP, Crop(256, 256), Heatmaps(60, 60)), "such as 64x64"),
        (PoseModel(LSP, Crop(256, 256), Heatmaps(64, 32)), "such as 64x64"),
    ],
)
def test_what_cannot_be_built_is_told(model: PoseModel, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_shape(model)
