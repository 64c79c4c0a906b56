"""The tests' own comparison of detections: what it lets pass, and what it must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

BOX, SCORE = 1e-4, 1e-4


def detections(number=8, room=12, seed=0):
    """Detections of one image, far from each other, best first, and padding after them."""
    rng = np.random.default_rng(seed)
    pad = room - number
    low = rng.uniform(0, 0.5, (number, 2))
    return {
        "detection_boxes": np.pad(np.hstack([low, low + 0.3]), ((0, pad), (0, 0))),
        "detection_scores": np.pad(np.linspace(0.9, 0.2, number), (0, pad)),
        "detection_classes": np.pad(rng.integers(1, 4, number).astype(float), (0, pad), constant_values=1),
        "detection_anchor_indices": np.pad(np.arange(number, dtype=float), (0, pad)),
        "num_detections": float(number),
    }


def rows(outputs, order):
    """The same detections in another order, or some of them."""
    arrays = {name: value[order] for name, value in outputs.items() if name != "num_detections"}
    return arrays | {"num_detections": outputs["num_detections"]}


def changed(outputs, name, row, value):
    array = outputs[name].copy()
    array[row] = value
    return outputs | {name: array}


@given(st.permutations(range(8)), st.integers(0, 99))
def test_neither_order_nor_what_lies_within_the_tolerance_matters(assert_same_detections, order, seed):
    wanted = detections()
    noise = np.random.default_rng(seed)
    found = rows(wanted, [*order, *range(8, 12)])
    for name in ("detection_boxes", "detection_scores"):
        found[name] = found[name] + noise.uniform(-9e-5, 9e-5, found[name].shape)
    assert_same_detections(found, wanted, BOX, SCORE)
    assert_same_detections(wanted, found, BOX, SCORE)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("detection_classes", 2, 9.0),
        ("detection_scores", 2, 0.9),
        ("detection_scores", 0, 0.9 + 2e-4),
        ("detection_boxes", 3, [0.1, 0.1, 0.9, 0.9]),
        ("detection_boxes", (3, 1), 0.95),
        ("detection_anchor_indices", 1, 7.0),
        ("detection_scores", 4, np.nan),
    ],
)
def test_one_value_of_one_row_that_differs_is_told(assert_same_detections, name, row, value):
    wanted = detections()
    found = changed(wanted, name, row, value)
    for one, other in ((found, wanted), (wanted, found)):
        with pytest.raises(AssertionError, match=r"image 0: without a partner: .*(found|wanted) [0-9]"):
            assert_same_detections(one, other, BOX, SCORE)


def test_classes_that_two_boxes_swapped_are_told(assert_same_detections):
    wanted = changed(changed(detections(), "detection_classes", 0, 1.0), "detection_classes", 1, 2.0)
    found = changed(changed(wanted, "detection_classes", 0, 2.0), "detection_classes", 1, 1.0)
    with pytest.raises(AssertionError, match=r"found 0 \(class 2, score 0.9"):
        assert_same_detections(found, wanted, BOX, SCORE)


def test_one_that_is_missing_and_one_that_is_there_twice_are_told(assert_same_detections):
    wanted = detections()
    fewer = rows(wanted, [0, 1, 2, 3, 4, 5, 7, *range(7, 12)]) | {"num_detections": 7.0}
    with pytest.raises(AssertionError, match=r"partner: wanted 6 \(class"):
        assert_same_detections(fewer, wanted, BOX, SCORE)
    with pytest.raises(AssertionError, match=r"partner: found 6 \(class"):
        assert_same_detections(wanted, fewer, BOX, SCORE)
    twice = rows(wanted, [0, 0, 2, 3, 4, 5, 6, 7, *range(8, 12)])
    with pytest.raises(AssertionError, match=r"partner: found [01] .*wanted 1 "):
        assert_same_detections(twice, wanted, BOX, SCORE)


def test_at_the_cut_off_of_a_full_list_a_tie_may_fall_out_and_nothing_above_it(assert_same_detections):
    full = detections(number=9, room=9)
    tied = changed(full, "detection_scores", 7, full["detection_scores"][8] + 5e-5)
    one, other = (rows(tied, [*range(7), row]) | {"num_detections": 8.0} for row in (7, 8))
    assert_same_detections(one, other, BOX, SCORE)
    clear = changed(one, "detection_scores", 7, 0.25)
    with pytest.raises(AssertionError, match="partner: found 7"):
        assert_same_detections(clear, other, BOX, SCORE)
    unlimited = [side | {"num_detections": 7.0} for side in (one, other)]
    assert_same_detections(*unlimited, BOX, SCORE)


def test_at_the_cut_off_of_a_class_or_of_a_least_score_a_tie_may_fall_out(assert_same_detections):
    wanted = detections() | {"detection_classes": np.ones(12)}
    tied = changed(wanted, "detection_scores", 7, 0.2 + 5e-5)
    moved = changed(tied, "detection_boxes", 7, [0.0, 0.0, 0.1, 0.1])
    assert_same_detections(moved, wanted, BOX, SCORE, per_class=8)
    for per_class in (None, 9):
        with pytest.raises(AssertionError, match="partner: found 7"):
            assert_same_detections(moved, wanted, BOX, SCORE, per_class=per_class)
    fewer = wanted | {"num_detections": 7.0}
    assert_same_detections(fewer, wanted, BOX, SCORE, least=0.2)
    with pytest.raises(AssertionError, match="partner: wanted 7"):
        assert_same_detections(fewer, wanted, BOX, SCORE, least=0.1)


def test_each_image_of_a_batch_is_compared_with_its_own(assert_same_detections):
    images = [detections(seed=seed) for seed in range(2)]
    both, swapped = (
        {name: np.stack([one[name] for one in order]) for name in images[0]}
        for order in (images, images[::-1])
    )
    assert_same_detections(both, both, BOX, SCORE)
    with pytest.raises(AssertionError, match="image 0"):
        assert_same_detections(swapped, both, BOX, SCORE)
    with pytest.raises(ValueError, match="shorter"):
        assert_same_detections(both, {name: value[:1] for name, value in both.items()}, BOX, SCORE)


def test_nothing_is_the_same_as_nothing_and_scores_that_are_all_alike_prove_nothing(assert_same_detections):
    empty = detections() | {"num_detections": 0.0}
    assert_same_detections(empty, empty, BOX, SCORE)
    with pytest.raises(AssertionError, match="partner: wanted 0"):
        assert_same_detections(empty, detections(), BOX, SCORE)
    broken = changed(detections(), "detection_scores", 3, np.nan)
    with pytest.raises(AssertionError, match=r"found 3 .*wanted 3 "):
        assert_same_detections(broken, broken, BOX, SCORE)
    alike = detections(number=12) | {"detection_scores": np.full(12, 0.5)}
    with pytest.raises(AssertionError, match="above the cut-off"):
        assert_same_detections(alike, alike, BOX, SCORE)
