"""Extractors with a feature pyramid: their maps, and their names in checkpoints and patterns."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.settings import BatchNorm, Hyperparams  # noqa: E402
from odflow.training.ssd.extractors import EXTRACTORS  # noqa: E402
from odflow.training.ssd.fpn_extractor import pad_to_multiple  # noqa: E402
from odflow.training.ssd.settings import Extractor, FpnShape  # noqa: E402

MOBILENET = Extractor(
    "ssd_mobilenet_v2_fpn_keras",
    Hyperparams("relu6", BatchNorm(0.9, 0.001)),
    FpnShape(3, 7, 32),
    depth_multiplier=0.25,
    min_depth=8,
)
RESNET = dataclasses.replace(MOBILENET, type="ssd_resnet50_v1_fpn_keras")


def build(settings, frozen=False):
    return EXTRACTORS[settings.type](settings, Convolutions(settings.hyperparams, frozen))


def keys(extractor, tmp_path):
    path = tf.train.Checkpoint(e=extractor).write(str(tmp_path / "c"))
    found = (key for key, _ in tf.train.list_variables(path) if key.startswith("e/"))
    return {key.removeprefix("e/").removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in found}


@pytest.mark.parametrize(
    ("pyramid", "sizes"),
    [
        (FpnShape(3, 7, 32), [(12, 16), (6, 8), (3, 4), (2, 2), (1, 1)]),
        (FpnShape(2, 4, 32), [(24, 32), (12, 16), (6, 8)]),
        (FpnShape(5, 6, 32), [(3, 4), (2, 2)]),
    ],
)
def test_a_map_for_each_level(pyramid, sizes):
    maps = build(dataclasses.replace(MOBILENET, pyramid=pyramid))(tf.zeros([1, 96, 128, 3]))
    assert [tuple(one.shape) for one in maps] == [(1, *size, 8) for size in sizes]


def test_a_resnet_has_the_apis_names(tmp_path):
    extractor = build(RESNET)
    extractor(tf.zeros([1, 64, 64, 3]))
    found = keys(extractor, tmp_path)
    assert {
        "classification_backbone/layer_with_weights-0/kernel",
        "classification_backbone/layer_with_weights-1/moving_variance",
        "classification_backbone/layer_with_weights-105/gamma",  # 53 convolutions and as many norms
        "_fpn_features_generator/top_layers/0/bias",
        "_fpn_features_generator/residual_blocks/1/0/kernel",
        "_fpn_features_generator/conv_layers/0/1/beta",
        "_coarse_feature_layers/0/0/kernel",
        "_coarse_feature_layers/1/1/moving_mean",
    } <= found
    assert not any("layer_with_weights-106/" in key for key in found)
    names = {weight.name for weight in extractor.weights}
    assert {"conv1_conv/kernel:0", "conv5_block3_3_bn/gamma:0"} <= names
    assert "ResNet50V1_FPN/bottom_up_block6_batchnorm/gamma:0" in names
    assert "ResNet50V1_FPN/FeatureMaps/top_down/projection_3/kernel:0" in names


def test_a_coarser_level_is_made_of_the_one_below(tmp_path):
    extractor = build(MOBILENET)
    maps = extractor(tf.random.normal([1, 64, 64, 3]))
    convolution, norm, activation = extractor._coarse_feature_layers[1]
    wanted = activation(norm(convolution(maps[3]), training=False))
    np.testing.assert_allclose(maps[4], wanted, atol=1e-6)


def test_frozen_batch_norms_are_frozen_everywhere():
    extractor = build(MOBILENET, frozen=True)
    norms = [part for part in extractor.submodules if hasattr(part, "frozen")]
    assert len(norms) == 52 + 2 + 2
    assert all(norm.frozen for norm in norms)


def test_images_are_padded_below_and_to_the_right():
    padded = pad_to_multiple(tf.ones([1, 10, 32, 3]), 16)
    assert padded.shape == (1, 16, 32, 3)
    assert float(tf.reduce_sum(padded[:, :10])) == 10 * 32 * 3
    assert float(tf.reduce_sum(padded[:, 10:])) == 0.0
