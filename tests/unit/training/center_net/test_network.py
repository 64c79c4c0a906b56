"""CenterNet's networks against Model Garden's own, which reads the API's checkpoints by their keys."""

import dataclasses

import numpy as np
import pytest

from odflow.training.center_net import extractor_types
from odflow.training.center_net.extractor_types import HOURGLASSES, HourglassShape
from odflow.training.center_net.settings import Extractor
from odflow.training.settings import Normalization, Resizer

tf = pytest.importorskip("tensorflow")


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def randomize(variables):
    rng = np.random.default_rng(3)
    for variable in variables:
        value = rng.normal(size=variable.shape) * 0.1
        positive = "variance" in variable.name or "gamma" in variable.name
        variable.assign(np.abs(value) + 0.5 if positive else value)


@pytest.fixture(scope="module")
def garden():
    """Model Garden's hourglass of two stacks and its heads."""
    import tf_keras
    from official.projects.centernet.modeling.backbones.hourglass import Hourglass
    from official.projects.centernet.modeling.heads.centernet_head import CenterNetHead

    specs = tf_keras.layers.InputSpec(shape=[1, 64, 96, 3])
    backbone = Hourglass(20, 48, input_specs=specs, num_hourglasses=2, use_sync_bn=False)
    outputs = {"ct_heatmaps": 2, "ct_offset": 2, "ct_size": 2}
    head = CenterNetHead(backbone.output_specs, outputs, ["2_0", "2"])
    return backbone, head


