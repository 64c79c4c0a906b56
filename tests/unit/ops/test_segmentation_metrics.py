"""IoU and accuracy of masks, against loops over pixels and Keras's MeanIoU."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from odflow.ops.segmentation_metrics import (
    class_iou,
    confusion_matrix,
    mask_metrics,
    mean_iou,
    pixel_accuracy,
    thresholded_iou_score,
)

CLASSES = 4


@st.composite
def masks(draw):
    """Truth and prediction of the same shape; the truth ignores some pixels and may lack classes."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=6))
    numbers = st.sampled_from(sorted(draw(st.sets(st.integers(0, CLASSES - 1), min_size=1)) | {255}))
    truth = draw(hnp.arrays(np.uint8, shape, elements=numbers))
    return truth, draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, CLASSES - 1)))


def pairs(truth, prediction):
    return [
        (t, p) for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True) if t != 255
    ]


@given(masks())
def test_all_is_what_loops_over_pixels_count(drawn):
    confusion, counted = confusion_matrix(*drawn, CLASSES), pairs(*drawn)
    assert confusion.dtype == np.int64
    for row in range(CLASSES):
        for column in range(CLASSES):
            assert confusion[row, column] == counted.count((row, column))
    ious = []
    for number in range(CLASSES):
        both = sum(t == p == number for t, p in counted)
        either = sum(number in pair for pair in counted)
        there = any(t == number for t, _ in counted)
        ious.append(both / either if there else math.nan)
    np.testing.assert_allclose(class_iou(confusion), ious, rtol=1e-15)
    known = [iou for iou in ious if not math.isnan(iou)]
    assert mean_iou(confusion) == (pytest.approx(sum(known) / len(known)) if known else None)
    right = sum(t == p for t, p in counted)
    assert pixel_accuracy(confusion) == (right / len(counted) if counted else None)


@given(masks(), masks())
def test_matrices_add_up(some, others):
    both = [np.concatenate([one.ravel(), other.ravel()]) for one, other in zip(some, others, strict=True)]
    apart = confusion_matrix(*some, CLASSES) + confusion_matrix(*others, CLASSES)
    np.testing.assert_array_equal(confusion_matrix(*both, CLASSES), apart)


@given(masks())
def test_what_is_exact_is_one(drawn):
    truth, _ = drawn
    confusion = confusion_matrix(truth, np.where(truth == 255, 0, truth), CLASSES)
    found = class_iou(confusion)
    assert set(found[~np.isnan(found)]) <= {1.0}
    assert mean_iou(confusion) == pixel_accuracy(confusion) == (1.0 if (truth != 255).any() else None)


def test_a_class_that_never_occurs_has_no_iou_even_where_it_is_predicted():
    confusion = confusion_matrix(np.array([0, 0, 1]), np.array([0, 2, 1]), 4)
    np.testing.assert_array_equal(class_iou(confusion), [0.5, 1.0, np.nan, np.nan])
    assert mean_iou(confusion) == 0.75
    assert mask_metrics(confusion, ["a", "b", "c", "d"]) == {
        "mIoU": 0.75,
        "pixel_accuracy": 2 / 3,
        "IoU/a": 0.5,
        "IoU/b": 1.0,
        "IoU/c": None,
        "IoU/d": None,
    }


@given(st.integers(0, 100))
def test_the_score_is_the_rounded_up_multiple_of_twenty(percent):
    exact = math.ceil(max(0, min(10, (percent - 50) / 5)))
    assert thresholded_iou_score(percent / 100) == exact / 10


def test_the_score_of_what_has_no_iou_is_none():
    np.testing.assert_array_equal(thresholded_iou_score(np.array([[np.nan, 1.0]])), [[np.nan, 1.0]])


@pytest.mark.parametrize(
    ("truth", "prediction", "told"),
    [
        ([0, 1], [0], "same shape"),
        ([0, 4], [0, 1], "truth has numbers 0 to 4"),
        ([0, 1], [255, 1], "prediction"),
    ],
)
def test_what_cannot_be_compared_is_refused(truth, prediction, told):
    with pytest.raises(ValueError, match=told):
        confusion_matrix(np.array(truth), np.array(prediction), CLASSES)


@pytest.mark.slow  # imports TensorFlow
def test_the_mean_is_keras_mean_iou_where_every_class_occurs():
    tf_keras = pytest.importorskip("tf_keras")
    chance = np.random.default_rng(3)
    truth, prediction = chance.integers(0, CLASSES, (2, 40, 30))
    keras = tf_keras.metrics.MeanIoU(CLASSES)
    keras.update_state(truth, prediction)
    assert mean_iou(confusion_matrix(truth, prediction, CLASSES)) == pytest.approx(
        float(keras.result()), rel=1e-6
    )
