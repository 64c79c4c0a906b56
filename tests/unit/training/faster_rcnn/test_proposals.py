"""Proposals and what they are compared with, against NumPy and by properties."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odflow.training.settings import ClassificationLoss

tf = pytest.importorskip("tensorflow")

KINDS = arrays(np.int8, (2, 40), elements=st.integers(-1, 1))
"""1 positive, 0 negative, -1 neither."""


@given(kinds=KINDS, count=st.integers(1, 50), fraction=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(max_examples=30, deadline=None)
def test_few_positives_are_drawn_and_negatives_fill_up(kinds, count, fraction):
    from odflow.training.faster_rcnn.proposals import sample

    rows, drawn = (value.numpy() for value in sample(kinds == 1, kinds == 0, count, fraction))
    assert rows.shape == drawn.shape == (2, min(count, 40))
    for kind, row, used in zip(kinds, rows, drawn, strict=True):
        picked = kind[row[used]]
        positives = min((kind == 1).sum(), int(count * fraction))
        assert len(set(row)) == len(row)
        assert (picked == 1).sum() == positives
        assert (picked == 0).sum() == min((kind == 0).sum(), count - positives)
        assert (picked == -1).sum() == 0


def test_every_example_has_the_same_chance():
    from odflow.training.faster_rcnn.proposals import sample

    tf.random.set_seed(3)
    kinds = np.zeros((4000, 10), np.int8)
    kinds[:, :4] = 1
    rows, drawn = sample(kinds == 1, kinds == 0, 4, 0.5)
    assert drawn.numpy().all()
    counts = np.bincount(rows.numpy().ravel(), minlength=10) / 4000
    np.testing.assert_allclose(counts, [0.5] * 4 + [1 / 3] * 6, atol=0.03)


def random_boxes(rng, count, size=100.0):
    corner = rng.uniform(0, 0.7 * size, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 0.3 * size, (count, 2))], 1).astype("f")


@pytest.fixture(scope="module")
def case():
    """Two images: one with three boxes, of which one weighs nothing, and one with none."""
    rng = np.random.default_rng(1)
    boxes = np.zeros((2, 4, 4), "f")
    boxes[0, :3] = random_boxes(rng, 3)
    proposals = np.stack([random_boxes(rng, 30), random_boxes(rng, 30)])
    for i in range(9):  # some that overlap well
        proposals[0, i] = boxes[0, i % 3] + rng.normal(size=4)
    found = np.ones((2, 30), bool)
    found[:, 25:] = False
    labels = {
        "boxes": tf.constant(boxes),
        "classes": tf.constant([[1, 2, 1, 0], [0] * 4]),
        "weights": tf.constant([[1.0, 0.5, 0.0, 0.0], [0.0] * 4]),
    }
    return proposals, found, boxes, labels


def test_proposals_are_matched_as_defined(model, case, numpy_iou, numpy_encode):
    from odflow.training.faster_rcnn.proposals import assign

    proposals, found, boxes, labels = case
    second = dataclasses.replace(model.second, batch_size=30, positive_fraction=1.0)
    got = {name: value.numpy() for name, value in assign(proposals, found, labels, second)._asdict().items()}
    assert got["used"].sum(axis=1).tolist() == [25 - 3, 25]  # three proposals stand for the weightless box
    for box, cls, row, used, code, weight in zip(
        *(got[name][0] for name in ("boxes", "classes", "rows", "used", "encodings", "weights")), strict=True
    ):
        overlap = numpy_iou(box[None], boxes[0])[0]
        if overlap.max() < 0.5:
            assert (cls, weight) == (0, 1.0)
            assert not code.any()
            continue
        best = overlap.argmax()
        assert (row, weight) == (best, labels["weights"][0, best])
        assert cls == labels["classes"][0, best]
        assert used == (weight > 0 and np.any(np.all(proposals[0, :25] == box, axis=1)))
        np.testing.assert_allclose(
            code, numpy_encode(boxes[0, best][None], box[None])[0], rtol=1e-3, atol=1e-3
        )
    assert not got["classes"][1].any()


def test_what_is_drawn_keeps_the_share_of_positives(model, case):
    from odflow.training.faster_rcnn.proposals import assign

    proposals, found, _, labels = case
    assert isinstance(model.second.loss, ClassificationLoss)
    drawn = assign(proposals, found, labels, model.second)
    assert drawn.boxes.shape == (2, 12, 4)
    assert int(tf.reduce_sum(tf.cast(drawn.classes[0] > 0, tf.float32) * drawn.used[0])) == 3


def numpy_propose(codes, logits, anchors, allowed, size, first, numpy_iou):
    sides = anchors[:, 2:] - anchors[:, :2]
    centre = codes[:, :2] / 10 * sides + anchors[:, :2] + sides / 2
    half = np.exp(codes[:, 2:] / 5) * sides / 2
    boxes = np.concatenate([centre - half, centre + half], 1)
    scores = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if not allowed[i] or len(kept) == first.suppression.max_total:
            continue
        if not kept or numpy_iou(boxes[i][None], boxes[kept]).max() <= first.suppression.iou_threshold:
            kept.append(i)
    clipped = np.clip(boxes[kept], 0, [size[0], size[1]] * 2)
    alive = (clipped[:, 2:] - clipped[:, :2]).prod(-1) > 0
    return clipped[alive], scores[kept][alive]


def test_proposals_are_decoded_suppressed_and_clipped_as_defined(model, numpy_iou):
    from odflow.training.faster_rcnn.proposals import propose

    rng = np.random.default_rng(4)
    anchors = model.anchor_boxes()
    codes = rng.normal(size=(2, len(anchors), 4)).astype("f")
    logits = rng.normal(size=(2, len(anchors), 2)).astype("f")
    allowed = rng.random(len(anchors)) > 0.3
    window = tf.constant([0.0, 0.0, 96.0, 128.0])
    boxes, scores, found = propose(codes, logits, tf.constant(anchors), allowed, window, model.first)
    for i in range(2):
        wanted, wanted_scores = numpy_propose(
            codes[i], logits[i], anchors, allowed, (96, 128), model.first, numpy_iou
        )
        count = int(tf.reduce_sum(tf.cast(found[i], tf.int32)))
        assert count == len(wanted)
        np.testing.assert_allclose(boxes[i, :count], wanted, atol=1e-3)
        np.testing.assert_allclose(scores[i, :count], wanted_scores, atol=1e-5)
        assert not np.any(boxes[i, count:])


@pytest.mark.parametrize("pictures", [[(96, 128), (96, 128)], [(64, 128), (96, 40)], [(1, 1), (95, 127)]])
def test_proposals_are_clipped_to_the_picture_of_each_image(model, numpy_iou, pictures):
    """Not to the input, which is padded below and to the right of the picture."""
    from odflow.training.faster_rcnn.proposals import propose
    from odflow.training.faster_rcnn.targets import picture_window

    rng = np.random.default_rng(5)
    anchors = model.anchor_boxes()
    codes, logits = (rng.normal(size=(2, len(anchors), n)).astype("f") for n in (4, 2))
    allowed = np.ones(len(anchors), bool)
    windows = tf.stack([picture_window(tf.constant(size, tf.float32)) for size in pictures])
    boxes, scores, found = propose(codes, logits, tf.constant(anchors), allowed, windows, model.first)
    for i, size in enumerate(pictures):
        wanted, wanted_scores = numpy_propose(
            codes[i], logits[i], anchors, allowed, size, model.first, numpy_iou
        )
        count = int(tf.reduce_sum(tf.cast(found[i], tf.int32)))
        np.testing.assert_allclose(boxes[i, :count], wanted, atol=1e-3)
        np.testing.assert_allclose(scores[i, :count], wanted_scores, atol=1e-5)


@pytest.mark.parametrize("height", [30, 60, 80])
def test_in_training_each_picture_has_a_window_of_its_own(model, height):
    from odflow.training.examples.augmentation import Sample
    from odflow.training.faster_rcnn.targets import Targets
    from odflow.training.settings import Resizer

    resized = dataclasses.replace(model, resizer=Resizer(80, 80, 80), masks=None, stages=2)
    image, box = np.zeros((height, 80, 3), np.uint8), np.float32([[0.0, 0.0, 1.0, 1.0]])
    _, labels = Targets(resized, 5)(Sample(*map(tf.constant, (image, box, [1], [1.0])), None))
    assert labels["window"].numpy().tolist() == [0.0, 0.0, height, 80.0]
    np.testing.assert_allclose(labels["boxes"][0], labels["window"], atol=1e-4)  # the whole picture
