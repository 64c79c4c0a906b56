"""The networks: what goes in and comes out, and which there are."""

import numpy as np
import pytest

from odflow.errors import ConfigError
from odflow.formats.label_map import Label
from odflow.heads.visibility.settings import Look, VisibilityModel

tf = pytest.importorskip("tensorflow")

from odflow.heads.visibility.network import ClassHead, VisibilityNetwork  # noqa: E402
from odflow.training.checkpoints import variables_by_name  # noqa: E402

CLASSES = (Label(1, "cat"), Label(4, "dog"), Label(5, "cow"))


def model(backbone="small_cnn", **fields):
    return VisibilityModel(CLASSES, Look(64, 96), backbone, **fields)


@pytest.mark.parametrize(
    "name",
    [
        "small_cnn",
        pytest.param("mobilenet/MobileNetV2", marks=pytest.mark.slow),
        pytest.param("resnet/18", marks=pytest.mark.slow),
    ],
)
def test_a_logit_of_each_class(name):
    network = VisibilityNetwork(model(name, width=0.25))
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    logits = network(images, training=False)
    assert (logits.shape, logits.dtype) == ((2, 3), tf.float32)
    np.testing.assert_allclose(logits[1:], network(images[1:], training=False), atol=1e-4)
    names = variables_by_name(network)
    assert len(names) == len(network.variables)
    assert {name.split("/")[1] for name in names} == {"backbone", "head"}
    assert network.losses, "its kernels decay"


def test_what_is_small_counts_as_much_in_a_large_image():
    """The strongest sign is taken: it is not thinned out by what is around it."""
    head, chance = ClassHead(3, dropout=0.0), np.random.default_rng(3)
    alone = chance.uniform(0, 1, (2, 2, 2, 8)).astype(np.float32)
    around = np.pad(alone, [(0, 0), (5, 1), (0, 9), (0, 0)])
    np.testing.assert_allclose(head(alone), head(around), rtol=1e-5)


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
