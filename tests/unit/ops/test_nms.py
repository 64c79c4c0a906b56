import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.ops.nms import suppress

SPAN = st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda span: (span[0], span[0] + span[1]))
ROW = st.tuples(SPAN, SPAN, st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from("ab"))
ROWS = st.lists(ROW, max_size=8)


def brute_force(boxes, scores, limit, classes):
    """The definition: go through the boxes in turn, and compare each with every kept one, by area counts."""

    def overlap(one, other):
        grid = np.zeros((2, 20, 20), bool)
        for layer, (xmin, ymin, xmax, ymax) in zip(grid, (one, other), strict=True):
            layer[int(ymin) : int(ymax), int(xmin) : int(xmax)] = True
        return (grid[0] & grid[1]).sum() / (grid[0] | grid[1]).sum()

    kept = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        rivals = [other for other in kept if classes is None or classes[other] == classes[index]]
        if all(overlap(boxes[index], boxes[other]) <= limit for other in rivals):
            kept.append(index)
    return [index in kept for index in range(len(boxes))]


@settings(deadline=None)
@given(ROWS, st.floats(0, 1), st.booleans())
def test_keeps_what_the_definition_keeps(rows, limit, by_class):
    boxes = np.array([(x[0], y[0], x[1], y[1]) for x, y, _, _ in rows], float).reshape(-1, 4)
    scores = np.array([row[2] for row in rows])
    classes = np.array([row[3] for row in rows]) if by_class else None
    assert suppress(boxes, scores, limit, classes).tolist() == brute_force(boxes, scores, limit, classes)
