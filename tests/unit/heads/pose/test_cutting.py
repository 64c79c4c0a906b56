"""Cutting people out, against TensorFlow's resampling."""

import numpy as np
from hypothesis import given
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
    around = cut(image, np.array([-15, -20, 45, 60]), 80, 60).copy()
    np.testing.assert_array_equal(around[20:60, 15:45], image)
    around[20:60, 15:45] = 0
    assert not around.any()


def test_pixels_are_those_of_the_training_s_view():
    import tensorflow as tf

    image = np.random.default_rng(2).integers(0, 255, (60, 90, 3), np.uint8)
    box = np.array([-10.5, 4.25, 70.0, 50.75])
    sx, sy = (box[2] - box[0]) / 64, (box[3] - box[1]) / 48
    # its places are those of the pixels' middles counted from 0, ours from the corner
    affine = [sx, 0, box[0] + sx / 2 - 0.5, 0, sy, box[1] + sy / 2 - 0.5, 0, 0]
    theirs = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None].astype(np.float32),
        transforms=np.array([affine], np.float32),
        output_shape=[48, 64],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0].numpy()
    ours = cut(image, box, 48, 64)
    inside = slice(0, 48), slice(9, 64)  # where the image ends, theirs fades and ours does not
    assert np.abs(ours[inside] - theirs[inside]).max() <= 1
