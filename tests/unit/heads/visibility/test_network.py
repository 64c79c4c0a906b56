"""The networks: what goes in and comes out, and which there are."""

import numpy as np
import pytest

from odflow.errors import ConfigError
from odflow.formats.label_map import Label
from odflow.heads.visibility.settings import Look, VisibilityModel

tf = pytest.importorskip("tensorflow")

from odflow.heads.visibility.network import VisibilityNetwork, image_logits  # noqa: E402
from odflow.training.checkpoints import variables_by_name  # noqa: E402

CLASSES = (Label(1, "cat"), Label(4, "dog"), Label(5, "cow"))


def model(backbone="small_cnn", **fields):
    return VisibilityModel(CLASSES, Look(64, 96), backbone, **fields)


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("small_cnn", 16),
        pytest.param("mobilenet/MobileNetV2", 32, marks=pytest.mark.slow),
        pytest.param("resnet/18", 32, marks=pytest.mark.slow),
    ],
)
def test_a_logit_of_each_class_in_each_cell(name, stride):
    network = VisibilityNetwork(model(name, width=0.25))
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    logits = network(images, training=False)
    assert (logits.shape, logits.dtype) == ((2, 64 // stride, 96 // stride, 3), tf.float32)
    assert image_logits(logits).shape == (2, 3)
    np.testing.assert_allclose(logits[1:], network(images[1:], training=False), atol=1e-4)
    names = variables_by_name(network)
    assert len(names) == len(network.variables)
    assert {name.split("/")[1] for name in names} == {"backbone", "head"}
    assert network.losses, "its kernels decay"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"backbone": "mobilnet/MobileNetV2"}, 'Did you mean "mobilenet/MobileNetV2"'),
        ({"backbone": "resnet"}, '"resnet" is unknown'),
        ({"backbone": "resnet/19"}, 'cannot build "resnet/19"'),
        ({"backbone": "efficientnet/b0", "width": 0.5}, "no factor of its channels"),
    ],
)
def test_backbones_that_there_are_not(fields, told):
    with pytest.raises(ConfigError, match=told):
        VisibilityNetwork(model(**fields))
