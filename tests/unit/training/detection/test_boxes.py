import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

tf = pytest.importorskip("tensorflow")

SCALES = (10.0, 10.0, 5.0, 5.0)


def random_boxes(seed, count):
    rng = np.random.default_rng(seed)
    middle, sides = rng.random((count, 2)), 0.02 + 0.5 * rng.random((count, 2))
    return np.concatenate([middle - sides / 2, middle + sides / 2], 1).astype("f")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_what_is_encoded_decodes_to_the_box(seed):
    from odflow.training.detection.boxes import decode_boxes, encode_boxes

    boxes, anchors = random_boxes(seed, 20), random_boxes(seed + 1, 20)
    codes = encode_boxes(boxes, anchors, SCALES)
    np.testing.assert_allclose(decode_boxes(codes[None], anchors, SCALES)[0], boxes, atol=2e-6)


def test_codes_are_those_of_the_paper():
    from odflow.training.detection.boxes import encode_boxes

    box, anchor = np.float32([[0.1, 0.2, 0.5, 0.8]]), np.float32([[0.0, 0.0, 0.2, 0.3]])
    expected = [10 * 0.2 / 0.2, 10 * 0.35 / 0.3, 5 * np.log(2), 5 * np.log(2)]
    np.testing.assert_allclose(encode_boxes(box, anchor, SCALES)[0], expected, rtol=1e-5)


def test_a_box_without_area_has_a_finite_code():
    from odflow.training.detection.boxes import encode_boxes

    assert np.isfinite(encode_boxes(np.full((1, 4), 0.5, "f"), random_boxes(1, 1), SCALES)).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_overlaps_are_those_of_numpy(seed):
    from odflow.ops.boxes import iou
    from odflow.training.detection.boxes import pairwise_iou

    boxes, anchors = random_boxes(seed, 5), random_boxes(seed + 1, 30)
    np.testing.assert_allclose(pairwise_iou(boxes, anchors), iou(boxes, anchors), atol=1e-6)
