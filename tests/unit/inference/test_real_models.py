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


def outputs(found):
    """Detections by the API's names."""
    return {
        "detection_boxes": found.boxes_yxyx,
        "detection_scores": found.scores,
        "detection_classes": found.classes,
    }


def test_frozen_graph_and_saved_model_agree(ssd, photographs, assert_same_detections):
    frozen, saved = load_detector(ssd / "frozen_inference_graph.pb"), load_detector(ssd / "saved_model")
    for photograph in photographs:
        one, other = frozen.detect(photograph), saved.detect(photograph)
        assert_same_detections(outputs(one), outputs(other), 1e-4, 1e-5)


def test_threads_change_nothing(ssd, photographs):
    detector = load_detector(ssd)
    alone = [detector.detect(photograph) for photograph in photographs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, photographs * 3))
    for one, other in zip(alone * 3, together, strict=True):
        np.testing.assert_array_equal(one.boxes_yxyx, other.boxes_yxyx)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.slow
def test_the_tf2_saved_model_gives_the_api_s_own_numbers(shared, assert_same_detections):
    folder = shared / "models/ssd_mobilenet_v2_fpnlite_320"
    with np.load(folder / "reference.npz") as reference:
        found = load_detector(folder).detect(reference["image"][0])
        wanted = {name: reference[name][0] for name in outputs(found)}
        assert_same_detections(outputs(found), wanted, 1e-4, 1e-4)
