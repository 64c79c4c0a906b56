"""The proof: from the API's own checkpoint, the numbers that the API's own code computed."""

import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorflow.python.framework.convert_to_constants import (  # noqa: E402
    convert_variables_to_constants_v2,
)

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


@pytest.fixture(scope="module")
def saved_model(folder):
    """The API's own export of the same checkpoint."""
    return tf.saved_model.load(str(folder / "saved_model"))


@pytest.fixture(scope="module")
def photograph(shared):
    file = sorted((shared / "data/coco128/images/val2017").glob("*.jpg"))[0]
    return tf.io.decode_jpeg(file.read_bytes())[tf.newaxis]


def error(found, wanted):
    """The largest difference, as a share of the largest value."""
    return np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max()


def maps_of(saved_model, image):
    """The feature maps inside the API's SavedModel, as this processor computes them."""
    frozen = convert_variables_to_constants_v2(saved_model.signatures["serving_default"])
    root = "StatefulPartitionedCall/ssd_mobile_net_v2_fpn_keras_feature_extractor"
    names = (
        "FeatureMaps/top_down/smoothing_1/Relu6",
        "FeatureMaps/top_down/smoothing_2/Relu6",
        "FeatureMaps/top_down/projection_3/BiasAdd",
        "bottom_up_Conv2d_20/Relu6",
        "bottom_up_Conv2d_21/Relu6",
    )
    tensors = [frozen.graph.get_tensor_by_name(f"{root}/{name}:0") for name in names]
    return frozen.prune([frozen.graph.inputs[0]], tensors)(tf.constant(image))


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
    found, _ = kind.preprocess(tf.constant(reference["image"]))
    assert error(found, reference["preprocessed"]) < 1e-6


def test_feature_maps(outputs, reference):
    """Within 1e-4 over a whole map.

    Single numbers of maps differ by up to 3e-4 from one kind of processor to the next, for the API's
    own code as well (see below): the random batch norms magnify the rounding of float32.
    """
    assert f"feature_map_{len(outputs[0])}" not in reference
    for i, found in enumerate(outputs[0]):
        wanted = reference[f"feature_map_{i}"]
        assert np.linalg.norm(found - wanted) < 1e-4 * np.linalg.norm(wanted)
        assert error(found, wanted) < 5e-4


@pytest.mark.slow
def test_every_number_of_a_feature_map_is_as_near_as_the_apis_own_export_comes(
    outputs, reference, saved_model
):
    for i, (found, theirs) in enumerate(
        zip(outputs[0], maps_of(saved_model, reference["image"]), strict=True)
    ):
        wanted = reference[f"feature_map_{i}"]
        assert error(found, wanted) < max(1e-4, 1.5 * error(theirs, wanted))


def test_box_encodings_and_class_predictions(outputs, reference):
    assert error(outputs[1], reference["box_encodings"]) < 1e-4
    assert error(outputs[2], reference["class_predictions_with_background"]) < 1e-4


def test_anchors(kind, reference):
    np.testing.assert_allclose(kind.model.anchor_boxes() / 320.0, reference["anchors"], atol=1e-6)


def test_detections(kind, network, reference, assert_same_detections):
    found = kind.detect(network, tf.constant(reference["image"]))
    assert error(found["raw_detection_boxes"], reference["raw_detection_boxes"]) < 1e-4
    assert error(found["raw_detection_scores"], reference["raw_detection_scores"]) < 2e-4
    assert_same_detections(found, reference, 1e-3, 2e-4)


@pytest.mark.slow
def test_the_apis_own_export_detects_the_same_in_a_photograph(
    kind, network, photograph, saved_model, assert_same_detections
):
    theirs = saved_model.signatures["serving_default"](photograph)
    assert_same_detections(kind.detect(network, photograph), theirs, 1e-3, 2e-4)
