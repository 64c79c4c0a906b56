"""Average precision, F1 and confusion, against plain loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from odflow.ops.multilabel_metrics import (
    average_precision,
    confusions,
    decision_metrics,
    precision_recall,
    ranking_metrics,
)

shapes = st.tuples(st.integers(1, 20), st.integers(1, 4))


@st.composite
def answers(draw):
    """(N, C) truth and scores; few different scores, so that many are equal."""
    shape = draw(shapes)
    scores = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])))
    return draw(hnp.arrays(np.bool_, shape)), scores


def plain_average_precision(truth, scores):
    """The definition, one threshold at a time."""
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        said = [is_so for is_so, score in zip(truth, scores, strict=True) if score >= threshold]
        recall = sum(said) / sum(truth)
        area += (recall - recall_before) * sum(said) / len(said)
        recall_before = recall
    return area


@given(answers())
def test_average_precision_is_what_a_plain_loop_finds(both):
    for truth, scores in zip(*(table.T for table in both), strict=True):
        if truth.any():
            assert average_precision(truth, scores) == pytest.approx(plain_average_precision(truth, scores))
        else:
            assert average_precision(truth, scores) is None


@pytest.fixture(scope="module")
def scikit_learn():
    return pytest.importorskip("sklearn.metrics")


@given(both=answers())
def test_average_precision_is_scikit_learns(scikit_learn, both):
    for truth, scores in zip(*(table.T for table in both), strict=True):
        if truth.any():
            wanted = scikit_learn.average_precision_score(truth, scores)
            assert average_precision(truth, scores) == pytest.approx(wanted)


@given(answers(), st.randoms())
def test_the_order_of_the_images_changes_nothing(both, random):
    truth, scores = both
    order = random.sample(range(len(truth)), len(truth))
    names = [str(place) for place in range(truth.shape[1])]
    one, other = ranking_metrics(truth, scores, names), ranking_metrics(truth[order], scores[order], names)
    assert one == pytest.approx(other)


@given(answers())
def test_only_the_ranking_counts(both):
    truth, scores = both
    names = [str(place) for place in range(truth.shape[1])]
    logits = 7 * scores - 3
    assert ranking_metrics(truth, logits, names) == pytest.approx(ranking_metrics(truth, scores, names))


def test_a_ranking_by_hand():
    truth, scores = np.array([1, 0, 1, 1], bool), np.array([0.9, 0.8, 0.7, 0.1])
    precision, recall = precision_recall(truth, scores)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 3 / 4])
    np.testing.assert_allclose(recall, [1 / 3, 1 / 3, 2 / 3, 1])
    assert average_precision(truth, scores) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_scores_that_say_nothing_are_worth_the_share_of_the_class():
    truth = np.array([1, 0, 0, 0, 1], bool)
    assert average_precision(truth, np.full(5, 0.5)) == pytest.approx(2 / 5)


@given(answers(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]))
def test_counts_are_those_of_a_plain_loop(both, threshold):
    truth, scores = both
    for column, found in enumerate(confusions(truth, scores, threshold)):
        counted = {(True, True): 0, (False, True): 0, (True, False): 0, (False, False): 0}
        for is_so, score in zip(truth[:, column].tolist(), scores[:, column], strict=True):
            counted[is_so, bool(score >= threshold)] += 1
        assert found == tuple(counted.values())
        positives = found.true_positives + found.false_negatives
        if not positives:
            assert found.f1 is None
        elif found.true_positives:
            precision = found.true_positives / (found.true_positives + found.false_positives)
            recall = found.true_positives / positives
            assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))
        else:
            assert found.f1 == 0


def test_a_class_that_never_occurs_has_no_ap_and_is_in_no_mean():
    truth = np.array([[1, 0], [0, 0], [1, 0]], bool)
    scores = np.array([[0.9, 0.9], [0.2, 0.1], [0.4, 0.1]])
    assert ranking_metrics(truth, scores, ["cat", "dog"]) == {"mAP": 1, "AP/cat": 1, "AP/dog": None}
    found = decision_metrics(truth, scores, ["cat", "dog"], 0.5)
    assert (found["F1"], found["F1/cat"], found["F1/dog"]) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        None,
    )
    assert (found["false_positives/dog"], found["true_negatives/dog"]) == (1, 2)
    assert ranking_metrics(truth[:, 1:], scores[:, 1:], ["dog"])["mAP"] is None
    assert decision_metrics(truth[:, 1:], scores[:, 1:], ["dog"], 0.5)["F1"] is None
