"""The stage `segmentation.export`: graphs that find the checkpoint's masks, of the images' own size."""

import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402
from PIL import Image  # noqa: E402

from odflow.errors import ConfigError, InputError, StageError  # noqa: E402
from odflow.formats.png_masks import read_mask  # noqa: E402
from odflow.graph.execute import run_alone  # noqa: E402
from odflow.heads.segmentation.architecture import Segmentation  # noqa: E402
from odflow.heads.segmentation.sameness import SAME_PIXELS  # noqa: E402
from odflow.heads.segmentation.settings import SEGMENTATION  # noqa: E402
from odflow.heads.segmentation.stages.detect import Detect  # noqa: E402
from odflow.heads.segmentation.stages.evaluate import Evaluate  # noqa: E402
from odflow.heads.segmentation.stages.export import Export  # noqa: E402
from odflow.training.checkpoints import save_weights  # noqa: E402
from odflow.training.export.head_graph import check, trained_module, write_frozen_graph  # noqa: E402
from odflow.training.settings import LearningRate, Optimizer, Settings, Training  # noqa: E402

TRAINING = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0)))


@pytest.fixture(scope="module")
def trained(squares, tmp_path_factory):
    """Weights whose batch norms have seen images, and that no class outdoes, so that no mask is flat."""
    tf_keras.utils.set_random_seed(1)
    network = Segmentation(Settings(squares.model(), TRAINING)).build()
    for step in range(3):
        images = np.stack([squares.painted(64, 64, 4 * step + n)[0] for n in range(4)])
        network(tf.cast(images, tf.float32) / 50.0 - 2.0, training=True)
    logits = network(tf.cast(images, tf.float32) / 50.0 - 2.0, training=False)
    network.class_layer.bias.assign_sub(tf.reduce_mean(logits, [0, 1, 2]))
    folder = tmp_path_factory.mktemp("trained")
    save_weights(network, folder / "checkpoint", 3)
    SEGMENTATION.write_model(squares.model(), folder)
    return folder


@pytest.fixture(scope="module")
def module(squares, trained):
    return trained_module(SEGMENTATION, squares.model(), trained)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    job = run_alone(Export(trained=trained), out)
    return out / "exported", job.said


@pytest.fixture(scope="module")
def graphs(exported):
    return [SEGMENTATION.load(path) for path in (exported[0], exported[0] / "saved_model")]


def test_everything_is_there_and_was_compared(exported):
    folder, said = exported
    assert {path.name for path in folder.iterdir()} == {
        "frozen_inference_graph.pb",
        "saved_model",
        "checkpoint",
        "segmentation.json",
    }
    for line, name in zip(said, ("frozen_inference_graph.pb", "saved_model"), strict=False):
        assert line.startswith(f"{name}, ")
        assert "pixels in 3 images are the checkpoint's, of the same class" in line
    assert said[2] == "3 classes: background, red, blue"


@pytest.mark.parametrize("size", [(64, 64), (37, 101), (5, 3), (200, 130)])
def test_masks_are_the_networks_and_of_the_images_own_size(squares, module, graphs, size):
    images = np.stack([squares.painted(*size, seed)[0] for seed in range(2)])
    wanted = module.run(images)
    for graph in graphs:
        found = graph.run(images)
        assert (found.shape, found.dtype) == ((2, *size), np.uint8)
        assert (found == wanted).mean() > 0.999
    assert len(np.unique(wanted)) > 1 or min(size) < 8


def test_a_plain_session_runs_the_frozen_graph(squares, exported, graphs):
    definition = tf.compat.v1.GraphDef.FromString((exported[0] / "frozen_inference_graph.pb").read_bytes())
    image, _ = squares.painted(33, 50, 7)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        found = session.run("masks:0", {"image_tensor:0": image[None]})
    np.testing.assert_array_equal(found, graphs[0].run(image[None]))


def test_the_same_weights_give_the_same_bytes(module, exported, tmp_path):
    write_frozen_graph(module, tmp_path / "frozen.pb")
    assert (tmp_path / "frozen.pb").read_bytes() == (exported[0] / "frozen_inference_graph.pb").read_bytes()


def test_what_is_detected_and_measured_is_what_the_graph_finds(squares, exported, graphs, tmp_path):
    (tmp_path / "images").mkdir()
    pairs = [squares.painted(41, 29 + seed, seed) for seed in range(3)]
    for seed, (image, _) in enumerate(pairs):
        Image.fromarray(image).save(tmp_path / f"images/{seed}.png")
    run_alone(Detect(model=exported[0], images=tmp_path / "images"), tmp_path / "found")
    found = [read_mask(tmp_path / f"found/masks/{seed}.png") for seed in range(3)]
    for mask, (image, _) in zip(found, pairs, strict=True):
        np.testing.assert_array_equal(mask, graphs[0].run(image[None])[0])
    squares.records(tmp_path / "data.record", *pairs)
    run_alone(Evaluate(model=exported[0], records=tmp_path / "data.record"), tmp_path / "measured")
    metrics = json.loads((tmp_path / "measured/metrics.json").read_text())
    right = np.concatenate([(mask == truth).ravel() for mask, (_, truth) in zip(found, pairs, strict=True)])
    assert metrics["pixel_accuracy"] == pytest.approx(right.mean())


def test_a_graph_of_other_weights_is_told(squares, module, exported):
    class Other:
        run = staticmethod(lambda images: np.minimum(module.run(images) + 1, 2))

    images = [squares.painted(64, 64, 1)[0]]
    file = exported[0] / "frozen_inference_graph.pb"
    with pytest.raises(StageError, match=r"does not find what the checkpoint does: \d+ of 4096 pixels in 1"):
        check(SEGMENTATION, file, Other, images, SAME_PIXELS)


def test_what_is_no_trained_folder(trained, tmp_path):
    (tmp_path / "pose").mkdir()
    with pytest.raises(InputError, match=r"has no checkpoint; wanted: the folder that segmentation\.train"):
        run_alone(Export(trained=tmp_path / "pose"), tmp_path / "out")
    (tmp_path / "pose/checkpoint").mkdir()
    (tmp_path / "pose/pose.json").write_text("{}")
    with pytest.raises(InputError, match=r"segmentation\.json: does not exist; give the folder that"):
        run_alone(Export(trained=tmp_path / "pose"), tmp_path / "out")
    (tmp_path / "pose/segmentation.json").write_text('{"classes": 3}')
    with pytest.raises(ConfigError, match="not the settings of a segmentation model"):
        run_alone(Export(trained=tmp_path / "pose"), tmp_path / "out")
