import numpy as np
import pytest
import tensorflow as tf

from odflow.training.model_garden.deeplab import build_deeplab
from odflow.training.model_garden.deeplab_config import DeepLabConfig

pytestmark = pytest.mark.slow  # builds networks

SMALL = {"num_classes": 5, "filters": 16}


@pytest.fixture(scope="module")
def networks():
    built = {}

    def build(**fields):
        key = tuple(sorted(fields.items()))
        if key not in built:
            built[key] = build_deeplab(DeepLabConfig(**{**SMALL, **fields}))
        return built[key]

    return build


@pytest.mark.parametrize(
    ("fields", "stride"),
    [
        ({"width": 0.25}, 16),
        ({"width": 0.25, "output_stride": 8, "dilation_rates": (2, 4)}, 8),
        ({"width": 0.25, "output_stride": 32}, 32),
        ({"width": 0.25, "plus": True}, 4),
        ({"backbone": "mobilenet/MobileNetV1", "width": 0.25}, 16),
        ({"backbone": "mobilenet/MobileNetV1", "width": 0.25, "plus": True, "output_stride": 8}, 4),
        ({"backbone": "dilated_resnet/50", "dilation_rates": (6, 12, 18)}, 16),
        ({"backbone": "dilated_resnet/50", "plus": True, "output_stride": 8}, 4),
    ],
)
def test_logits_stand_at_the_stride(networks, fields, stride):
    network = networks(**fields)
    for height, width in ((64, 96), (72, 56)):  # any size: one that the stride does not divide, too
        logits = network(np.zeros([2, height, width, 3], np.float32))
        assert logits.shape == (2, -(-height // stride), -(-width // stride), 5)
        assert logits.dtype == tf.float32


@pytest.mark.parametrize("fields", [{"width": 0.25}, {"width": 0.25, "plus": True}])
def test_every_variable_belongs_to_a_part(networks, fields):
    network = networks(**fields)
    parts = [network.backbone, network.decoder, network.head]
    owned = {id(variable) for part in parts for variable in part.variables}
    assert owned == {id(variable) for variable in network.variables}
    assert sum(len(part.variables) for part in parts) == len(owned)
    kernel, bias = network.class_layer.variables
    assert kernel.shape[-1] == bias.shape[0] == 5


def test_checkpoints_have_model_gardens_names(networks, tmp_path):
    """Those of a segmentation model of Model Garden, saved as its own task saves it, fit."""
    from official.vision.modeling import factory

    from odflow.training.model_garden import deeplab

    config = DeepLabConfig(**SMALL, width=0.25, plus=True)
    specs = deeplab.tf_keras.layers.InputSpec(shape=[None, None, None, 3])
    theirs = factory.build_segmentation_model(specs, deeplab._model_config(config))
    images = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    expected = theirs(images)["logits"]
    path = tf.train.Checkpoint(model=theirs, **theirs.checkpoint_items).write(str(tmp_path / "ckpt"))

    ours = build_deeplab(config)
    status = tf.train.Checkpoint(model=ours).read(path)
    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(ours(images), expected)
    names = {name.split("/")[0] for name, _ in tf.train.list_variables(path)}
    assert {"backbone", "decoder", "head"} <= names


def test_training_moves_the_moments_of_all_parts(networks):
    network = networks(width=0.25)
    moments = [v for v in network.non_trainable_variables if "moving" in v.name]
    before = [moment.numpy() for moment in moments]
    network(np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32), training=False)
    assert all((old == new.numpy()).all() for old, new in zip(before, moments, strict=True))
    network(np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32), training=True)
    assert all((old != new.numpy()).any() for old, new in zip(before, moments, strict=True))


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("part", ["last_layer", "head", "all"])
def test_what_is_trained_is_what_was_asked_for(networks, part, plus):
    network = networks(width=0.25, plus=plus)
    network.train_only(part)
    all_of = {"last_layer": network.class_layer, "head": (network.decoder, network.head), "all": network}[
        part
    ]
    owners = all_of if isinstance(all_of, tuple) else (all_of,)
    wanted = {id(v) for owner in owners for v in owner.variables if v.trainable}
    assert {id(v) for v in network.trainable_variables} == wanted
    moments = {v.name: v for v in network.variables if "moving" in v.name}
    before = {name: moment.numpy() for name, moment in moments.items()}
    network(np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype(np.float32), training=True)
    moved = {name for name, moment in moments.items() if (moment.numpy() != before[name]).any()}
    assert moved == {v.name for owner in owners for v in owner.variables if "moving" in v.name}
    network.train_only("all")


def test_weight_decay_is_half_the_squares(networks):
    network = networks(width=0.25, weight_decay=0.1)
    kernel = network.class_layer.kernel
    (loss,) = network.class_layer.losses[:1]
    np.testing.assert_allclose(loss, 0.05 * (kernel.numpy() ** 2).sum(), rtol=1e-5)
    assert not networks(width=0.25, weight_decay=0.0).losses


@pytest.mark.parametrize("wrong", [{"output_stride": 12}, {"num_classes": 1}])
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        build_deeplab(DeepLabConfig(**{**SMALL, **wrong}))
