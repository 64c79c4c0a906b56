"""Suppression against a plain NumPy telling of the Object Detection API's, and its own numbers."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.ops.boxes import iou
from odflow.training.settings import PostProcessing

tf = pytest.importorskip("tensorflow")

PICTURE = (0.0, 0.0, 0.8, 1.0)


def one_class(boxes, scores, at_most, post):
    """Rows and scores that survive, the best first; of equals the lower row first."""
    left = np.where(scores > post.score_threshold, scores, -1).astype(np.float32)
    chosen = []
    while len(chosen) < at_most and left.max(initial=-1) > post.score_threshold:
        row = int(left.argmax())
        chosen.append((row, left[row]))
        overlap = iou(boxes[row : row + 1], boxes)[0]
        weight = np.where(overlap > post.iou_threshold, 0.0, 1.0)
        if post.soft_nms_sigma:
            weight *= np.exp(-0.5 / post.soft_nms_sigma * overlap**2)
        left = np.where(left > 0, left * weight, left).astype(np.float32)
        left[row] = -1
    return chosen


def transcription(boxes, scores, post, window):
    """One image: (A, q, 4) boxes and (A, C) scores; gives box, score, class, row of each detection."""
    kept = []
    columns = enumerate(scores.T)
    if post.class_agnostic:
        columns = [(None, scores.max(axis=1))]
    for number, column in columns:
        classes = scores.argmax(axis=1) if number is None else np.full(len(scores), number)
        own = boxes[np.arange(len(boxes)), classes if boxes.shape[1] > 1 else 0]
        at_most = post.max_total if post.class_agnostic else post.max_per_class
        kept += [(own[row], score, classes[row], row) for row, score in one_class(own, column, at_most, post)]
    kept.sort(key=lambda one: -one[1])  # stable: the lower class first
    low, high = np.tile(window[:2], 2), np.tile(window[2:], 2)
    clipped = [(np.clip(box, low, high).astype(np.float32), *rest) for box, *rest in kept]
    solid = [one for one in clipped if (one[0][2] - one[0][0]) * (one[0][3] - one[0][1]) > 0]
    scale = high - low if post.change_coordinate_frame else np.ones(4)
    shift = low if post.change_coordinate_frame else 0.0
    return [((box - shift) / scale, *rest) for box, *rest in solid[: post.max_total]]


def compare(boxes, scores, post, window=PICTURE):
    from odflow.training.detection.post_processing import suppress

    batch, rows = scores.shape[:2]
    fields = {"row": tf.broadcast_to(tf.range(float(rows)), [batch, rows]), "all": tf.constant(scores)}
    given_boxes = tf.constant(boxes[:, :, 0] if boxes.shape[2] == 1 else boxes)
    found = suppress(given_boxes, tf.constant(scores), post, tf.constant(window), fields)
    found = {name: value.numpy() for name, value in found.items()}
    for image in range(batch):
        wanted = transcription(boxes[image], scores[image], post, np.array(window, np.float32))
        count = int(found["num_detections"][image])
        assert count == len(wanted)
        for at, (box, score, number, row) in enumerate(wanted):
            assert found["row"][image, at] == row
            assert found["detection_classes"][image, at] == number + 1
            np.testing.assert_allclose(found["detection_boxes"][image, at], box, atol=1e-6)
            np.testing.assert_allclose(found["detection_scores"][image, at], score, rtol=1e-5)
            np.testing.assert_array_equal(found["all"][image, at], scores[image, row])
        assert (found["detection_classes"][image, count:] == 1).all()
        for name in ("detection_boxes", "detection_scores", "row", "all"):
            assert not found[name][image, count:].any()
            assert found[name].shape[1] == post.max_total
    return found


def image(rng, rows, classes, q=1, batch=2):
    """Boxes that overlap much and leave the picture; scores with many equals among them."""
    centre = rng.uniform(-0.1, 1.2, (batch, rows, 1, 2)) + rng.normal(0, 0.02, (batch, rows, q, 2))
    half = rng.uniform(0.0, 0.15, (batch, rows, q, 2))
    boxes = np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)
    return boxes, (rng.integers(0, 40, (batch, rows, classes)) / 40).astype(np.float32)


PLAIN = PostProcessing(0.1, 0.5, 6, 10)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("own_boxes", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"class_agnostic": True},
        {"change_coordinate_frame": False},
        {"score_threshold": 0.0, "max_total": 40, "max_per_class": 40},
        {"iou_threshold": 1.0},
    ],
)
def test_suppression_is_the_api_s(classes, own_boxes, change):
    rng = np.random.default_rng(len(change) + classes)
    boxes, scores = image(rng, 60, classes, classes if own_boxes else 1)
    compare(boxes, scores, dataclasses.replace(PLAIN, **change))


@pytest.mark.parametrize("sigma", [0.2, 0.5])
def test_soft_suppression_lowers_scores(sigma):
    rng = np.random.default_rng(4)
    boxes, _ = image(rng, 50, 3)
    scores = rng.random((2, 50, 3)).astype(np.float32)
    compare(boxes, scores, dataclasses.replace(PLAIN, soft_nms_sigma=sigma, iou_threshold=1.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_image(seed):
    rng = np.random.default_rng(seed)
    compare(*image(rng, 30, 2), PLAIN)


@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_a_first_look_at_the_best_rows_changes_nothing(spread):
    """With a spread of 1 the best 1000 of 3000 rows fill the list; else all of them are one object."""
    rng = np.random.default_rng(5)
    boxes, scores = image(rng, 3000, 2, batch=1)
    best = scores.max(axis=2) > 0.6
    boxes[best] = boxes[best] * spread + (1 - spread) * np.array([0.3, 0.3, 0.5, 0.5], np.float32)
    found = compare(boxes, scores, dataclasses.replace(PLAIN, max_per_class=30, max_total=30))
    assert int(found["num_detections"][0]) == 30
    assert (found["detection_scores"][0].min() > 0.6) == (spread == 1.0)


def test_nothing_above_the_threshold():
    from odflow.training.detection.post_processing import suppress

    found = suppress(tf.zeros([2, 5, 4]), tf.fill([2, 5, 3], 0.1), PLAIN)
    assert found["num_detections"].numpy().tolist() == [0.0, 0.0]


def test_scores_are_converted_after_scaling():
    from odflow.training.detection.post_processing import convert_scores

    logits = np.array([[1.0, -2.0, 3.0]], np.float32)
    post = dataclasses.replace(PLAIN, logit_scale=2.0)
    half = logits / 2
    np.testing.assert_allclose(convert_scores(tf.constant(logits), post), 1 / (1 + np.exp(-half)), rtol=1e-6)
    softmax = convert_scores(tf.constant(logits), dataclasses.replace(post, score_converter="softmax"))
    np.testing.assert_allclose(softmax, np.exp(half) / np.exp(half).sum(), rtol=1e-6)
    same = convert_scores(tf.constant(logits), dataclasses.replace(post, score_converter="identity"))
    np.testing.assert_allclose(same, half)


def test_parity_with_what_the_api_itself_suppressed(shared):
    """12,804 anchors of 90 classes, every score above the threshold: equal to the bit."""
    from odflow.training.detection.post_processing import suppress

    with np.load(shared / "models/ssd_mobilenet_v2_fpnlite_320/reference.npz") as reference:
        boxes, scores = reference["raw_detection_boxes"], reference["raw_detection_scores"]
        fields = {
            "detection_multiclass_scores": tf.constant(scores),
            "detection_anchor_indices": tf.range(12804.0)[tf.newaxis],
        }
        post = PostProcessing(1e-8, 0.6, 100, 100)
        window = tf.constant([0.0, 0.0, 1.0, 1.0])
        found = suppress(tf.constant(boxes), tf.constant(scores[..., 1:]), post, window, fields)
        for name, value in found.items():
            np.testing.assert_array_equal(value, reference[name], err_msg=name)
