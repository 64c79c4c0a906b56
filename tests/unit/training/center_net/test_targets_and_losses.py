"""CenterNet's targets, losses and peaks against NumPy, by their definitions."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from odflow.training.center_net.settings import CenterNetModel, Extractor
from odflow.training.settings import Normalization, Resizer

tf = pytest.importorskip("tensorflow")


def radius(height, width, overlap):
    """How far corners may move and keep an overlap; with the published code's own roots."""
    total, area = height + width, height * width
    cases = [
        (1, -total, area * (1 - overlap) / (1 + overlap)),
        (4, -2 * total, (1 - overlap) * area),
        (4 * overlap, 2 * overlap * total, (overlap - 1) * area),
    ]
    return min((-b + np.sqrt(b**2 - 4 * a * c)) / 2 for a, b, c in cases)


def heatmap(boxes, classes, weights, size, count, overlap=0.7):
    """Cell by cell; boxes in cells."""
    found = np.zeros((*size, count))
    for (top, left, bottom, right), kind, weight in zip(boxes, classes, weights, strict=True):
        sigma = (2 * max(np.floor(radius(bottom - top, right - left, overlap)), 0) + 1) / 6
        cy, cx = np.floor((top + bottom) / 2), np.floor((left + right) / 2)
        for y in range(size[0]):
            for x in range(size[1]):
                value = weight * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * sigma**2))
                found[y, x, kind - 1] = max(found[y, x, kind - 1], value)
    return found


def sample(boxes, classes, weights=None, size=(32, 64)):
    from odflow.training.examples.augmentation import Sample

    return Sample(
        tf.zeros([*size, 3], tf.uint8),
        tf.constant(boxes, tf.float32, shape=[len(boxes), 4]),
        tf.constant(classes, tf.int64),
        None if weights is None else tf.constant(weights, tf.float32),
    )


sides = st.integers(1, 96).map(lambda value: value / 97)
objects_of_an_image = st.lists(
    st.tuples(sides, sides, sides, sides, st.integers(1, 2), st.sampled_from([0.0, 0.5, 1.0])), max_size=4
)


@given(objects_of_an_image)
@hypothesis_settings(max_examples=25, deadline=None)
def test_targets_are_those_of_the_definition(objects):
    from odflow.training.center_net.targets import Targets

    model = CenterNetModel(2, Resizer(64, 64, 64), Extractor("hourglass_10", Normalization()))
    boxes = [[min(a, c), min(b, d), max(a, c) + 0.01, max(b, d) + 0.01] for a, b, c, d, _, _ in objects]
    classes, weights = [one[4] for one in objects], [one[5] for one in objects]
    _, labels = Targets(model, 5)(sample(boxes, classes, weights))
    # A picture of 32x64 pixels fills 64x64 by its upper half: 8x16 of 16x16 cells.
    cells = np.float32(boxes).reshape(-1, 4) * np.float32([8, 16, 8, 16])
    np.testing.assert_allclose(labels["centers"], heatmap(cells, classes, weights, (16, 16), 2), atol=1e-4)
    np.testing.assert_array_equal(labels["valid"][..., 0], np.arange(16)[:, None] < np.full(16, 8))
    n = len(objects)
    middle = (cells[:, :2] + cells[:, 2:]) / 2
    np.testing.assert_array_equal(labels["cells"][:n], np.floor(middle[:, 0]) * 16 + np.floor(middle[:, 1]))
    np.testing.assert_allclose(labels["offsets"][:n], middle - np.floor(middle), atol=1e-5)
    np.testing.assert_allclose(labels["sizes"][:n], cells[:, 2:] - cells[:, :2], atol=1e-5)
    np.testing.assert_allclose(labels["weights"], weights + [0.0] * (5 - n))
    assert not labels["cells"][n:].numpy().any()


def test_objects_beyond_the_most_are_left_out_and_a_centre_on_the_edge_stays_inside(model):
    from odflow.training.center_net.targets import Targets

    _, labels = Targets(model, 2)(sample([[0.9, 0.9, 1.1, 1.1]] * 3, [1, 2, 1], size=(64, 64)))
    assert labels["cells"].numpy().tolist() == [255, 255]
    assert labels["sizes"].shape == (2, 2)


def focal(logits, wanted, alpha, beta):
    p = np.clip(1 / (1 + np.exp(-logits.astype(float))), 1e-4, 1 - 1e-4)
    near = -((1 - wanted) ** beta) * p**alpha * np.log(1 - p)
    return np.where(wanted == 1, -((1 - p) ** alpha) * np.log(p), near)