def test_model_garden_reads_the_checkpoint_as_one_of_the_api_and_computes_the_same(
    model, garden, tmp_path, monkeypatch, capsys
):
    from official.projects.centernet.utils.checkpoints import load_weights, read_checkpoints

    from odflow.training.center_net.network import CenterNetNetwork

    two = HourglassShape(48, (96, 96, 144), (1, 2, 2), 2)
    monkeypatch.setitem(extractor_types.HOURGLASSES, "two", two)
    head = dataclasses.replace(model.centers.head, filters=(96,))  # as Model Garden's
    network = CenterNetNetwork(
        dataclasses.replace(
            model,
            resizer=Resizer(64, 96),
            extractor=Extractor("two", Normalization()),
            centers=dataclasses.replace(model.centers, head=head),
            boxes=dataclasses.replace(model.boxes, scale_head=head, offset_head=head),
        )
    )
    randomize(network.variables)
    tf.train.Checkpoint(model=network).write(str(tmp_path / "ckpt"))

    weights, _ = read_checkpoints.get_ckpt_weights_as_dict(str(tmp_path / "ckpt"))
    backbone, heads = garden
    parts = weights["model"]
    loaded = load_weights.load_weights_backbone(
        backbone, parts["_feature_extractor"]["_network"], "hourglass104_512"
    )
    assert loaded == count(backbone.variables)
    load_weights.load_weights_head(heads, parts["_prediction_head_dict"], "detection_2d")
    images = np.random.default_rng(1).normal(size=(1, 64, 96, 3)).astype("f")
    wanted = heads(backbone(images))
    found = network(images)
    names = {"object_center": "ct_heatmaps", "box/offset": "ct_offset", "box/scale": "ct_size"}
    for ours, theirs in names.items():
        for one, other in zip(found[ours], wanted[theirs], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize(
    ("kind", "garden_id", "channels", "stacks"),
    [
        ("hourglass_10", 10, 32, 1),
        ("hourglass_20", 20, 48, 1),
        pytest.param("hourglass_32", 32, 48, 1, marks=pytest.mark.slow),
        pytest.param("hourglass_52", 52, 64, 1, marks=pytest.mark.slow),
        pytest.param("hourglass_104", 52, 128, 2, marks=pytest.mark.slow),
    ],
)
def test_hourglasses_have_as_many_trainable_numbers_as_model_gardens(kind, garden_id, channels, stacks):
    from official.projects.centernet.modeling.backbones.hourglass import Hourglass as Peer

    from odflow.training.center_net.hourglass import HourglassNetwork

    shape = HOURGLASSES[kind]
    own = HourglassNetwork(shape)
    side = shape.step
    outputs = own(tf.zeros([1, side, side, 3]))
    assert [tuple(one.shape) for one in outputs] == [(1, side // 4, side // 4, shape.channels[0])] * stacks
    peer = Peer(garden_id, channels, num_hourglasses=stacks, use_sync_bn=False)
    assert count(own.trainable_variables) == count(peer.trainable_variables)


@pytest.mark.parametrize("kind", ["resnet_v1_50_fpn", "resnet_v2_50"])
def test_resnets_end_at_a_quarter_of_the_image_and_have_the_apis_keys(kind, tmp_path):
    from odflow.training.center_net.resnet import BUILDERS

    extractor = BUILDERS[kind]()
    [maps] = extractor(tf.zeros([2, 64, 96, 3]))
    assert tuple(maps.shape) == (2, 16, 24, 64)
    tf.train.Checkpoint(_feature_extractor=extractor).write(str(tmp_path / "ckpt"))
    keys = {name.partition("/.ATTR")[0] for name, _ in tf.train.list_variables(str(tmp_path / "ckpt"))}
    base = {key for key in keys if key.startswith("_feature_extractor/_base_model/layer_with_weights-")}
    top = {key for key in keys if key.startswith("_feature_extractor/_feature_extractor_model/")}
    assert base | top == keys - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    # Below the top's own layers stands the backbone as one: numbers begin at 1.
    assert {key.split("/")[2] for key in top} == {
        f"layer_with_weights-{i}" for i in range(1, 13 if kind == "resnet_v2_50" else 11)
    }
    assert len(base) == len(extractor._base_model.variables)


def test_the_heatmap_begins_at_its_bias_and_batch_norms_learn(model):
    from odflow.training.center_net.network import CenterNetNetwork

    network = CenterNetNetwork(model)
    [last] = [head.layers[-1] for head in network._prediction_head_dict["object_center"]]
    np.testing.assert_allclose(last.bias, -2.19, rtol=1e-6)
    images = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype("f")
    network(images, training=True)
    still = [v.name for v in network.variables if "moving_mean" in v.name and not np.any(v.numpy())]
    assert not still


HOURGLASS = "center_net_hourglass_feature_extractor/hourglass_network/"
STEM, BLOCK = (
    f"model/_feature_extractor/_network/{part}/" for part in ("downsample_input", "hourglass_network")
)
NAMES = {
    f"{STEM}conv_block/conv/kernel": f"{HOURGLASS}input_downsample_block/convolutional_block/conv2d/kernel",
    f"{STEM}residual_block/conv/kernel": f"{HOURGLASS}input_downsample_block/residual_block/conv2d_2/kernel",
    f"{STEM}residual_block/conv_block/norm/gamma": (
        f"{HOURGLASS}input_downsample_block/residual_block/convolutional_block_1/batchnorm/gamma"
    ),
    f"{STEM}residual_block/skip/conv/kernel": (
        f"{HOURGLASS}input_downsample_block/residual_block/skip_convolution/conv2d_3/kernel"
    ),
    f"{BLOCK}0/encoder_block1/0/conv_block/conv/kernel": (
        f"{HOURGLASS}encoder_decoder_block/residual_block_1/convolutional_block_2/conv2d_4/kernel"
    ),
    f"{BLOCK}0/decoder_block/0/norm/beta": (
        f"{HOURGLASS}encoder_decoder_block/residual_block_4/batchnorm/beta"
    ),
    "model/_feature_extractor/_network/output_conv/0/norm/moving_mean": (
        f"{HOURGLASS}convolutional_block_6/batchnorm/moving_mean"
    ),
}
"""Key to name in the API's own hourglass_10, and below those of its heads: the last layer is made first."""
HEADS = {
    f"model/_prediction_head_dict/{head}/0/layer_with_weights-{layer}/kernel": f"conv2d_{number}/kernel"
    for head, layer, number in (
        ("object_center", 0, 15),
        ("object_center", 1, 14),
        ("box.Sscale", 0, 17),
        ("box.Sscale", 1, 16),
        ("box.Soffset", 0, 19),
        ("box.Soffset", 1, 18),
    )
}


def test_names_that_patterns_match_are_the_api_s_whatever_was_built_before(settings):
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import variables_by_name

    for _ in range(2):
        network = architecture(settings).build()
        named = {key: variable.name for key, variable in variables_by_name(network).items()}
        wanted = NAMES | HEADS
        assert {key: named[key] for key in wanted} == {key: f"{name}:0" for key, name in wanted.items()}
        assert len(set(named.values())) == len(named)
