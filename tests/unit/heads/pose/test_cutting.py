"""Cutting people out, against the input pipeline of training."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.heads.pose.cutting import cut, widened
from odflow.heads.pose.settings import Crop

tf = pytest.importorskip("tensorflow")
from odflow.heads.pose.crops import look  # noqa: E402

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
    ramp = np.add.outer(np.arange(120), np.arange(160))[..., None] * [0.9, 0.6, 0.3]
    file = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(file, "JPEG", quality=95)
    affine = tf.constant([[1.5, 0, -13.0], [0, 1.5, 20.0]])
    theirs = look(tf.constant(file.getvalue()), tf.constant([160, 120]), affine, Crop(64, 64), turned=False)
    ours = cut(np.asarray(Image.open(file)), np.array([-13.0, 20.0, 83.0, 116.0]), 64, 64)
    assert np.abs(ours.astype(int) - theirs.numpy()).max() <= 1


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("step", [2.0, 2.7, 4.5, 9.0])
def test_a_crop_of_a_large_image_averages_it_as_training_does(form, step):
    """JPEG's own scaling is no box filter, so it is near and not equal where a picture has no finer parts."""
    rng = np.random.default_rng(3)
    rough = Image.fromarray(rng.integers(0, 255, (15, 20, 3), np.uint8))
    image = rough.resize((641, 483), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, form, **({"quality": 97} if form == "JPEG" else {}))
    affine = tf.constant([[step, 0, -20.0], [0, step, 30.0]])
    crop = Crop(40, 48)
    theirs = look(tf.constant(file.getvalue()), tf.constant([641, 483]), affine, crop, turned=False).numpy()
    box = np.array([-20.0, 30.0, -20 + 48 * step, 30 + 40 * step])
    ours = cut(np.asarray(Image.open(file)), box, 40, 48)
    away = np.abs(ours.astype(int) - theirs).max(axis=2)
    assert np.median(away) <= (2 if form == "JPEG" else 0)
    assert (away > (6 if form == "JPEG" else 1)).sum() <= 96  # a row and a column at the image's edge
    noise = cut(rng.integers(0, 255, (483, 641, 3), np.uint8), box, 40, 48)
    assert noise[noise.any(axis=2)].std() < 60  # of what is drawn from all pixels; 73 if some were skipped
