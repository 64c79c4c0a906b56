"""Cutting people out, against the input pipeline of training."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.heads.pose.cutting import cut, widened

places = st.floats(-50, 150)


@given(places, places, st.floats(1, 200), st.floats(1, 200), st.sampled_from([0.5, 1.0, 1.75]))
def test_a_widened_box_has_the_aspect_the_same_middle_and_all_of_the_box(x, y, width, height, aspect):
    box = np.array([[x, y, x + width, y + height]])
    (wide,) = widened(box, aspect)
    np.testing.assert_allclose((wide[2] - wide[0]) / (wide[3] - wide[1]), aspect)
    np.testing.assert_allclose(wide[:2] + wide[2:], box[0, :2] + box[0, 2:], atol=1e-9)
    assert (wide[:2] <= box[0, :2] + 1e-9).all()
    assert (wide[2:] >= box[0, 2:] - 1e-9).all()
    assert min(abs(wide[0] - x), abs(wide[1] - y)) < 1e-9


def test_the_image_itself_and_its_black_surroundings():
    image = np.random.default_rng(1).integers(1, 255, (40, 30, 3), np.uint8)
    np.testing.assert_array_equal(cut(image, np.array([0, 0, 30, 40]), 40, 30), image)
    around = cut(image, np.array([-15, -20, 45, 60]), 80, 60)
    np.testing.assert_array_equal(around[20:60, 15:45], image)
    around[20:60, 15:45] = 0
    assert not around.any()


@settings(max_examples=25, deadline=None)
@given(places, places, st.floats(2, 200), st.floats(0.3, 3))
def test_pixels_are_those_that_training_sees(x, y, width, aspect):
    import tensorflow as tf

    from odflow.heads.pose.crops import look
    from odflow.heads.pose.settings import Crop

    image = np.random.default_rng(2).integers(0, 255, (60, 90, 3), np.uint8)
    height, box = width / aspect, np.array([x, y, x + width, y + width / aspect])
    affine = np.array([[width / 64, 0, x], [0, height / 48, y]], np.float32)
    png = tf.io.encode_png(image)
    theirs = look(png, tf.constant([90, 60]), tf.constant(affine), Crop(48, 64), turned=False).numpy()
    ours = cut(image, box, 48, 64)
    away = np.abs(ours.astype(int) - theirs)
    # Between the last pixel's middle and just beyond, rounding decides what is black: a row or a column.
    assert (away > 1).any(axis=2).sum() <= 64
    assert np.median(away) == 0


def test_a_jpeg_s_crop_is_that_of_training():
    import io

    import tensorflow as tf
    from PIL import Image

    from odflow.heads.pose.crops import look
    from odflow.heads.pose.settings import Crop

    ramp = np.add.outer(np.arange(120), np.arange(160))[..., None] * [0.9, 0.6, 0.3]
    file = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(file, "JPEG", quality=95)
    affine = tf.constant([[1.5, 0, -13.0], [0, 1.5, 20.0]])
    theirs = look(tf.constant(file.getvalue()), tf.constant([160, 120]), affine, Crop(64, 64), turned=False)
    ours = cut(np.asarray(Image.open(file)), np.array([-13.0, 20.0, 83.0, 116.0]), 64, 64)
    assert np.abs(ours.astype(int) - theirs.numpy()).max() <= 1
