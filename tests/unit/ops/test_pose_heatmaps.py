"""Heatmaps by the cell, and against FLIC's own code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.ops.heatmaps import binomial, gaussian, heatmaps

places = st.floats(-20, 40, allow_nan=False, width=32)


@given(
    joints=st.lists(st.tuples(places, places, st.sampled_from([0, 1, 2])), max_size=4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    sigma=st.floats(0.3, 4),
    support=st.sampled_from([1, 3, 7, 9]),
    peak=st.floats(0.1, 20),
)
def test_every_cell_is_the_gaussian_of_its_distance_or_zero(joints, size, sigma, support, peak):
    found = heatmaps(np.array(joints, np.float32).reshape(-1, 3), size, gaussian(sigma, support, peak))
    assert found.shape == (*size, len(joints))
    assert found.dtype == np.float32
    rows, columns = np.indices(size)
    for number, (x, y, v) in enumerate(joints):
        down, right = rows - np.floor(y), columns - np.floor(x)
        reached = (v > 0) & (np.maximum(abs(down), abs(right)) <= support // 2)
        wanted = np.where(reached, peak * np.exp(-(down**2 + right**2) / (2 * sigma**2)), 0)
        np.testing.assert_allclose(found[..., number], wanted, rtol=1e-6, atol=1e-12)


def test_the_defaults_are_those_of_the_hourglass():
    patch = gaussian()
    assert patch.shape == (7, 7)
    assert patch[3, 3] == 12
    assert patch[3, 4] == np.float32(12 * np.exp(-0.5))
    assert (patch > 0).all()


def test_a_patch_partly_outside_is_cut_and_one_wholly_outside_is_nothing():
    joints = np.array([[-3.0, 5, 2], [-3.01, 5, 2], [66.99, 5, 2], [67, 5, 2], [5, -3.5, 2], [5, 66.5, 1]])
    found = heatmaps(joints, (64, 64), gaussian())
    assert np.count_nonzero(found, axis=(0, 1)).tolist() == [7, 0, 7, 0, 0, 7]
    assert found[5, 0, 0] == gaussian()[3, 6]


@pytest.mark.parametrize("nowhere", [np.nan, np.inf, -np.inf, 1e30])
def test_a_joint_that_is_nowhere_is_nothing(nowhere):
    assert not heatmaps(np.array([[nowhere, 5, 2], [5, nowhere, 1]]), (9, 9), gaussian()).any()


@pytest.mark.parametrize("wrong", [{"support": 6}, {"support": 0}, {"sigma": 0.0}])
def test_a_patch_has_a_middle_and_a_width(wrong):
    with pytest.raises(ValueError, match="odd support"):
        gaussian(**wrong)


def flic_maps(coordinates):
    """Maps of 60 by 90 cells as the first FLIC trainings made them, for joints (K, 2) in pixels."""
    maps = []
    line = np.array([[1, 2, 1]], np.float32) / 4
    for x, y in coordinates:
        row = 5 + max(min(y, 480), 0) / 8
        column = 5 + max(min(x, 720), 0) / 8
        padded = np.zeros((70, 100), np.float32)
        padded[int(row - 1) : int(row + 2), int(column - 1) : int(column + 2)] = line.T @ line
        maps.append(padded[5:65, 5:95])
    return np.stack(maps, axis=2)


def test_flic_maps_are_those_of_its_first_code(shared):
    scipy_io = pytest.importorskip("scipy.io")
    examples = scipy_io.loadmat(shared / "data/flic/examples.mat")["examples"][0]
    used = [0, 1, 2, 3, 4, 5, 6, 9, 16]  # arms, hips and nose
    for example in examples[::5]:
        joints = example["coords"].T[used]
        joints = np.vstack([joints, joints[[0, 3, 6, 7]].mean(axis=0)])
        cells = np.column_stack([joints / 8, np.ones(10)])
        np.testing.assert_array_equal(
            heatmaps(cells, (60, 90), binomial(), clip=True), flic_maps(joints), strict=True
        )


@given(st.lists(st.tuples(st.floats(-100, 800), st.floats(-100, 600)), min_size=1, max_size=5))
def test_flic_maps_of_joints_anywhere_are_those_of_its_first_code(joints):
    cells = np.column_stack([np.array(joints) / 8, np.ones(len(joints))])
    np.testing.assert_array_equal(
        heatmaps(cells, (60, 90), binomial(), clip=True), flic_maps(joints), strict=True
    )
