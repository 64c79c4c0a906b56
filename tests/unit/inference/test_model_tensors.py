"""Detectors whose tensors are not called, typed or sized as the API's exporter has them."""

from pathlib import Path

import numpy as np
import pytest

from odflow.errors import InputError
from odflow.inference.detector import check_detector, load_detector
from odflow.inference.model_tensors import TensorNames

IDENTITIES = {
    "detection_boxes": "Identity:0",
    "detection_scores": "Identity_1",
    "detection_classes": "Identity_2:0",
    "num_detections": "Identity_3:0",
}


def named(image: str | None = None, outputs: dict[str, str] | None = None, signature: str | None = None):
    return TensorNames(image, tuple((outputs or {}).items()), signature)


@pytest.fixture(scope="module")
def graph(bright_model, tmp_path_factory):
    """Freezes the bright model with another input, or with other names of its outputs."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("graphs")

    def freeze(
        name, dtype="uint8", shape=(None, None, None, 3), *, image="image_tensor", names=None, scope=""
    ):
        def images(given):
            if dtype == "string":
                rank = len(shape)
                data = given if not rank else given[0]
                return tf.image.decode_image(data, channels=3, expand_animations=False)[None]
            return tf.cast(given if len(shape) == 4 else given[None], tf.float32)

        path = folder / name
        with tf.Graph().as_default() as graph, tf.compat.v1.name_scope(scope or None):
            given = tf.compat.v1.placeholder(dtype, list(shape), name=image)
            for output, value in bright_model.outputs(images(given)).items():
                if names is None or output in names:
                    tf.identity(value, names[output].partition(":")[0] if names else output)
            path.write_bytes(graph.as_graph_def().SerializeToString())
        return path

    return freeze


def agrees(model: Path, bright_model, bright_image, names=None, *, atol=1e-6):
    image = bright_image(96, 128, (24, 32, 72, 96))
    box, score, class_id = bright_model.expected(image)
    found = load_detector(model, names or TensorNames()).detect(image)
    bright = int((found.classes != 7).argmax())
    np.testing.assert_allclose(found.boxes_yxyx[bright], box, atol=atol)
    np.testing.assert_allclose(found.scores[bright], score, atol=atol)
    assert found.classes[bright] == class_id
    return found


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "int32", "float64"])
def test_an_input_of_any_numbers_is_given_them(graph, bright_model, bright_image, dtype):
    agrees(graph(f"{dtype}.pb", dtype), bright_model, bright_image)


@pytest.mark.parametrize("shape", [(None,), (), (1,), (2,)])
def test_an_input_that_decodes_is_given_a_file(graph, bright_model, bright_image, shape):
    model = graph("encoded.pb", "string", shape, image="encoded_image_string_tensor")
    agrees(model, bright_model, bright_image)


@pytest.mark.parametrize("image", ["input_tensor", "image_tensor", "encoded_image_string_tensor", "x"])
@pytest.mark.parametrize("scope", ["", "import", "a/b"])
def test_names_that_can_only_be_meant_are_found(graph, bright_model, bright_image, image, scope):
    dtype, shape = ("string", (None,)) if "encoded" in image else ("uint8", (None, None, None, 3))
    agrees(graph("scoped.pb", dtype, shape, image=image, scope=scope), bright_model, bright_image)


def test_the_only_input_of_images_is_meant(graph, bright_model, bright_image, tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as made:
        tf.compat.v1.placeholder(tf.bool, [], name="is_training")
        tf.compat.v1.placeholder(tf.float32, [None, 4], name="anchors")
        tf.import_graph_def(
            tf.compat.v1.GraphDef.FromString(graph("x.pb", image="x").read_bytes()), name="net"
        )
        (tmp_path / "many.pb").write_bytes(made.as_graph_def().SerializeToString())
    agrees(tmp_path / "many.pb", bright_model, bright_image)


def test_without_the_number_of_detections_all_rows_count(graph, bright_model, bright_image):
    names = {name: name for name in IDENTITIES if name != "num_detections"}
    found = agrees(graph("nonum.pb", names=names), bright_model, bright_image)
    assert found.classes.tolist() == [7, 1, 1]  # the padding too, by score


def test_outputs_are_named(graph, bright_model, bright_image):
    model = graph("frozen2.pb", names=IDENTITIES, image="x")
    found = agrees(model, bright_model, bright_image, named("x:0", IDENTITIES))
    assert len(found.scores) == 2
    some = {name: IDENTITIES[name] for name in list(IDENTITIES)[:3]}
    assert len(agrees(model, bright_model, bright_image, named(None, some)).scores) == 3
    with pytest.raises(
        InputError, match=r"Identity:0 \(1, 3, 4\), Identity_1:0 \(1, 3\).*Name those that are"
    ):
        load_detector(model)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (named("y"), 'has no tensor "y" (input)'),
        (named("x:1"), 'has no tensor "x:1" (input)'),
        (named("x:one"), 'has no tensor "x:one" (input)'),
        (
            named("Identity", IDENTITIES),
            "Identity:0 is float32 (1, 3, 4); wanted (N, height, width, 3) numbers",
        ),
        (
            named(None, {**IDENTITIES, "detection_boxes": "Identty"}),
            'no tensor "Identty" (outputs, detection_b',
        ),
        (named(None, IDENTITIES, "default"), "a frozen graph has no signatures. Leave out signature."),
    ],
)
def test_names_that_are_not_there(graph, names, says):
    with pytest.raises(InputError) as error:
        load_detector(graph("frozen2.pb", names=IDENTITIES, image="x"), names)
    assert says in str(error.value)


def test_outputs_that_do_not_fit_together(graph, bright_image):
    mixed = {**IDENTITIES, "detection_scores": "Identity:0"}
    detector = load_detector(graph("frozen2.pb", names=IDENTITIES, image="x"), named(None, mixed))
    with pytest.raises(
        InputError, match=r"do not fit together: detection_boxes \(1, 3, 4\), detection_scores"
    ):
        detector.detect(bright_image(30, 30, (1, 1, 9, 9)))


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("uint8", (1, 48, 64, 3), (48, 64)),
        ("float32", (1, 192, 256, 3), (192, 256)),
        ("uint8", (None, 48, 48, 3), (48, 48)),
        ("uint8", (8, None, None, 3), None),
        ("float32", (8, 48, 64, 3), (48, 64)),
        ("uint8", (1, 96, 128, 3), (96, 128)),
        ("uint8", (1, None, 64, 3), (None, 64)),
        ("uint8", (None, None, 3), None),
        ("uint8", (48, 64, 3), (48, 64)),
    ],
)
def test_a_fixed_size_or_batch_gets_what_it_takes(graph, bright_model, bright_image, dtype, shape, size):
    model = graph("fixed.pb", dtype, shape)
    assert load_detector(model).size == size
    agrees(model, bright_model, bright_image, atol=0.05)


def test_a_batch_of_many_is_cut_filled_and_put_together(graph, bright_image):
    import tensorflow as tf

    from odflow.inference.image_graph import load_image_graph
    from odflow.inference.model_tensors import Wanted

    path = graph("unused.pb").parent / "batch.pb"
    with tf.Graph().as_default() as made:
        images = tf.compat.v1.placeholder(tf.float32, [4, 8, 8, 3], name="image_tensor")
        tf.reduce_mean(images, [1, 2, 3], name="means")
        path.write_bytes(made.as_graph_def().SerializeToString())
    images = np.stack([np.full((8, 8, 3), value, np.uint8) for value in range(10)])
    (means,) = load_image_graph(path, Wanted(["means"], "Give a head.")).run(images)
    np.testing.assert_allclose(means, np.arange(10), atol=1e-5)


@pytest.fixture(scope="module")
def saved(bright_model, tmp_path_factory):
    """Saves the bright model with a signature; outputs by other keys."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("saved")

    def save(name, signature, keys=None, dtype=tf.uint8):
        module = tf.Module()
        spec = tf.TensorSpec([1, None, None, 3], dtype, name="images")

        def detect(images):
            found = bright_model.outputs(tf.cast(images, tf.float32))
            return {(keys or {}).get(output, output): value for output, value in found.items()}

        module.detect = tf.function(detect, input_signature=[spec])
        tf.saved_model.save(module, str(folder / name), signatures={signature: module.detect})
        return folder / name

    return save


