"""Fitting images, and finding joints in maps, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.heads.pose.prediction import find_joints, fit
from odflow.heads.pose.settings import Crop, Heatmaps


def found_by_hand(maps: np.ndarray, highest: float) -> np.ndarray:
    joints = np.zeros((*maps.shape[:1], maps.shape[3], 3))
    height, width = maps.shape[1:3]
    for n, k in np.ndindex(len(maps), maps.shape[3]):
        one = maps[n, :, :, k]
        y, x = divmod(int(one.argmax()), width)
        fine_y, fine_x = float(y), float(x)
        if 0 < y < height - 1 and one[y + 1, x] != one[y - 1, x]:
            fine_y += 0.25 if one[y + 1, x] > one[y - 1, x] else -0.25
        if 0 < x < width - 1 and one[y, x + 1] != one[y, x - 1]:
            fine_x += 0.25 if one[y, x + 1] > one[y, x - 1] else -0.25
        joints[n, k] = (
            (fine_y + 0.5) / height,
            (fine_x + 0.5) / width,
            min(max(one.max() / highest, 0.0), 1.0),
        )
    return joints


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(2, 7),
    width=st.integers(2, 7),
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([2, 1000]),
)
def test_joints_are_at_the_highest_cell_nearer_to_the_higher_neighbour(
    height: int, width: int, seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    maps = (rng.integers(-levels, levels, (2, height, width, 3)) / 50).astype(np.float32)
    heatmaps = Heatmaps(height, width, peak=12.0)
    np.testing.assert_allclose(find_joints(maps, heatmaps), found_by_hand(maps, 12.0), atol=1e-6)


def test_the_quarter_gets_nearer_to_a_joint_between_two_cells() -> None:
    y, x = np.mgrid[:16, :16] + 0.5
    maps = np.exp(-((x - 5.8) ** 2 + (y - 8.2) ** 2) / 2)[None, :, :, None].astype(np.float32)
    found = find_joints(maps, Heatmaps(16, 16, peak=1.0)).numpy()[0, 0]
    np.testing.assert_allclose(found[:2] * 16, [8.25, 5.75], atol=1e-6)


def test_a_score_is_a_share_of_the_peak() -> None:
    maps = np.zeros((1, 4, 4, 3), np.float32)
    maps[0, 1, 1] = 6.0, 30.0, 0.0
    maps[..., 2] = -1.0
    np.testing.assert_allclose(find_joints(maps, Heatmaps(4, 4))[0, :, 2], [0.5, 1.0, 0.0])
    np.testing.assert_allclose(
        find_joints(maps / 64, Heatmaps(4, 4, kernel="binomial"))[0, :, 2], [0.375, 1, 0]
    )


def test_an_image_of_the_inputs_size_stays_as_it_is() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 48, 3)).astype(np.uint8)
    inputs, placement = fit(images, Crop(32, 48))
    np.testing.assert_array_equal(inputs, images)
    joints = np.random.default_rng(2).uniform(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(placement.to_image(joints), joints, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), whole=st.booleans())
def test_a_place_in_the_image_is_found_again(height: int, width: int, whole: bool) -> None:
    images = np.full((1, height, width, 3), 200, np.uint8)
    inputs, placement = fit(images, Crop(32, 48, whole=whole))
    assert inputs.shape == (1, 32, 48, 3)
    rows, columns = (np.flatnonzero(inputs.numpy()[0, :, :, 0].max(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    corners = np.array([[[top / 32, left / 48, 0.5], [bottom / 32, right / 48, 0.5]]], np.float32)
    np.testing.assert_allclose(placement.to_image(corners)[0], [[0, 0, 0.5], [1, 1, 0.5]], atol=1e-5)
    assert (inputs.numpy()[0, top:bottom, left:right] == 200).all()
    if whole:
        assert (bottom - top, right - left) == (32, 48)
    else:
        scale = min(32 / height, 48 / width)
        assert (bottom - top, right - left) == pytest.approx((height * scale, width * scale), abs=0.51 + 0.5)


def test_any_size_works_in_a_graph() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def run(images: tf.Tensor) -> tf.Tensor:
        return fit(images, Crop(32, 48))[0]

    assert run(tf.zeros([3, 50, 20, 3], tf.uint8)).shape == (3, 32, 48, 3)
    assert run.get_concrete_function().outputs[0].shape.as_list() == [None, 32, 48, 3]
