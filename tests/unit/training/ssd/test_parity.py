"""The proof: from the API's own checkpoint, the numbers that the API's own code computed."""

import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

MODEL = "models/ssd_mobilenet_v2_fpnlite_320"
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture(scope="module")
def folder(shared):
    return shared / MODEL


@pytest.fixture(scope="module")
def reference(folder):
    with np.load(folder / "reference.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def kind(folder):
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.architecture import architecture
    from odflow.training.translation import translate

    settings, _ = translate(read_pipeline_config(folder / "pipeline.config"), "pipeline.config")
    return architecture(settings)


@pytest.fixture(scope="module")
def network(kind, folder):
    network = kind.build()
    status = tf.train.Checkpoint(model=network).read(str(folder / "checkpoint/ckpt-0"))
    status.assert_existing_objects_matched().expect_partial()
    return network


@pytest.fixture(scope="module")
def outputs(network, reference):
    return network(tf.constant(reference["preprocessed"]), training=False)


def assert_near(found, wanted, tolerance=1e-4):
    """Within a share of the largest value."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def test_the_weights_have_the_names_and_shapes_of_the_apis_checkpoint(network, folder, tmp_path):
    path = tf.train.Checkpoint(model=network).write(str(tmp_path / "ckpt"))
    ours = {name: shape for name, shape in tf.train.list_variables(path) if name.startswith("model/")}
    theirs = {
        name: shape
        for name, shape in tf.train.list_variables(str(folder / "checkpoint/ckpt-0"))
        if name.startswith("model/")
    }
    assert ours == theirs
    assert len(theirs) == len(network.variables)


def test_the_variables_are_called_as_in_the_api_for_patterns_that_freeze_them(network, folder):
    theirs = {name: tuple(shape) for name, shape in json.loads((folder / "vars.json").read_text())}
    assert {variable.name: tuple(variable.shape) for variable in network.variables} == theirs


def test_preprocessing(kind, reference):
    from odflow.training.preprocessing import preprocess

    found = preprocess(tf.constant(reference["image"]), kind.model.resizer, None)[0]
    assert_near(found.numpy(), reference["preprocessed"], 1e-6)


def test_feature_maps(outputs, reference):
    for i, found in enumerate(outputs[0]):
        assert_near(found.numpy(), reference[f"feature_map_{i}"])
    assert f"feature_map_{len(outputs[0])}" not in reference


def test_box_encodings_and_class_predictions(outputs, reference):
    assert_near(outputs[1].numpy(), reference["box_encodings"])
    assert_near(outputs[2].numpy(), reference["class_predictions_with_background"])


def test_anchors(kind, reference):
    pixels = kind.model.anchor_boxes()
    np.testing.assert_allclose(pixels / 320.0, reference["anchors"], atol=1e-6)