KEYS = dict(zip(IDENTITIES, ("output_0", "output_1", "output_2", "output_3"), strict=True))


def test_saved_models_with_names_of_their_own(saved, bright_model, bright_image):
    import tensorflow as tf

    agrees(saved("default", "default"), bright_model, bright_image)
    agrees(saved("default", "default"), bright_model, bright_image, named("images", None, "default"))
    agrees(saved("float", "serving_default", dtype=tf.float32), bright_model, bright_image)
    model = saved("out0", "serving_default", KEYS)
    agrees(model, bright_model, bright_image, named(None, KEYS))
    for names, says in (
        (named(), r"Its outputs: output_0 \(1, 3, 4\).*--outputs detection_boxes=output_0"),
        (named(None, KEYS, "default"), "has no signature default. Its signatures: serving_default."),
        (named("image", KEYS), 'has no input "image". Did you mean "images"'),
        (named(None, {**KEYS, "num_detections": "output_9"}), "gives no output_9. Its outputs: output_0"),
    ):
        with pytest.raises(InputError, match=says):
            load_detector(model, names)


def test_check_that_names_fit_the_form_before_anything_is_loaded(graph, tmp_path):
    lite = tmp_path / "a.tflite"
    lite.write_bytes(b"\x1c\0\0\0TFL3" + bytes(90))
    with pytest.raises(InputError, match="Leave out input, outputs and signature"):
        check_detector(lite, named("x"))
    assert check_detector(lite).form == "tflite"
    with pytest.raises(InputError, match="Leave out signature"):
        check_detector(graph("uint8.pb"), named(signature="default"))
