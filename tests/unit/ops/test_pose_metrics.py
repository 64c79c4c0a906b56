"""PCK, the mean pose and COCO's keypoint AP, against plain loops and pycocotools' own reader."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from odflow.ops.keypoint_metrics import (
    OKS_AP,
    PCK,
    THRESHOLDS,
    CorrectKeypoints,
    MeanPose,
    ObjectKeypointSimilarity,
    joint_boxes,
    lengths_between,
)

JOINTS = ("shoulder", "hip", "wrist")
TORSO = (0, 1)

persons = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.just(3), st.just(2)), elements=st.floats(0, 500)
)
labels = st.sampled_from([0, 1, 2])


@st.composite
def people(draw):
    """(N, 3, 3) x y v, with torsos of at least two pixels, all of them labelled."""
    places = draw(persons)
    places[:, 1] = places[:, 0] + draw(st.floats(2, 200))
    seen = np.full((*places.shape[:2], 1), 2.0)
    seen[:, 2, 0] = draw(hnp.arrays(np.float64, len(places), elements=labels.map(float)))
    return np.concatenate([places, seen], axis=-1)


def measured(found, truth, name="PCK"):
    counted = CorrectKeypoints(name, JOINTS)
    counted.add(found, truth, lengths_between(truth, TORSO))
    return counted


@given(people())
def test_what_is_exact_is_correct_and_what_is_far_is_not(truth):
    assert measured(truth, truth).at(0.2)[PCK] == 1
    torso = np.hypot(*(truth[:, 0] - truth[:, 1])[:, :2].T)
    for share, correct in ((0.19, 1.0), (0.21, 0.0)):
        away = truth.copy()
        away[..., 0] += share * torso[:, None]
        assert measured(away, truth).at(0.2)[PCK] == correct


@given(people(), st.integers(0, 2**32 - 1))
def test_pck_is_what_a_plain_loop_counts(truth, seed):
    chance = np.random.default_rng(seed)
    found = truth[..., :2] + chance.normal(0, 30, truth[..., :2].shape)
    right, all_of = dict.fromkeys(JOINTS, 0), dict.fromkeys(JOINTS, 0)
    for person, guess in zip(truth, found, strict=True):
        torso = ((person[0, 0] - person[1, 0]) ** 2 + (person[0, 1] - person[1, 1]) ** 2) ** 0.5
        for name, (x, y, v), (a, b) in zip(JOINTS, person, guess, strict=True):
            if v > 0:
                all_of[name] += 1
                right[name] += ((x - a) ** 2 + (y - b) ** 2) ** 0.5 / torso <= 0.2
    metrics = measured(found, truth).at(0.2)
    expected = {f"PCK@0.2/{name}": right[name] / all_of[name] for name in JOINTS if all_of[name]}
    assert metrics == {"PCK@0.2": sum(right.values()) / sum(all_of.values())} | expected


@given(people(), st.integers(0, 2**32 - 1))
def test_bit_by_bit_is_the_same_as_all_at_once(truth, seed):
    found = truth[..., :2] + np.random.default_rng(seed).normal(0, 30, truth[..., :2].shape)
    counted = CorrectKeypoints("PCK", JOINTS)
    for person, guess in zip(truth, found, strict=True):
        counted.add(guess[None], person[None], lengths_between(person[None], TORSO))
    whole = measured(found, truth)
    assert counted.at(0.35) == whole.at(0.35)
    np.testing.assert_array_equal(counted.mean_curve(), whole.mean_curve())
    assert (np.diff(whole.mean_curve()) >= 0).all()


def test_of_several_pairs_the_first_that_is_labelled_is_measured():
    truth = np.array([[[0, 0, v], [3, 4, w], [0, 12, u]] for v, w, u in np.ndindex(2, 2, 2)], float)
    found = lengths_between(truth, (0, 1), (0, 2))
    np.testing.assert_array_equal(found, [np.nan] * 4 + [np.nan, 12, 5, 5])
    assert np.isnan(lengths_between(truth)).all()


def test_persons_without_a_torso_are_counted_and_left_out():
    truth = np.array([[[0, 0, 2], [0, 10, 2], [5, 5, 2]]] * 3, float)
    truth[1, 0, 2] = 0  # no shoulder
    truth[2, 1, 1] = 0.5  # a torso of half a pixel
    counted = measured(truth + 100, truth)
    assert (counted.persons, counted.left_out) == (1, 2)
    assert counted.at(0.2)[PCK] == 0


def test_a_joint_that_is_never_labelled_is_absent():
    truth = np.array([[[0, 0, 2], [0, 10, 1], [5, 5, 0]]], float)
    assert measured(truth, truth).at(0.5) == {"PCK@0.5": 1.0, "PCK@0.5/shoulder": 1.0, "PCK@0.5/hip": 1.0}
    assert set(measured(truth, truth).curves()) == {"shoulder", "hip"}


def test_nothing_measured_and_nothing_found():
    nothing = CorrectKeypoints("PCKh", JOINTS)
    assert nothing.at(0.5) == {"PCKh@0.5": None}
    assert np.isnan(nothing.mean_curve()).all()
    truth = np.array([[[0, 0, 2], [0, 10, 1], [5, 5, 2]]], float)
    found = truth.copy()
    found[0, 2] = np.nan
    assert measured(found, truth).at(0.5)["PCK@0.5/wrist"] == 0
    assert len(THRESHOLDS) == 51


def test_boxes_around_the_labelled_joints():
    truth = np.array([[[3, 9, 1], [7, -2, 2], [99, 99, 0]], [[1, 1, 0]] * 3], float)
    boxes = joint_boxes(truth)
    assert boxes[0].tolist() == [3, -2, 7, 9]
    assert np.isnan(boxes[1]).all()


@given(people(), st.floats(0.1, 10), st.floats(-500, 500))
def test_the_mean_of_one_pose_is_that_pose_wherever_it_is(truth, scale, shift):
    one = truth[:1].copy()
    one[0, :, 2] = 2
    one[0, 2, :2] = one[0, 0, :2] + (40, 25)
    moved = one[..., :2] * scale + shift
    boxes = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=-1)
    np.testing.assert_allclose(MeanPose.of(one).predict(boxes), moved, atol=1e-6)


def test_the_mean_pose_by_hand():
    truth = np.zeros((2, 3, 3))
    truth[0] = [[0, 0, 2], [10, 20, 2], [5, 10, 2]]
    truth[1] = [[0, 0, 2], [100, 100, 2], [0, 0, 0]]
    mean = MeanPose.of(truth)
    np.testing.assert_allclose(mean.places, [[0, 0], [1, 1], [0.5, 0.5]])
    truth[:, 2, 2] = 0
    assert np.isnan(MeanPose.of(truth).predict(np.array([[0.0, 0, 1, 1]]))[0, 2]).all()


def test_oks_is_pycocotools_on_coco_files(tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    chance = np.random.default_rng(3)
    sigmas = np.array([0.026, 0.079, 0.107, 0.062])
    ours, truths, results = ObjectKeypointSimilarity(sigmas), [], []
    for number in range(40):
        image = int(chance.integers(1, 12))
        joints = np.column_stack((chance.uniform(0, 300, (4, 2)), chance.integers(0, 3, 4)))
        joints[0, 2] = 2
        area = float(chance.uniform(500, 20000))
        ours.add_truth(str(image), joints, area)
        truths.append(
            {
                "id": number + 1,
                "image_id": image,
                "category_id": 1,
                "keypoints": joints.ravel().tolist(),
                "num_keypoints": int((joints[:, 2] > 0).sum()),
                "area": area,
                "iscrowd": 0,
                "bbox": [0, 0, 300, 300],
            }
        )
        if number % 5:
            found = joints[:, :2] + chance.normal(0, 6, (4, 2))
            score = float(chance.random())
            ours.add_found(str(image), found, score)
            flat = np.column_stack((found, np.ones(4))).ravel().tolist()
            results.append({"image_id": image, "category_id": 1, "keypoints": flat, "score": score})
    images = [{"id": number} for number in range(1, 12)]
    dataset = {"info": {}, "images": images, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "truth.json").write_text(json.dumps(dataset | {"annotations": truths}))
    (tmp_path / "found.json").write_text(json.dumps(results))
    coco = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / "found.json")), "keypoints")
    evaluation.params.kpt_oks_sigmas = sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert 0.05 < evaluation.stats[0] < 0.95
    np.testing.assert_allclose(list(ours.compute().values()), evaluation.stats)


def test_oks_of_perfect_persons_and_of_none():
    ours = ObjectKeypointSimilarity([0.1, 0.1])
    joints = np.array([[10, 10, 2], [40, 90, 1]], float)
    ours.add_truth("a", joints, 5000)
    assert ours.compute()[OKS_AP] == 0
    ours.add_found("a", joints, 0.9)
    assert ours.compute()[OKS_AP] == pytest.approx(1)
    assert ObjectKeypointSimilarity([0.1]).compute()[OKS_AP] is None
