"""The matchers against their rules, anchor by anchor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odflow.training.settings import Matcher

tf = pytest.importorskip("tensorflow")

# Few values, so that ties and thresholds that are met exactly come up.
SIMILARITY = st.tuples(st.integers(0, 5), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
)


def by_argmax(similarity, valid, matcher):
    rows, columns = similarity.shape
    if not rows:
        return [-1] * columns
    below, between = (-1, -2) if matcher.negatives_below else (-2, -1)
    matches = []
    for column in similarity.T:
        best = int(column.argmax())
        value = column[best]
        if value < matcher.unmatched:
            best = below
        elif value < matcher.matched:
            best = between
        matches.append(best)
    if matcher.force_match:
        for row in reversed(range(rows)):
            if valid[row]:
                matches[int(similarity[row].argmax())] = row
    return matches


def by_pairs(similarity, valid):
    left = {(r, c): similarity[r, c] for r, c in np.ndindex(*similarity.shape) if valid[r]}
    matches = [-1] * similarity.shape[1]
    while left:
        row, column = max(left, key=lambda pair: (left[pair], -pair[0], -pair[1]))
        matches[column] = row
        left = {(r, c): value for (r, c), value in left.items() if r != row and c != column}
    return matches


def check(similarity, valid, matcher, expected):
    from odflow.training.detection.matching import match

    assert match(tf.constant(similarity), tf.constant(valid), matcher).numpy().tolist() == list(expected)


@settings(deadline=None, max_examples=150)
@given(SIMILARITY, st.data(), st.booleans(), st.booleans())
def test_argmax_matching_is_that_of_the_rule(similarity, data, negatives_below, force):
    unmatched, matched = data.draw(st.sampled_from([(0.5, 0.5), (0.25, 0.75), (0.0, 0.0), (0.5, 1.0)]))
    valid = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(similarity), max_size=len(similarity))), bool
    )
    matcher = Matcher("argmax", matched, unmatched, negatives_below, force)
    check(similarity, valid, matcher, by_argmax(similarity, valid, matcher))


@settings(deadline=None, max_examples=60)
@given(SIMILARITY, st.data())
def test_bipartite_matching_takes_the_best_pairs_first(similarity, data):
    valid = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(similarity), max_size=len(similarity))), bool
    )
    check(similarity, valid, Matcher("bipartite"), by_pairs(similarity, valid))


@settings(deadline=None, max_examples=50)
@given(SIMILARITY.filter(lambda matrix: 0 < matrix.shape[0] <= matrix.shape[1]))
def test_every_box_whose_best_anchor_no_other_wants_gets_it_by_force(similarity):
    from odflow.training.detection.matching import match

    best = similarity.argmax(1)
    found = match(
        tf.constant(similarity), tf.ones(len(similarity), tf.bool), Matcher(force_match=True)
    ).numpy()
    for row, column in enumerate(best):
        if (best == column).sum() == 1:
            assert found[column] == row


def test_ignored_thresholds_give_every_anchor_its_best_box():
    check(np.float32([[0.0, 0.1], [0.0, 0.2]]), [True, True], Matcher(matched=0.0, unmatched=0.0), [0, 1])
