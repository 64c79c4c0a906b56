"""From a record to an image and the classes that it shows."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from odflow.formats.tfrecord import read_records
from odflow.heads.visibility.settings import Look, VisibilityModel

tf = pytest.importorskip("tensorflow")

from odflow.heads.visibility.inputs import BOXES, VisibilityInputs, fit  # noqa: E402

PLAIN = Look(72, 96, flip=0, crop=1, colour=0)


@pytest.fixture(scope="module")
def payloads(shapes):
    return [payload for file in shapes.records.iterdir() for payload in read_records(file)]


def inputs_of(shapes, look=PLAIN):
    return VisibilityInputs(VisibilityModel(shapes.label_map.labels, look))


def draw(seed, place=0):
    return tf.constant([seed, place], tf.int64)


def test_a_class_is_visible_where_the_image_has_a_box_of_it(shapes, payloads):
    inputs = inputs_of(shapes)
    assert len(payloads) == len(shapes.shown) == 20
    for payload, (name, shown) in zip(payloads, shapes.shown.items(), strict=True):
        image, labels = inputs(tf.constant(payload), draw(0), training=False)
        assert labels["visible"].numpy().tolist() == [
            one in shown for one in ("square", "disc", "cross", "ghost")
        ]
        np.testing.assert_array_equal(image, np.asarray(Image.open(shapes.images / name)))


def test_boxes_stand_where_they_are(shapes, payloads):
    table = pd.read_csv(shapes.folder / "boxes.csv")
    for payload, name in zip(payloads, shapes.shown, strict=True):
        _, labels = inputs_of(shapes)(tf.constant(payload), draw(0), training=False)
        mine = table[table["filename"] == name]
        wanted = mine[["ymin", "xmin", "ymax", "xmax"]].to_numpy() / [72, 96, 72, 96]
        assert labels["boxes"].shape == (BOXES, 4)
        np.testing.assert_allclose(labels["boxes"][: len(mine)], wanted, atol=1e-6)
        np.testing.assert_array_equal(labels["classes"].numpy().sum(1), np.arange(BOXES) < len(mine))
        np.testing.assert_array_equal(labels["classes"].numpy().max(0), labels["visible"])


def test_more_boxes_than_there_is_room_for_still_count_for_the_image(shapes, payloads, monkeypatch):
    monkeypatch.setattr("odflow.heads.visibility.inputs.BOXES", 1)
    name, payload = next(
        both for both in zip(shapes.shown, payloads, strict=True) if len(shapes.shown[both[0]]) > 1
    )
    _, labels = inputs_of(shapes)(tf.constant(payload), draw(0), training=False)
    assert (labels["boxes"].shape[0], labels["classes"].numpy().sum()) == (1, 1)
    assert labels["visible"].numpy().sum() == len(shapes.shown[name])


def test_without_augmentation_training_sees_the_same(shapes, payloads):
    plain = inputs_of(shapes)
    for payload in payloads[:4]:
        seen = [plain(tf.constant(payload), draw(5), training) for training in (False, True)]
        np.testing.assert_array_equal(seen[0][0], seen[1][0])
        np.testing.assert_array_equal(seen[0][1]["visible"], seen[1][1]["visible"])


def test_the_same_draw_gives_the_same_and_another_another(shapes, payloads):
    inputs = inputs_of(shapes, Look(32, 40))
    first, again, other = (
        inputs(tf.constant(payloads[1]), draw(*one), training=True)[0] for one in ((1, 2), (1, 2), (1, 3))
    )
    assert first.shape == (32, 40, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 10


def square_at_the_left(shapes, payloads):
    """An example of a white image whose left half is black, and a square."""
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[:, :32] = 0
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")

    def floats(*values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    features = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded.getvalue()])),
        "image/object/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[3])),
        "image/object/bbox/ymin": floats(0),
        "image/object/bbox/xmin": floats(0),
        "image/object/bbox/ymax": floats(1),
        "image/object/bbox/xmax": floats(0.5),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_what_a_window_leaves_out_is_not_visible_in_it(shapes, payloads):
    """The square is black: so the window's pixels tell how much of it is inside."""
    example = tf.constant(square_at_the_left(shapes, payloads))
    inputs = inputs_of(shapes, dataclasses.replace(PLAIN, height=64, width=64, crop=0.1))
    seen = [inputs(example, draw(4, place), training=True) for place in range(60)]
    shares = np.array([float(np.mean(image < 128)) for image, _ in seen])
    visible = np.array([labels["visible"][0] for _, labels in seen])
    assert set(visible.tolist()) == {0, 1}
    assert not visible[shares == 0].any()
    assert visible[shares > 0.9].all()


def test_a_mirrored_image_shows_the_same(shapes, payloads):
    mirrored = inputs_of(shapes, dataclasses.replace(PLAIN, flip=1))
    plain = inputs_of(shapes)
    image, labels = mirrored(tf.constant(payloads[3]), draw(1), training=True)
    wanted, truth = plain(tf.constant(payloads[3]), draw(1), training=False)
    np.testing.assert_array_equal(image, wanted[:, ::-1])
    np.testing.assert_array_equal(labels["visible"], truth["visible"])


def test_a_smaller_input_is_the_mean_of_the_pixels():
    """Else what is small would fall between the pixels that are looked at."""
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[0, 20, 20] = 255
    small = fit(tf.constant(image), Look(8, 8)).numpy()
    assert small.dtype == np.float32
    assert small.sum() == pytest.approx(255 * 3 / 64, rel=0.05)
    flat = fit(tf.constant(np.full((2, 30, 50, 3), 77, np.uint8)), Look(13, 17))
    np.testing.assert_allclose(flat, np.full((2, 13, 17, 3), 77), rtol=1e-5)
