"""What is exported is what was trained, in the forms that the Object Detection API wrote."""

import dataclasses

import numpy as np
import pytest

from odflow.errors import ConfigError, StageError
from odflow.odapi import tensor_names

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

NAMES = {
    *tensor_names.OUTPUTS,
    "detection_multiclass_scores",
    "detection_anchor_indices",
    "raw_detection_boxes",
    "raw_detection_scores",
}


def build(settings, seed=0):
    """A detector with drawn weights, so that its detections stand out from each other."""
    from odflow.training.architecture import architecture
    from odflow.training.export.graphs import Detector

    tf_keras.backend.reset_uids()
    kind = architecture(settings)
    network = kind.build()
    rng = np.random.default_rng(seed)
    for weight in network.variables:
        if "variance" in weight.name or "gamma" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) > 1:
            # Scores from 0.01 to 0.99, boxes near their anchors and so inside the image.
            spread = {"ClassPredictor": 300.0, "BoxPredictor": 1.0}.get(weight.name.split("/")[-2], 1.4)
            weight.assign(rng.normal(0, spread / np.sqrt(np.prod(weight.shape[:-1])), weight.shape))
    return Detector(network, kind)


@pytest.fixture(scope="module")
def detector(settings):
    return build(settings)


@pytest.fixture(scope="module")
def frozen(detector, tmp_path_factory):
    from odflow.training.export.graphs import write_frozen_graph

    file = tmp_path_factory.mktemp("frozen") / "frozen_inference_graph.pb"
    write_frozen_graph(detector, file)
    return file


RAW = ("raw_detection_boxes", "raw_detection_scores")


def pixels(*shape):
    return np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("shape", [(1, 50, 70), (2, 96, 128), (1, 300, 120)])
def test_a_frozen_graph_runs_in_a_plain_session(detector, frozen, shape, assert_same_detections):
    graph = tf.compat.v1.GraphDef.FromString(frozen.read_bytes())
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph, name="")
    session = tf.compat.v1.Session(graph=imported)
    image = pixels(*shape)
    tensors = {name: imported.get_tensor_by_name(f"{name}:0") for name in NAMES}
    found = session.run(tensors, {"image_tensor:0": image})
    assert imported.get_tensor_by_name("image_tensor:0").dtype == tf.uint8
    direct = detector.detect(tf.constant(image))
    assert set(direct) == NAMES
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    for name in RAW:
        np.testing.assert_allclose(found[name], direct[name], atol=1e-4, err_msg=name)
    assert_same_detections(found, direct, 1e-4, 1e-4)
    assert found["detection_boxes"].shape == (shape[0], 30, 4)
    assert found["num_detections"].max() > 5


def test_the_same_weights_freeze_to_the_same_bytes(settings, frozen, tmp_path):
    from odflow.training.export.graphs import write_frozen_graph

    again = build(settings)
    write_frozen_graph(again, tmp_path / "again.pb")
    assert (tmp_path / "again.pb").read_bytes() == frozen.read_bytes()


@pytest.fixture(scope="module")
def saved(detector, tmp_path_factory):
    from odflow.training.export.graphs import write_saved_model

    folder = tmp_path_factory.mktemp("saved") / "saved_model"
    write_saved_model(detector, folder)
    return folder


def test_a_saved_model_has_the_signature_of_the_api_and_can_be_called(
    detector, saved, assert_same_detections
):
    loaded = tf.saved_model.load(str(saved))
    signature = loaded.signatures["serving_default"]
    assert signature.structured_input_signature[1] == {
        "input_tensor": tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")
    }
    assert set(signature.structured_outputs) == NAMES
    assert {spec.dtype for spec in signature.structured_outputs.values()} == {tf.float32}
    image = tf.constant(pixels(1, 80, 100))
    direct = detector.detect(image)
    for outputs in (loaded(image), signature(input_tensor=image)):
        for name in RAW:
            np.testing.assert_allclose(outputs[name], direct[name], atol=1e-4, err_msg=name)
        assert_same_detections(outputs, direct, 1e-4, 1e-4)


