"""Loading exported models of heads, and what is said of things that are none."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest

from odflow.errors import ConfigError, InputError, StageError
from odflow.inference.head_graph import Head


@dataclass(frozen=True)
class Light:
    """The settings of a model that sums up each channel."""

    factor: int


LIGHT = Head("light", Light, "sums")


def export(folder, *, saved_model=False, broken=False):
    import tensorflow as tf

    folder.mkdir()
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        sums = 2 * tf.reduce_sum(tf.cast(image, tf.int32), [1, 2])
        sums = tf.reshape(sums, [1, 9]) if broken else tf.identity(sums)
        if saved_model:
            tf.compat.v1.saved_model.simple_save(
                session, str(folder / "saved_model"), {"inputs": image}, {"sums": sums}
            )
        else:
            tf.identity(sums, name="sums")
            (folder / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    LIGHT.write_model(Light(2), folder)
    return folder


@pytest.mark.parametrize("saved_model", [False, True], ids=["frozen graph", "SavedModel"])
def test_every_form_finds_the_same(saved_model, tmp_path):
    folder = export(tmp_path / "exported", saved_model=saved_model)
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3)).astype(np.uint8)
    (inside,) = [path for path in folder.iterdir() if path.name != "light.json"]
    for path in (folder, inside):
        found = LIGHT.load(path).run(images)
        assert found.tolist() == (2 * images.astype(int).sum((1, 2))).tolist()
        assert LIGHT.exported_model(path) == Light(2)


def test_what_is_no_model_of_the_head(bright_model, tmp_path):
    (tmp_path / "damaged.pb").write_bytes(b"\xff" * 100)
    wanted = r".* Give the folder that light\.export wrote\."
    for path, says in (
        (tmp_path / "damaged.pb", "is not a frozen graph, or is damaged"),
        (tmp_path / "none.pb", "no such model" + wanted),
        (tmp_path, "holds neither frozen_inference_graph.pb nor a SavedModel" + wanted),
        (bright_model.frozen, r"has no sums:0" + wanted),
        (bright_model.folder / "saved_model", "gives no sums. Its outputs: detection_boxes" + wanted),
    ):
        with pytest.raises(InputError, match=says):
            LIGHT.load(path)


def test_a_damaged_saved_model(tmp_path):
    folder = export(tmp_path / "exported", saved_model=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"\xff damaged")
    with pytest.raises(InputError, match="TensorFlow cannot load it"):
        LIGHT.load(folder)


def test_settings_that_are_lost_or_wrong(tmp_path):
    folder = export(tmp_path / "exported")
    shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("light.json"))
    with pytest.raises(
        InputError, match=r"has no light\.json, the settings of a light model\. Give the folder"
    ):
        LIGHT.exported_model(tmp_path / "bare")
    with pytest.raises(
        InputError, match=r"light\.json: does not exist; give the folder that light\.train wrote"
    ):
        LIGHT.read_model(tmp_path / "bare")
    for content in ('{"factor": "many"}', "{}", "no JSON"):
        (folder / "light.json").write_text(content)
        with pytest.raises(ConfigError, match=r"light\.json: not the settings of a light model"):
            LIGHT.exported_model(folder)


def test_a_graph_that_fails(tmp_path):
    folder = export(tmp_path / "fails", broken=True)
    with pytest.raises(StageError, match=r"fails.frozen_inference_graph\.pb: the model failed"):
        LIGHT.load(folder).run(np.zeros((1, 4, 4, 3), np.uint8))


def test_a_model_is_loaded_once_for_a_run(tmp_path):
    folder = export(tmp_path / "exported")
    one, other = (LIGHT.shared(folder, run) for run in ("one", "another"))
    assert LIGHT.shared(folder, "one") is one
    assert other is not one
