"""COCO metrics: names, nulls and crowds, and AP against a plain computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.ops.boxes import iou
from odflow.ops.metrics import AP50, AR100, MAP, CocoMetrics, GroundTruth, class_ap50

CLASS = "DetectionBoxes_PerformanceByCategory/mAP"


def truth(boxes, classes=None, crowd=None, area=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    classes = np.ones(len(boxes), int) if classes is None else np.array(classes)
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.array(crowd)
    return GroundTruth(boxes, classes, crowd, area)


def add(metrics, truth, boxes, scores, classes=None):
    scores = np.array(scores, float)
    classes = np.ones(len(scores), int) if classes is None else np.array(classes)
    metrics.add(truth, np.array(boxes, float).reshape(-1, 4), scores, classes)


def plain_ap(images, threshold):
    """AP of one class: rank all, match greedily, read precision at 101 recalls."""
    ranked = sorted(
        (
            (score, image, index)
            for image, (_, _, scores) in enumerate(images)
            for index, score in enumerate(scores)
        ),
        key=lambda one: -one[0],
    )
    taken, hits = set(), []
    for _, image, index in ranked:
        true, boxes, _ = images[image]
        overlaps = iou(boxes[index : index + 1], true)[0] if len(true) else np.empty(0)
        free = [k for k in np.argsort(-overlaps, kind="stable") if (image, k) not in taken]
        hit = bool(free) and overlaps[free[0]] >= threshold
        if hit:
            taken.add((image, free[0]))
        hits.append(hit)
    total = sum(len(true) for true, _, _ in images)
    found = np.cumsum(hits)
    precision, recall = found / np.arange(1, len(hits) + 1), found / total
    return np.mean([precision[recall >= level].max(initial=0) for level in np.linspace(0, 1, 101)])


@st.composite
def image_sets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = []
    for _ in range(draw(st.integers(1, 4))):
        true = _boxes(rng, rng.integers(0, 5))
        near = true[rng.random(len(true)) < 0.7] + rng.normal(0, 6, (1, 4))
        boxes = np.concatenate((np.sort(near.reshape(-1, 2, 2), axis=1).reshape(-1, 4), _boxes(rng, 2)))
        images.append((true, boxes, rng.permutation(1000)[: len(boxes)] / 1000 + rng.random() / 1e6))
    images.append((_boxes(rng, 1), _boxes(rng, 1), np.array([0.31415])))
    return images


def _boxes(rng, count):
    low = rng.uniform(0, 60, (count, 2))
    return np.concatenate((low, low + rng.uniform(15, 60, (count, 2))), axis=1)


@settings(max_examples=60, deadline=None)
@given(image_sets())
def test_ap_is_that_of_a_plain_computation(images):
    metrics = CocoMetrics({1: "thing"})
    for true, boxes, scores in images:
        add(metrics, truth(true), boxes, scores)
    computed = metrics.compute()
    assert computed[AP50] == pytest.approx(plain_ap(images, 0.5), abs=1e-9)
    levels = np.linspace(0.5, 0.95, 10)
    assert computed[MAP] == pytest.approx(np.mean([plain_ap(images, level) for level in levels]), abs=1e-9)


def test_names_and_nulls():
    metrics = CocoMetrics({1: "cat", 2: "dog"})
    add(metrics, truth([[0, 0, 10, 10]]), [[0, 0, 10, 10]], [0.9])
    computed = metrics.compute()
    assert [computed[name] for name in (MAP, AP50, AR100)] == pytest.approx([1, 1, 1])
    assert computed["DetectionBoxes_Precision/mAP (small)"] == pytest.approx(1)
    assert computed["DetectionBoxes_Precision/mAP (large)"] is None
    assert computed["DetectionBoxes_Recall/AR@100 (medium)"] is None
    assert computed[f"{CLASS}/cat"] == pytest.approx(1)
    assert computed[f"{CLASS}/dog"] is None
    assert len(computed) == 12 + 4
    assert class_ap50(computed) == {"cat": pytest.approx(1)}


def test_an_image_without_objects_counts():
    metrics = CocoMetrics({1: "cat"})
    add(metrics, truth([]), [[0, 0, 9, 9]], [0.99])  # a false alarm, ranked first
    add(metrics, truth([[0, 0, 10, 10]]), [[0, 0, 10, 10]], [0.9])
    assert metrics.compute()[AP50] == pytest.approx(0.5)
    assert (metrics.images, metrics.objects) == (2, 1)


def test_a_crowd_counts_neither_as_found_nor_as_missed():
    crowd = truth([[0, 0, 10, 10], [50, 50, 90, 90]], crowd=[False, True])
    metrics = CocoMetrics({1: "cat"})
    add(metrics, crowd, [[55, 55, 70, 70], [60, 60, 80, 80], [0, 0, 10, 10]], [0.99, 0.98, 0.9])
    assert metrics.compute()[AP50] == pytest.approx(1)
    assert metrics.objects == 1


def test_area_tells_the_size():
    metrics = CocoMetrics({1: "cat"})
    add(metrics, truth([[0, 0, 100, 100]], area=np.array([500.0])), [[0, 0, 100, 100]], [0.9])
    computed = metrics.compute()
    assert computed["DetectionBoxes_Precision/mAP (small)"] == pytest.approx(1)
    assert computed["DetectionBoxes_Precision/mAP (large)"] is None


def test_nothing_found_is_zero_and_nothing_there_is_null(capfd):
    metrics = CocoMetrics({1: "cat"})
    add(metrics, truth([[0, 0, 10, 10]]), [], [])
    assert metrics.compute()[MAP] == 0
    assert CocoMetrics({1: "cat"}).compute()[MAP] is None
    assert capfd.readouterr().out == ""


def test_detections_of_unknown_classes_do_no_harm():
    metrics = CocoMetrics({1: "cat"})
    add(metrics, truth([[0, 0, 10, 10]]), [[0, 0, 10, 10], [0, 0, 10, 10]], [0.99, 0.9], [7, 1])
    assert metrics.compute()[AP50] == pytest.approx(1)
