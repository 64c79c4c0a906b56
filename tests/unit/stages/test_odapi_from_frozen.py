"""A frozen graph becomes a detector that can be trained on, and untouched detects what the graph detects."""

import json

import numpy as np
import pytest

from odflow.errors import ConfigError, InputError
from odflow.formats.images import find_images, read_image
from odflow.graph.execute import run_alone
from odflow.ops.metrics import MAP
from odflow.stages.evaluate import Evaluate
from odflow.stages.export import Export
from odflow.stages.importing import Import
from odflow.stages.odapi_from_frozen import FromFrozen
from odflow.stages.odapi_import_checkpoint import ImportCheckpoint

MAP_OF_THE_GRAPH = 0.2543
"""On coco128's val2017, by pycocotools."""


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "models/ssd_mobilenet_v1_coco"


@pytest.fixture(scope="module")
def inputs(folder):
    return {
        "graph": folder / "frozen_inference_graph.pb",
        "label_map": folder / "mscoco_label_map.pbtxt",
    }


@pytest.fixture(scope="module")
def imported(inputs, tmp_path_factory):
    """The output folder of the stage, and what it said."""
    out = tmp_path_factory.mktemp("imported")
    return out / "trained", run_alone(FromFrozen(**inputs), out).said


@pytest.fixture(scope="module")
def exported(imported, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    run_alone(Export(trained=imported[0], formats=["frozen"]), out)
    return out / "exported"


def changed_config(folder, path, old, new):
    text = (folder / "pipeline.config").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.slow
def test_every_weight_comes_from_the_graph_and_the_network_detects_the_same(imported):
    trained, said = imported
    report = json.loads((trained / "import.json").read_text())
    assert (len(report["loaded"]), report["left"], report["unused"]) == (199, {}, [])
    assert report["source_kind"] == "frozen graph"
    assert said[0].startswith("199 of 199 variables loaded from")
    assert "detections in 3 images are the graph's" in said[1]
    assert sorted(path.name for path in trained.iterdir()) == [
        "checkpoint",
        "import.json",
        "label_map.pbtxt",
        "pipeline.config",
    ]


@pytest.mark.slow
def test_the_untouched_export_detects_the_same_boxes_in_photographs(exported, inputs, shared):
    """Rows may change places only where their scores are the same to a millionth."""
    from odflow.inference.detector import load_detector

    graph, ours = load_detector(inputs["graph"]), load_detector(exported)
    for image in find_images(shared / "data/coco128/images/val2017")[:24]:
        pixels = read_image(image.path)
        wanted, found = graph.detect(pixels), ours.detect(pixels)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
        size = np.tile(pixels.shape[:2], 2)
        same = (found.classes == wanted.classes) & (
            np.abs(found.boxes_yxyx - wanted.boxes_yxyx) * size < 0.5
        ).all(axis=1)
        for row in np.flatnonzero(~same):
            others = np.delete(wanted.scores, row)
            assert np.abs(others - wanted.scores[row]).min() < 1e-6, (image.name, row)


@pytest.mark.slow
def test_the_checkpoint_of_the_same_model_gives_the_same_weights(imported, folder, inputs, tmp_path):
    from odflow.odapi.checkpoint import read_checkpoint

    fields = {"pipeline_config": folder / "pipeline.config", "label_map": inputs["label_map"]}
    run_alone(ImportCheckpoint(checkpoint=folder / "model.ckpt", **fields), tmp_path)
    wanted, found = read_checkpoint(tmp_path / "trained"), read_checkpoint(imported[0])
    assert set(found) == set(wanted)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.slow
def test_the_export_has_the_graphs_map(exported, inputs, shared, tmp_path):
    coco = shared / "data/coco128"
    images = coco / "images/val2017"
    labels, names = coco / "object_detection/labels/val2017", coco / "object_detection/config.yaml"
    run_alone(Import(format="yolo", annotations=labels, images=images, names=names), tmp_path / "truth")
    truth = tmp_path / "truth/annotations.csv"
    run_alone(Evaluate(model=exported, images=images, annotations=truth, unlisted="empty"), tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics[MAP] == pytest.approx(MAP_OF_THE_GRAPH, abs=0.003)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            "depth_multiplier: 0.75",
            "depth_multiplier: 1.0",
            "looks like SSD with MobileNet v1, depth multiplier 0.75",
        ),
        ('type: "ssd_mobilenet_v1"', 'type: "ssd_mobilenet_v2"', "asks for SSD with MobileNet v2"),
        ("num_classes: 90", "num_classes: 91", "another number of classes"),
        ("min_scale: 0.2", "min_scale: 0.15", "does not detect what it detects: .* Either the config"),
    ],
)
def test_a_config_of_another_detector_is_told_in_one_line(inputs, folder, tmp_path, old, new, wanted):
    config = changed_config(folder, tmp_path / "other.config", old, new)
    with pytest.raises(InputError, match=wanted) as error:
        run_alone(FromFrozen(**inputs, pipeline_config=config), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_config_beside_the_graph_counts_as_read(inputs, folder):
    assert list(FromFrozen(**inputs).also_reads()) == [folder / "pipeline.config", inputs["label_map"]]


def test_a_graph_without_config_or_label_map_asks_for_them(inputs, folder, tmp_path):
    graph = tmp_path / "graph.pb"
    graph.symlink_to(inputs["graph"])
    with pytest.raises(ConfigError, match=r"pipeline\.config"):
        run_alone(FromFrozen(graph=graph, label_map=inputs["label_map"]), tmp_path / "out")
    with pytest.raises(InputError, match="give label_map"):
        run_alone(FromFrozen(graph=graph, pipeline_config=folder / "pipeline.config"), tmp_path / "out")


@pytest.mark.slow
def test_batch_norms_that_were_folded_are_measured_on_photographs(inputs, imported, shared, tmp_path, caplog):
    """The network computes what it did: the stage compares it with the graph after that."""
    import tensorflow as tf

    photographs = shared / "data/coco128/images/val2017"
    said = run_alone(FromFrozen(**inputs, images=photographs, count=4), tmp_path).said
    assert "statistics of 35 batch norms measured on 4 images" in said[0]
    assert "288 of 288 detections in 3 images are the graph's" in said[-1]
    means = {}
    for folder in (imported[0], tmp_path / "trained"):
        checkpoint = tf.train.latest_checkpoint(str(folder / "checkpoint"))
        names = [name for name, _ in tf.train.list_variables(checkpoint) if "moving_mean" in name]
        means[folder] = [tf.train.load_variable(checkpoint, name) for name in names]
    assert not any(mean.any() for mean in means[imported[0]])
    assert all(mean.any() for mean in means[tmp_path / "trained"])
