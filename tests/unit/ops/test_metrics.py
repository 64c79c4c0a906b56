"""COCO metrics: names, nulls and crowds, and AP against a plain computation."""

import json
import subprocess
import sys

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


def whole_eval(images, class_ids):
    """pycocotools over all images at once."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [float(box[1]), float(box[0]), float(box[3] - box[1]), float(box[2] - box[0])]

    objects, found = [], []
    for number, (true, boxes, scores, classes) in enumerate(images, 1):
        crowds, areas = true.is_crowd.tolist(), true.area.tolist()
        for box, kind, crowd, area in zip(true.boxes_yxyx, true.classes.tolist(), crowds, areas, strict=True):
            one = {"id": len(objects) + 1, "image_id": number, "category_id": kind, "bbox": xywh(box)}
            objects.append(one | {"area": area, "iscrowd": int(crowd)})
        found += [
            [number, *xywh(box), float(score), kind]
            for box, score, kind in zip(boxes, scores, classes.tolist(), strict=True)
        ]
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": number} for number in range(1, len(images) + 1)],
        "categories": [{"id": kind} for kind in class_ids],
        "annotations": objects,
    }
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(np.array(found)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def many_images(seed):
    """Images with crowds, areas of their own, equal scores, classes that are not known, nothing at all."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(40):
        count, many = rng.integers(0, 8), 130 if number == 5 else rng.integers(0, 20)
        true = _boxes(rng, count) * rng.choice([0.3, 1, 3])
        near = true[rng.integers(0, count, many)] if count else _boxes(rng, many)
        low = near[:, :2] + rng.normal(0, 4, (many, 2))
        boxes = np.concatenate(
            (low, low + np.abs(near[:, 2:] - near[:, :2] + rng.normal(0, 4, (many, 2)))), 1
        )
        areas = (true[:, 2:] - true[:, :2]).prod(axis=1) * rng.uniform(0.5, 1, count)
        objects = GroundTruth(true, rng.choice([3, 7, 9], count), rng.random(count) < 0.15, areas)
        scores = (rng.integers(0, 30, many) / 30).astype(np.float32 if seed % 2 else np.float64)
        images.append((objects, boxes, scores, rng.choice([3, 7, 9, 11, 50], many)))
    return images


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("few", [1, 7, 16, 1000])
def test_figures_are_those_of_pycocotools_over_all_images_bit_for_bit(monkeypatch, seed, few):
    monkeypatch.setattr("odflow.ops.metrics._FEW", few)
    images, names = many_images(seed), {9: "c", 3: "a", 7: "b", 11: "without objects"}
    metrics = CocoMetrics(names)
    for one in images:
        metrics.add(*one)
    computed, whole = metrics.compute(), whole_eval(images, names)
    assert [-1 if value is None else value for value in list(computed.values())[:12]] == whole.stats.tolist()
    for index, kind in enumerate(sorted(names)):
        precision = whole.eval["precision"][:, :, index, 0, 2]
        known = precision[precision > -1]
        assert computed[f"{CLASS}/{names[kind]}"] == (known.mean() if known.size else None)


MEMORY = """
import gc, json, tracemalloc
import numpy as np
from odflow.ops.metrics import CocoMetrics, GroundTruth

def measure(images):
    rng, metrics = np.random.default_rng(0), CocoMetrics({1: "cat"})
    corners = rng.uniform(0, 60, (100, 2))
    boxes = np.concatenate((corners, corners + 30), axis=1)
    truth = GroundTruth(boxes[:1], np.ones(1, int), np.zeros(1, bool))
    gc.collect()
    tracemalloc.start()
    for _ in range(images):
        metrics.add(truth, boxes, rng.random(100).astype(np.float32), np.ones(100, int))
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    metrics.compute()
    peak = tracemalloc.get_traced_memory()[1] - kept
    tracemalloc.stop()
    return kept, peak

measure(16)  # imports
print(json.dumps([measure(16), measure(48)]))
"""


def test_an_image_takes_little_memory():
    """In a process of its own: tracemalloc counts other threads, and what the collector has not freed yet."""
    ended = subprocess.run([sys.executable, "-c", MEMORY], stdout=subprocess.PIPE, check=True)
    few, many = np.array(json.loads(ended.stdout))
    kept, peak = (many - few) / 32
    assert kept < 2500
    assert peak < 4000


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
