"""When two lists of detections are one: the comparison, without a model."""

import numpy as np
import pytest

from odflow.inference.detections import Detections

pytest.importorskip("tensorflow")

IMAGE = np.zeros((100, 200, 3), np.uint8)


def detections(*rows):
    boxes, scores, classes = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    )
    return Detections.by_score(
        np.reshape(boxes, (-1, 4)).astype(np.float32), np.array(scores, np.float32), np.array(classes, int)
    )


def compare(wanted, given, closeness, full=False):
    from odflow.training.export import check as export_check

    expected = export_check.Expected(IMAGE, detections(*wanted), full)
    found = export_check._compare(expected, detections(*given), getattr(export_check, closeness))
    return found.same, found.detections


BOX = (0.1, 0.1, 0.5, 0.5)
OTHER = (0.6, 0.6, 0.9, 0.9)


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ((BOX, 0.9, 1), True),
        ((BOX, 0.90005, 1), True),
        ((BOX, 0.901, 1), False),
        ((BOX, 0.9, 2), False),
        (((0.104, 0.1, 0.5, 0.5), 0.9, 1), True),  # 0.4 pixels of 100
        (((0.1, 0.104, 0.5, 0.5), 0.9, 1), False),  # 0.8 of 200
    ],
)
def test_the_same_detection(given, same):
    assert compare([(BOX, 0.9, 1)], [given], "EXACT") == (int(same), 1)


def test_what_the_file_has_too_many_counts():
    assert compare([(BOX, 0.9, 1)], [(BOX, 0.9, 1), (OTHER, 0.8, 1)], "EXACT") == (1, 2)
    assert compare([], [(BOX, 0.9, 1)], "EXACT") == (0, 1)
    assert compare([], [], "EXACT") == (0, 0)
    assert compare([(BOX, 0.9, 1)], [], "EXACT") == (0, 1)


def test_what_may_have_fallen_off_a_full_list_does_not_count():
    wanted = [(BOX, 0.9, 1), (OTHER, 0.3, 1)]
    assert compare(wanted, [(BOX, 0.9, 1), (OTHER, 0.2999, 2)], "EXACT", full=True) == (1, 1)


def test_where_nothing_stands_out_scores_alone_are_compared():
    wanted = [(BOX, 0.01, 1), (OTHER, 0.01, 1)]
    assert compare(wanted, [(OTHER, 0.01, 2), (OTHER, 0.01, 2)], "EXACT", full=True) == (2, 2)
    assert compare(wanted, [(OTHER, 0.5, 2), (OTHER, 0.01, 2)], "EXACT", full=True) == (1, 2)


def test_int8_is_looked_at_where_it_is_sure():
    wanted = [(BOX, 0.9, 1), (OTHER, 0.5, 2), (OTHER, 0.2, 1)]
    near = (0.12, 0.1, 0.5, 0.55)
    assert compare(wanted, [(near, 0.8, 1), (OTHER, 0.6, 2)], "QUANTIZED") == (2, 2)
    assert compare(wanted, [(near, 0.6, 1), (OTHER, 0.6, 1)], "QUANTIZED") == (0, 2)
