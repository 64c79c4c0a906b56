"""Loading exported pose models, and what is said of things that are none."""

import shutil

import numpy as np
import pytest

from odflow.errors import InputError, StageError
from odflow.heads.pose.exported import exported_model, load_network

PERSON = ((40, 60), (20, 64), (30, 20))


@pytest.fixture(params=[False, True], ids=["frozen graph", "SavedModel"])
def folder(request, dots, tmp_path):
    return dots.export(tmp_path / "exported", saved_model=request.param)


def test_every_form_finds_the_same(folder, dots):
    pictures = np.stack([dots.picture(96, 64, PERSON), dots.picture(96, 64)])
    (inside,) = [path for path in folder.iterdir() if path.name != "pose.json"]
    for path in (folder, inside):
        found = load_network(path).find(pictures)
        assert (found.shape, found.dtype) == ((2, 3, 3), np.float32)
        np.testing.assert_allclose(found[0, :, 1::-1] * (64, 96), np.array(PERSON) + 0.5, atol=1e-4)
        assert found[..., 2].tolist() == [[0.75] * 3, [0] * 3]
        assert exported_model(path).skeleton == dots.skeleton


def test_what_is_no_pose_model(dots, bright_model, tmp_path):
    (tmp_path / "damaged.pb").write_bytes(b"\xff" * 100)
    for path, says in (
        (tmp_path / "damaged.pb", "is no frozen graph, or is damaged"),
        (tmp_path, "holds neither frozen_inference_graph.pb nor a SavedModel"),
        (bright_model.frozen, r"is no pose model; it has no keypoints:0"),
        (bright_model.folder / "saved_model", "is no pose model; its outputs: detection_boxes"),
    ):
        with pytest.raises(InputError, match=says):
            load_network(path)


def test_a_damaged_saved_model_and_lost_settings(dots, tmp_path):
    folder = dots.export(tmp_path / "exported", saved_model=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(InputError, match="TensorFlow cannot load it"):
        load_network(folder)
    shutil.copytree(dots.folder, tmp_path / "bare", ignore=shutil.ignore_patterns("pose.json"))
    with pytest.raises(InputError, match=r"has no pose\.json"):
        exported_model(tmp_path / "bare")


def test_a_network_that_fails(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        tf.reshape(image, [1, 7, 3], name="keypoints")
        (tmp_path / "fails.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(StageError, match=r"fails\.pb: the model failed"):
        load_network(tmp_path / "fails.pb").find(np.zeros((1, 4, 4, 3), np.uint8))
