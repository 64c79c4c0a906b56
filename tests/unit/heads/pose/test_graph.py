"""Graphs of a trained network: anything can run them, and they find what it finds."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.errors import InputError, StageError  # noqa: E402
from odflow.heads.pose.graph import (  # noqa: E402
    check,
    trained_graph,
    write_frozen_graph,
    write_saved_model,
)
from odflow.heads.pose.hourglass import StackedHourglass  # noqa: E402
from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel  # noqa: E402
from odflow.heads.pose.skeleton import read_skeleton  # noqa: E402
from odflow.training.checkpoints import save_weights  # noqa: E402

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
def graph(tmp_path_factory):
    return trained_graph(MODEL, weights(tmp_path_factory.mktemp("trained"), 1))


def test_a_plain_session_runs_the_frozen_graph(graph, tmp_path):
    file = tmp_path / "frozen.pb"
    write_frozen_graph(graph, file)
    definition = tf.compat.v1.GraphDef.FromString(file.read_bytes())
    images = noise(3, 90, 50)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        found = session.run("keypoints:0", {"image_tensor:0": images})
    assert found.shape == (3, 14, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 2], graph(images)["keypoints"][..., 2], atol=1e-4)


def test_the_same_weights_give_the_same_bytes(graph, tmp_path):
    write_frozen_graph(graph, tmp_path / "one.pb")
    again = trained_graph(MODEL, weights(tmp_path, 1))
    write_frozen_graph(again, tmp_path / "two.pb")
    assert (tmp_path / "one.pb").read_bytes() == (tmp_path / "two.pb").read_bytes()


def test_what_was_written_finds_what_the_network_finds(graph, tmp_path):
    write_frozen_graph(graph, tmp_path / "frozen_inference_graph.pb")
    write_saved_model(graph, tmp_path / "saved_model")
    images = [noise(1, *size)[0] for size in ((64, 48), (200, 70), (31, 77))]
    for name in ("frozen_inference_graph.pb", "saved_model"):
        agreement = check(tmp_path / name, graph, images)
        assert (agreement.images, agreement.joints) == (3, 42)
        assert agreement.same >= 0.95 * 42
        assert "42 joints in 3 images are the checkpoint's" in agreement.summary()


def test_a_file_of_other_weights_is_told(graph, tmp_path):
    write_frozen_graph(trained_graph(MODEL, weights(tmp_path, 2)), tmp_path / "frozen.pb")
    with pytest.raises(StageError, match=r"frozen.pb: does not find what the checkpoint does: \d+ of 14"):
        check(tmp_path / "frozen.pb", graph, [noise(1, 64, 48)[0]])


def test_weights_of_another_network_are_told(tmp_path):
    other = PoseModel(read_skeleton("mpii"), MODEL.crop, MODEL.heatmaps, 2, 8, 2)
    with pytest.raises(InputError, match="does not fit"):
        trained_graph(other, weights(tmp_path, 1))
