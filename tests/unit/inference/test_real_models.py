"""The real exports: the same weights in two forms, and the API's own numbers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from odflow.formats.images import read_image
from odflow.inference.detector import load_detector


@pytest.fixture(scope="module")
def ssd(shared: Path) -> Path:
    return shared / "models/ssd_mobilenet_v1_coco"


@pytest.fixture(scope="module")
def photographs(shared: Path):
    return [read_image(path) for path in sorted((shared / "data/coco128/images/val2017").glob("*.jpg"))[:8]]


def test_frozen_graph_and_saved_model_agree(ssd, photographs):
    frozen, saved = load_detector(ssd / "frozen_inference_graph.pb"), load_detector(ssd / "saved_model")
    for photograph in photographs:
        one, other = frozen.detect(photograph), saved.detect(photograph)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_array_equal(one.best(0.1).classes, other.best(0.1).classes)


def test_threads_change_nothing(ssd, photographs):
    detector = load_detector(ssd)
    alone = [detector.detect(photograph) for photograph in photographs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, photographs * 3))
    for one, other in zip(alone * 3, together, strict=True):
        np.testing.assert_array_equal(one.boxes_yxyx, other.boxes_yxyx)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.slow
def test_the_tf2_saved_model_gives_the_api_s_own_numbers(shared):
    folder = shared / "models/ssd_mobilenet_v2_fpnlite_320"
    with np.load(folder / "reference.npz") as reference:
        found = load_detector(folder).detect(reference["image"][0])
        np.testing.assert_allclose(found.scores, reference["detection_scores"][0], atol=1e-4)
        clear = found.scores > 0.4  # below, near-ties change places
        np.testing.assert_allclose(found.boxes_yxyx[clear], reference["detection_boxes"][0][clear], atol=1e-3)
        np.testing.assert_array_equal(found.classes[clear], reference["detection_classes"][0][clear])