@pytest.mark.slow
def test_each_form_is_compared_with_the_checkpoint(detector, settings, frozen, saved, tmp_path):
    from odflow.training.export.check import EXACT, check, expect
    from odflow.training.export.drawn_images import drawn_images
    from odflow.training.export.tflite import convert

    expected = expect(detector, drawn_images())
    assert sum(len(one.found.scores) for one in expected) > 30
    lite = tmp_path / "detector.tflite"
    lite.write_bytes(convert(detector.kind, detector.network))
    for file in (frozen, saved, lite):
        agreement = check(file, expected, EXACT)
        assert agreement.same >= 0.97 * agreement.detections > 20
    with pytest.raises(StageError, match=r"^frozen_inference_graph.pb: does not detect what the checkpoint"):
        check(frozen, expect(build(settings, seed=1), drawn_images()), EXACT)


@pytest.mark.slow
def test_fast_suppression_in_tflite_is_the_class_agnostic_one(detector, settings, tmp_path):
    from odflow.training.architecture import architecture
    from odflow.training.export.check import EXACT, check, expect
    from odflow.training.export.drawn_images import drawn_images
    from odflow.training.export.graphs import Detector
    from odflow.training.export.tflite import class_agnostic, convert

    fast = Detector(detector.network, architecture(class_agnostic(settings)))
    file = tmp_path / "detector.tflite"
    file.write_bytes(convert(fast.kind, fast.network))
    agreement = check(file, expect(fast, drawn_images()), EXACT)
    assert agreement.same >= 0.97 * agreement.detections > 20


@pytest.mark.slow
def test_an_int8_file_takes_pixels_as_they_are(detector, tmp_path):
    from odflow.inference.detector import load_detector
    from odflow.training.export.tflite import convert

    file = tmp_path / "detector_int8.tflite"
    file.write_bytes(convert(detector.kind, detector.network, [pixels(60, 80) // 2 + 60 for _ in range(4)]))
    loaded = load_detector(file)
    assert loaded._image["dtype"] == np.uint8
    scale, zero = loaded._image["quantization"]
    assert scale == pytest.approx(2 / 255, rel=1e-3)
    assert zero in (127, 128)
    assert len(loaded.detect(pixels(60, 80)).scores)


def test_any_affine_normalisation_becomes_one_of_minus_one_to_one(detector):
    from odflow.training.export.tflite import _normalization

    class Subtracting:
        settings = detector.kind.settings

        def preprocess(self, images):
            return (images - tf.constant([123.0, 117.0, 104.0])) / 2.0, None

    gain, offset = _normalization(Subtracting())
    pixel = np.array([0.0, 100.0, 255.0])
    np.testing.assert_allclose((pixel / 127.5 - 1) * gain + offset, (pixel - [123, 117, 104]) / 2, atol=1e-4)
    assert _normalization(detector.kind) == (None, None)


def changed(settings, **parts):
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, **parts))


def test_what_tflite_cannot_do_is_refused_before_the_work(settings):
    from odflow.training.export.convertible import check_convertible

    model = settings.model
    stretched = dataclasses.replace(model.resizer, min_dimension=96)
    with pytest.raises(ConfigError, match="keep_aspect_ratio_resizer"):
        check_convertible(changed(settings, resizer=stretched))
    soft = dataclasses.replace(model.post_processing, soft_nms_sigma=0.5)
    with pytest.raises(ConfigError, match="soft_nms_sigma"):
        check_convertible(changed(settings, post_processing=soft))
    with pytest.raises(ConfigError, match="one-stage detectors"):
        check_convertible(dataclasses.replace(settings, model=object()))
    check_convertible(settings)


@pytest.mark.slow
def test_parity_with_what_the_api_detects_from_the_same_checkpoint(shared, assert_same_detections):
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.architecture import architecture
    from odflow.training.export.graphs import trained_detector
    from odflow.training.translation import translate

    folder = shared / "models/ssd_mobilenet_v2_fpnlite_320"
    settings, _ = translate(read_pipeline_config(folder / "pipeline.config"), "pipeline.config")
    detector = trained_detector(architecture(settings), folder)
    with np.load(folder / "reference.npz") as reference:
        found = detector.detect(tf.constant(reference["image"].astype(np.uint8)))
        for name in RAW:
            np.testing.assert_allclose(found[name], reference[name], atol=1e-4, err_msg=name)
        assert set(reference) >= NAMES == set(found)
        assert_same_detections(found, reference, 1e-4, 1e-4)
