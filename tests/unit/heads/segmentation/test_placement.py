"""Where images and masks come to lie in the input, against Pillow and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

tf = pytest.importorskip("tensorflow")

from odflow.heads.segmentation.placement import FILL, Placement, drawn, whole  # noqa: E402
from odflow.heads.segmentation.settings import View  # noqa: E402

VIEW = View(height=24, width=32)
sides = st.integers(1, 60)
chance = np.random.default_rng(4)


def placement(scale, corner_yx):
    return Placement(
        VIEW.height, VIEW.width, tf.constant(scale, tf.float32), tf.constant(corner_yx, tf.float32)
    )


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.floats(0.2, 5), st.floats(-40, 40), st.floats(-40, 40))
def test_each_pixel_of_the_input_shows_the_class_in_its_middle(height, width, scale, top, left):
    mask = chance.integers(0, 5, (height, width)).astype(np.uint8)
    found = placement(scale, [top, left]).mask(tf.constant(mask)).numpy()
    for row in range(VIEW.height):
        for column in range(VIEW.width):
            y, x = (row + 0.5 - top) / scale, (column + 0.5 - left) / scale
            if min(abs(y - round(y)), abs(x - round(x))) < 1e-3:
                continue  # on the edge of a pixel, where rounding decides
            inside = 0 <= y < height and 0 <= x < width
            assert found[row, column] == (mask[math.floor(y), math.floor(x)] if inside else 255)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(0, 2**31))
def test_image_and_mask_stay_together(height, width, seed):
    """Whatever is drawn: where the mask is ignored there is no picture, and a flat picture stays flat."""
    place, _ = drawn(tf.constant([height, width]), VIEW, tf.constant([seed, 1], tf.int64))
    image = np.full((1, height, width, 3), (7, 77, 177), np.uint8)
    beside = place.mask(tf.zeros([height, width], tf.uint8)).numpy() == 255
    seen = place.images(tf.constant(image)).numpy()[0]
    np.testing.assert_array_equal(seen[beside], np.full((beside.sum(), 3), FILL))
    np.testing.assert_allclose(seen[~beside], np.full((np.sum(~beside), 3), (7, 77, 177)), atol=1e-3)


@pytest.mark.parametrize("size", [(120, 160), (47, 63), (12, 16), (24, 32)])
def test_an_image_is_resized_as_pillow_does(size):
    image = chance.integers(0, 256, (*size, 3)).astype(np.uint8)
    place = whole(tf.constant(size), VIEW)
    wanted = [max(1, round(side * float(place.scale))) for side in size]
    top, left = ((have - side) // 2 for have, side in zip((24, 32), wanted, strict=True))
    seen = place.images(tf.constant(image[None])).numpy()[0, top : top + wanted[0], left : left + wanted[1]]
    if (wanted[0] / size[0], wanted[1] / size[1]) != (float(place.scale),) * 2:
        return  # Pillow has no scale whose picture ends inside a pixel
    pillow = Image.fromarray(image).resize((wanted[1], wanted[0]), Image.Resampling.BILINEAR)
    assert np.abs(seen - np.asarray(pillow, np.float32)).max() <= 1.0


def test_an_image_of_the_inputs_size_stays_as_it_is():
    image = chance.integers(0, 256, (2, 24, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(whole(tf.constant([24, 32]), VIEW).images(tf.constant(image)), image)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
@example(2, 1)  # many cells to a pixel
def test_a_whole_image_is_as_large_as_fits_and_comes_back(height, width):
    place = whole(tf.constant([height, width]), VIEW)
    seen = place.mask(tf.zeros([height, width], tf.uint8)).numpy() == 0
    rows, columns = seen.any(1).sum(), seen.any(0).sum()
    scale = min(24 / height, 32 / width)
    if min(height, width) * scale >= 1:  # a thinner one may lie between two rows of pixels
        assert abs(rows - height * scale) <= 1
        assert abs(columns - width * scale) <= 1
    # Maps of 6x8 cells, cut to where the image lies, are resized to it as Pillow does.
    maps = chance.random((6, 8), np.float32)
    middle, half = np.array([8, 6]) / 2, np.array([width, height]) * scale / 4 / 2
    box = np.concatenate([middle - half, middle + half]).clip(0, [8, 6, 8, 6])
    pillow = Image.fromarray(maps).resize((width, height), Image.Resampling.BILINEAR, tuple(box))
    back = place.out(tf.constant(maps[None, ..., None]), tf.constant([height, width])).numpy()
    np.testing.assert_allclose(back[0, ..., 0], np.asarray(pillow), atol=1e-3)


def test_what_is_drawn_keeps_to_the_range_and_fills_what_it_can():
    view = View(24, 32, scale=(0.5, 2.0), flip=0.25)
    scales, flips = [], []
    for position in range(200):
        place, mirrored = drawn(tf.constant([48, 64]), view, tf.constant([1, position], tf.int64))
        scales.append(float(place.scale) / 0.5)
        flips.append(bool(mirrored))
        for side, corner, wanted in zip((48, 64), place.corner_yx.numpy(), (24, 32), strict=True):
            room = wanted - side * float(place.scale)
            assert min(room, 0) - 1e-3 <= corner <= max(room, 0) + 1e-3
    assert 0.5 <= min(scales) < 0.6
    assert 1.9 < max(scales) <= 2.0
    assert 0.15 < np.mean(flips) < 0.35
    again, _ = drawn(tf.constant([48, 64]), view, tf.constant([1, 7], tf.int64))
    assert float(again.scale) / 0.5 == scales[7]
