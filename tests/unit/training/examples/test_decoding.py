"""Examples as the Object Detection API writes them, decoded as it decodes them."""

import numpy as np
import pytest

from odflow.formats.example import encode_example
from odflow.training.settings import Reader

tf = pytest.importorskip("tensorflow")

BOXES = np.array([[0.1, 0.2, 0.5, 0.6], [0.4, 0.5, 0.95, 0.9]], np.float32)
IMAGE = np.random.default_rng(2).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def example(**objects):
    """An Example of two boxes; named features stand in for its own or are added."""
    features = {
        "class/label": np.array([1, 2]),
        **{f"bbox/{side}": BOXES[:, i].copy() for i, side in enumerate(("ymin", "xmin", "ymax", "xmax"))},
    }
    features |= {name.replace("__", "/"): value for name, value in objects.items()}
    encoded = {"image/encoded": [tf.io.encode_png(IMAGE).numpy()]}
    return encode_example(encoded | {f"image/object/{name}": value for name, value in features.items()})


def decoded(payload, **reader):
    from odflow.training.examples.decoding import ExampleDecoder

    return ExampleDecoder(Reader(**reader))(tf.constant(payload))


def test_image_boxes_classes_and_weights_are_read():
    sample = decoded(example(weight=np.float32([0.5, 2.0])))
    np.testing.assert_array_equal(sample.image, IMAGE)
    np.testing.assert_array_equal(sample.boxes_yxyx, BOXES)
    assert sample.classes.numpy().tolist() == [1, 2]
    assert sample.weights.numpy().tolist() == [0.5, 2.0]
    assert sample.masks is sample.keypoints is sample.visibilities is None


def test_objects_weigh_one_where_nothing_is_said_and_crowds_are_objects():
    """So does the API: is_crowd, difficult and group_of count in evaluation alone."""
    sample = decoded(example(is_crowd=np.array([1, 0]), difficult=np.array([1, 1])))
    assert sample.weights.numpy().tolist() == [1.0, 1.0]
    assert sample.classes.numpy().tolist() == [1, 2]


def test_texts_decide_where_there_are_any_and_unknown_ones_are_left_out():
    texts = {"class__text": [b"dog", b"unicorn"]}
    assert decoded(example(**texts), class_ids={"dog": 7}).classes.numpy().tolist() == [7]
    assert decoded(example(), class_ids={"dog": 7}).classes.numpy().tolist() == [1, 2]
    assert decoded(example(**texts)).classes.numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("texts", "classes"),
    [([b"dog", b""], [7, 2]), ([b"", b""], [1, 2]), ([b"", b"dog\n"], [1]), ([b"Dog", b"dog"], [7])],
)
def test_silent_an_empty_text_means_the_label(texts, classes):
    assert decoded(example(class__text=texts), class_ids={"dog": 7}).classes.numpy().tolist() == classes


def test_objects_without_place_are_left_out():
    nowhere = decoded(example(bbox__ymin=np.float32([np.nan, 0.4])))
    assert nowhere.classes.numpy().tolist() == [2]


def test_an_example_without_objects_has_none():
    png = [tf.io.encode_png(IMAGE).numpy()]
    sample = decoded(encode_example({"image/encoded": png}), masks="png", keypoints=3)
    assert sample.boxes_yxyx.shape == (0, 4)
    assert sample.masks.shape == (0, 6, 8)
    assert sample.keypoints.shape == (0, 3, 2)


@pytest.mark.parametrize("form", ["png", "numerical"])
def test_masks_are_read_in_both_forms(form):
    masks = (np.random.default_rng(1).random((2, 6, 8)) > 0.5).astype(np.uint8)
    kept = masks.astype(np.float32).ravel()
    if form == "png":
        kept = [tf.io.encode_png(255 * mask[..., None]).numpy() for mask in masks]
    sample = decoded(example(mask=kept), masks=form)
    np.testing.assert_array_equal(sample.masks, masks)
    assert sample.masks.dtype == tf.uint8


@pytest.mark.parametrize("told", [True, False])
def test_keypoints_are_y_x_and_nan_where_they_are_not_labelled(told):
    x, y = np.float32([0.1, 0.2, 0.3, 0.4]), np.float32([0.5, 0.6, 0.7, 0.8])
    features = {"keypoint__x": x, "keypoint__y": y}
    if told:
        features["keypoint__visibility"] = np.array([0, 1, 2, 2])
    sample = decoded(example(**features), keypoints=2)
    expected = np.stack([y, x], 1).reshape(2, 2, 2)
    if told:
        expected[0, 0] = np.nan
    np.testing.assert_array_equal(sample.keypoints, expected)
    assert sample.visibilities.numpy().tolist() == [[not told, True], [True, True]]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_training_sees_the_pixels_that_detect_sees(form, tmp_path):
    from PIL import Image

    from odflow.formats.images import read_image
    from odflow.training.examples.decoding import decode_image

    noise = np.random.default_rng(7).integers(0, 256, (40, 56, 3)).astype(np.uint8)
    file = tmp_path / "image"
    Image.fromarray(noise).resize((140, 100)).save(file, form)
    np.testing.assert_array_equal(decode_image(tf.constant(file.read_bytes())), read_image(file))