@pytest.mark.parametrize("stacks", [1, 2])
def test_losses_are_those_of_the_definition(model, stacks):
    from odflow.training.center_net.losses import center_net_losses

    rng = np.random.default_rng(4)
    shape = (2, 6, 7)
    maps = {
        "object_center": [rng.normal(size=(*shape, 2)).astype("f") for _ in range(stacks)],
        "box/scale": [rng.normal(size=(*shape, 2)).astype("f") for _ in range(stacks)],
        "box/offset": [rng.normal(size=(*shape, 2)).astype("f") for _ in range(stacks)],
    }
    weights = np.float32([[1, 0.5, 0], [1, 0, 0]])
    labels = {
        "centers": np.where(rng.random((*shape, 2)) > 0.9, 1.0, rng.random((*shape, 2))).astype("f"),
        "valid": (rng.random((*shape, 1)) > 0.2).astype("f"),
        "cells": rng.integers(0, 42, (2, 3)).astype("i"),
        "sizes": rng.random((2, 3, 2)).astype("f"),
        "offsets": rng.random((2, 3, 2)).astype("f"),
        "weights": weights,
    }
    heavy = dataclasses.replace(
        model,
        centers=dataclasses.replace(model.centers, weight=3.0),
        boxes=dataclasses.replace(model.boxes, weight=2.0, scale_weight=0.3, offset_weight=0.7),
    )
    found = center_net_losses(
        {name: [tf.constant(one) for one in some] for name, some in maps.items()},
        {name: tf.constant(value) for name, value in labels.items()},
        heavy,
    )

    def distance(name, wanted):
        total = 0.0
        for one in maps[name]:
            for image in range(2):
                for k, cell in enumerate(labels["cells"][image]):
                    error = np.abs(one[image].reshape(-1, 2)[cell] - wanted[image, k]).sum()
                    total += error * weights[image, k]
        return total / stacks / 3  # three boxes have a weight

    center = sum(
        (focal(one, labels["centers"], 2, 4) * labels["valid"]).sum() for one in maps["object_center"]
    )
    wanted = {
        "object_center": 3 * center / stacks / 3,
        "box/scale": 2 * 0.3 * distance("box/scale", labels["sizes"]),
        "box/offset": 2 * 0.7 * distance("box/offset", labels["offsets"]),
    }
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4)


def test_a_batch_without_objects_is_divided_by_one(model):
    from odflow.training.center_net.losses import number_of_boxes

    assert float(number_of_boxes({"weights": tf.zeros([2, 3])})) == 1.0


def numpy_peaks(scores, k, window):
    """(score, y, x, channel), best first."""
    h, w, channels = scores.shape
    reach = window // 2
    found = []
    for y in range(h):
        for x in range(w):
            for c in range(channels):
                near = scores[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1, c]
                found.append((scores[y, x, c] if scores[y, x, c] == near.max() else 0.0, y, x, c))
    return sorted(found, key=lambda one: -one[0])[:k]


@pytest.mark.parametrize("window", [1, 3, 5])
def test_detections_are_the_highest_peaks_with_their_sizes_and_offsets(model, window):
    from odflow.training.center_net.detections import detections

    rng = np.random.default_rng(6)
    logits, size, offset = (rng.normal(size=(2, 8, 9, c)).astype("f") for c in (3, 2, 2))
    last = {"object_center": logits, "box/scale": size, "box/offset": offset}
    maps = {name: [tf.zeros_like(one), tf.constant(one)] for name, one in last.items()}
    centers = dataclasses.replace(model.centers, max_detections=6, peak_window=window)
    found = detections(maps, centers, tf.constant([24.0, 36.0]))
    scores = 1 / (1 + np.exp(-logits))
    for image in range(2):
        for k, (score, y, x, channel) in enumerate(numpy_peaks(scores[image], 6, window)):
            np.testing.assert_allclose(found["detection_scores"][image, k], score, rtol=1e-5)
            assert found["detection_classes"][image, k] == channel + 1
            h, w = np.maximum(size[image, y, x], 0)
            cy, cx = np.float32([y, x]) + offset[image, y, x]
            box = np.float32([cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2]) * 4 / [24, 36, 24, 36]
            np.testing.assert_allclose(found["detection_boxes"][image, k], box.clip(0, 1), atol=1e-5)
    assert found["num_detections"].numpy().tolist() == [6, 6]


def test_no_more_peaks_are_asked_for_than_there_are_cells(model):
    from odflow.training.center_net.detections import find_peaks

    assert find_peaks(tf.ones([1, 2, 2, 1]), 100, 3).scores.shape == (1, 4)
