"""Loading detectors of every form, and what is said of things that are none."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from odflow.errors import InputError
from odflow.inference.detector import Detections, load_detector, model_label_map


@pytest.fixture(params=["frozen_inference_graph.pb", "saved_model", "tf2_saved_model", "."])
def form(request, bright_model) -> Path:
    return bright_model.folder / request.param


@pytest.mark.parametrize(
    ("box", "red"), [((10, 20, 90, 150), True), ((0, 0, 7, 9), False), ((99, 199, 100, 200), True)]
)
def test_every_form_finds_what_numpy_finds(form, bright_model, bright_image, box, red):
    image = bright_image(100, 200, box, red=red)
    expected, score, class_id = bright_model.expected(image)
    found = load_detector(form).detect(image)
    bright = int((found.classes != 7).argmax())
    np.testing.assert_allclose(found.boxes_yxyx[bright], expected, atol=1e-6)
    np.testing.assert_allclose(found.scores[bright], score, atol=1e-6)
    assert found.classes[bright] == class_id


def test_detections_fall_by_score_and_leave_the_padding_out(bright_model, bright_image):
    found = load_detector(bright_model.frozen).detect(bright_image(100, 100, (0, 0, 90, 90)))
    assert found.classes.tolist() == [1, 7]  # the model gives 7 first
    np.testing.assert_allclose(found.scores, [0.81, 0.25], atol=1e-6)
    assert (found.boxes_yxyx.dtype, found.scores.dtype, found.classes.dtype) == (
        np.float32,
        np.float32,
        np.int64,
    )


def test_an_exported_folder_runs_its_frozen_graph(bright_model, tmp_path, bright_image):
    shutil.copy(bright_model.frozen, tmp_path)
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model/saved_model.pb").write_bytes(b"damaged")
    assert len(load_detector(tmp_path).detect(bright_image(30, 30, (1, 1, 9, 9))).scores) == 2


def save(folder: Path, function, signature) -> Path:
    import tensorflow as tf

    module = tf.Module()
    module.detect = tf.function(function, input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures=module.detect)
    return folder


def test_a_saved_model_with_another_name_for_its_only_input(tmp_path, bright_model, bright_image):
    import tensorflow as tf

    spec = tf.TensorSpec([None, None, None, 3], tf.uint8, name="picture")
    model = save(tmp_path / "model", lambda picture: bright_model.outputs(picture), [spec])
    assert len(load_detector(model).detect(bright_image(30, 30, (1, 1, 9, 9))).scores) == 2


def frozen(path: Path, build) -> Path:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        build(tf)
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def outputs_of_nothing(tf) -> None:
    for name in ("detection_boxes", "detection_scores", "detection_classes", "num_detections"):
        tf.constant(0.0, name=name)


def no_outputs(tf) -> None:
    tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
    tf.constant(0.0, name="detection_boxes")


def with_input(dtype: str, shape, name: str = "image_tensor"):
    def build(tf) -> None:
        tf.compat.v1.placeholder(dtype, shape, name=name)
        outputs_of_nothing(tf)

    return build


grey_input = with_input("uint8", [None, None, None, 1])
channels_first = with_input("float32", [1, 3, 300, 300])
boolean_input = with_input("bool", [None, None, None, 3])
vector_input = with_input("float32", [None, 30])
examples_input = with_input("string", [None], "tf_example")
no_input = outputs_of_nothing


def two_inputs(tf) -> None:
    tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="left")
    with_input("uint8", [None, None, None, 3], "right")(tf)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (no_outputs, "has no detection_scores:0, detection_classes:0. Its outputs: none. Name those"),
        (two_inputs, "has no image_tensor:0. Its inputs: left:0, right:0. Name the image's as input."),
        (grey_input, "image_tensor:0 is uint8 (?, ?, ?, 1); wanted (N, height, width, 3) numbers"),
        (grey_input, "It is a model of grey images, and odflow gives RGB."),
        (channels_first, "It has the channels first; export it with the channels last."),
        (boolean_input, "image_tensor:0 is bool (?, ?, ?, 3); wanted"),
        (examples_input, "It takes tf.train.Examples; export the model for image tensors."),
        (vector_input, "image_tensor:0 is float32 (?, 30); wanted"),
        (no_input, "has no image_tensor:0. Its inputs: none. It takes no image."),
    ],
)
def test_a_frozen_graph_that_is_no_detector(tmp_path, build, says):
    refused(frozen(tmp_path / "graph.pb", build), says)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.pb", b"\xff" * 50, "is not a frozen graph, or is damaged"),
        ("model.pb", b"", "is an empty file. Copy or download it again."),
        ("label_map.pbtxt", b"item { id: 1 name: 'red' }", "is a label map, not a frozen graph. Give it as"),
        ("model.tflite", b"\0\0\0\0TFL3 and no more", "is not a TFLite model, or is damaged"),
        ("model.tflite", b"", "is an empty file. Copy or download it again."),
        ("model.tflite", b"\xff" * 50, "is not a TFLite model, or is damaged"),
        ("saved_model.pb", b"\xff" * 50, "TensorFlow cannot load it"),
    ],
)
def test_damaged_files(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, says)


def test_a_frozen_graph_that_was_cut_off(tmp_path, bright_model):
    data = bright_model.frozen.read_bytes()
    (tmp_path / "cut.pb").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "cut.pb", "is a frozen graph that is cut off or damaged. Copy or download it again.")


def test_an_operation_that_this_tensorflow_lacks(tmp_path, bright_model):
    data = bright_model.frozen.read_bytes()
    assert b"ArgMax" not in data
    (tmp_path / "new.pb").write_bytes(data.replace(b"\x12\x04Cast", b"\x12\x04Csat"))
    refused(tmp_path / "new.pb", "TensorFlow cannot load this graph (Op type not registered 'Csat'")


def test_what_is_not_there(tmp_path):
    refused(tmp_path / "model.pb", "no such model")
    refused(tmp_path, "holds neither frozen_inference_graph.pb nor a SavedModel")


def test_saved_models_that_are_no_detectors(tmp_path):
    import tensorflow as tf

    image = tf.TensorSpec([1, None, None, 3], tf.uint8, name="a")
    model = save(tmp_path / "classifier", lambda a: {"logits": tf.zeros([1, 10])}, [image])
    refused(
        model,
        "gives no detection_boxes, detection_scores, detection_classes. Its outputs: logits (1, 10). Name",
    )
    named = dict.fromkeys(("detection_boxes", "detection_scores", "detection_classes", "num_detections"))
    shape = tf.TensorSpec([1, 3], tf.int32, name="b")
    model = save(tmp_path / "two", lambda a, b: {name: tf.zeros([1]) for name in named}, [image, shape])
    refused(model, "takes a, b; wanted one input, an image")


def refused(path: Path, says: str) -> None:
    with pytest.raises(InputError) as error:
        load_detector(path)
    assert says in str(error.value)
    assert str(path.parent) in str(error.value)
    assert "\n" not in str(error.value)


def test_best_is_strictly_above_the_score():
    scores = np.array([0.9, 0.5, 0.5, 0.4], np.float32)
    found = Detections(np.arange(16, dtype=np.float32).reshape(4, 4), scores, np.arange(1, 5))
    assert found.best(0.5).classes.tolist() == [1]
    assert found.best(0.4999).classes.tolist() == [1, 2, 3]
    assert found.best(0, at_most=2).boxes_yxyx.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_label_map_that_an_exported_folder_holds(bright_model, tmp_path):
    assert model_label_map(bright_model.folder, None).names == {1: "red", 2: "green"}
    other = tmp_path / "other.pbtxt"
    other.write_text("item { id: 1 name: 'blue' }")
    assert model_label_map(bright_model.folder, other).names == {1: "blue"}
    with pytest.raises(InputError, match="holds no label map"):
        model_label_map(bright_model.frozen, None)
