"""Graphs of a trained network: anything can run them, and they find what it finds."""

import re

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.errors import InputError, StageError  # noqa: E402
from odflow.heads.pose.hourglass import StackedHourglass  # noqa: E402
from odflow.heads.pose.sameness import SAME_JOINTS  # noqa: E402
from odflow.heads.pose.settings import POSE, Crop, Heatmaps, PoseModel  # noqa: E402
from odflow.heads.pose.skeleton import read_skeleton  # noqa: E402
from odflow.training.checkpoints import save_weights  # noqa: E402
from odflow.training.export.head_graph import (  # noqa: E402
    check,
    trained_module,
    write_frozen_graph,
    write_saved_model,
)

MODEL = PoseModel(read_skeleton("lsp"), Crop(64, 48), Heatmaps(16, 12), stacks=2, channels=8, order=2)


def noise(count, height, width):
    return np.random.default_rng(height).integers(0, 256, (count, height, width, 3)).astype(np.uint8)


def weights(folder, seed):
    """A checkpoint whose batch norms have seen images, so that no map is flat."""
    tf_keras.utils.set_random_seed(seed)
    network = StackedHourglass(MODEL)
    for step in range(3):
        network(noise(4, 64, 48) // (step + 1), training=True)
    save_weights(network, folder / "checkpoint", 3)
    return folder


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return trained_module(POSE, MODEL, weights(tmp_path_factory.mktemp("trained"), 1))


def test_a_plain_session_runs_the_frozen_graph(module, tmp_path):
    file = tmp_path / "frozen.pb"
    write_frozen_graph(module, file)
    definition = tf.compat.v1.GraphDef.FromString(file.read_bytes())
    images = noise(3, 90, 50)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        found = session.run("keypoints:0", {"image_tensor:0": images})
    assert found.shape == (3, 14, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 2], module.run(images)[..., 2], atol=1e-4)


def test_the_same_weights_give_the_same_bytes(module, tmp_path):
    write_frozen_graph(module, tmp_path / "one.pb")
    again = trained_module(POSE, MODEL, weights(tmp_path, 1))
    write_frozen_graph(again, tmp_path / "two.pb")
    assert (tmp_path / "one.pb").read_bytes() == (tmp_path / "two.pb").read_bytes()


def test_what_was_written_finds_what_the_network_finds(module, tmp_path):
    write_frozen_graph(module, tmp_path / "frozen_inference_graph.pb")
    write_saved_model(module, tmp_path / "saved_model")
    images = [noise(1, *size)[0] for size in ((64, 48), (200, 70), (31, 77))]
    for name in ("frozen_inference_graph.pb", "saved_model"):
        told = check(POSE, tmp_path / name, module, images, SAME_JOINTS)
        same = re.match(r"(\d+) of 42 joints in 3 images are the checkpoint's, places within", told)
        assert int(same[1]) >= 0.95 * 42


def test_a_file_of_other_weights_is_told(module, tmp_path):
    write_frozen_graph(trained_module(POSE, MODEL, weights(tmp_path, 2)), tmp_path / "frozen.pb")
    with pytest.raises(StageError, match=r"frozen.pb: does not find what the checkpoint does: \d+ of 14"):
        check(POSE, tmp_path / "frozen.pb", module, noise(1, 64, 48), SAME_JOINTS)


def test_weights_of_another_network_are_told(tmp_path):
    other = PoseModel(read_skeleton("mpii"), MODEL.crop, MODEL.heatmaps, 2, 8, 2)
    with pytest.raises(InputError, match="does not fit"):
        trained_module(POSE, other, weights(tmp_path, 1))


def test_joints_are_the_same_by_place_and_score():
    wanted = np.array([[0.5, 0.5, 0.9]] * 5)
    found = wanted + np.array([[0, 0, 0], [0.004, 0, 0], [0.006, 0, 0], [0, 0.003, 0], [0, 0, 2e-4]])
    assert SAME_JOINTS.close(found, wanted, (100, 200)).tolist() == [True, True, False, False, False]
