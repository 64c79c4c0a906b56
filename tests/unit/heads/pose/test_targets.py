"""Heatmaps drawn in TensorFlow, against the reference in NumPy."""

import numpy as np
import pytest

from odflow.errors import ConfigError
from odflow.heads.pose.settings import Heatmaps
from odflow.ops.heatmaps import heatmaps

tf = pytest.importorskip("tensorflow")

SETTINGS = [
    Heatmaps(),
    Heatmaps(height=60, width=90, kernel="binomial"),
    Heatmaps(height=5, width=9, sigma=2.5, support=9, peak=1.0),
    Heatmaps(height=7, width=3, support=1),
]


def random_joints(rng, settings, count=16):
    """Joints in and around the maps, some at the borders of cells, some not labelled."""
    size = np.array([settings.width, settings.height])
    places = rng.uniform(-0.4, 1.4, (count, 2)) * size
    places[::3] = np.round(places[::3])
    return np.column_stack([places, rng.integers(0, 3, count)]).astype(np.float32)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_maps_are_the_reference_number_by_number(settings):
    from odflow.heads.pose.targets import Targets, patch

    drawn = tf.function(Targets(settings), input_signature=[tf.TensorSpec([16, 3])], autograph=False)
    rng = np.random.default_rng(3)
    for _ in range(50):
        joints = random_joints(rng, settings)
        wanted = heatmaps(
            joints, (settings.height, settings.width), patch(settings), clip=settings.kernel == "binomial"
        )
        np.testing.assert_allclose(drawn(joints), wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("nowhere", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_a_joint_that_is_nowhere_is_nothing(nowhere):
    from odflow.heads.pose.targets import Targets

    joints = np.array([[nowhere, 5, 2], [5, nowhere, 2], [5, 5, 0]], np.float32)
    assert not np.any(Targets(Heatmaps())(joints))


@pytest.mark.parametrize("wrong", [{"kernel": "box"}, {"support": 4}, {"sigma": 0.0}])
def test_settings_that_cannot_be_drawn_are_refused(wrong):
    from odflow.heads.pose.targets import Targets

    with pytest.raises(ConfigError, match="wanted"):
        Targets(Heatmaps(**wrong))
