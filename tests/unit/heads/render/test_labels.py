import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import find_objects

from odflow.heads.render.labels import IGNORED, Seen, boxes_of, mask_of, visibility_of

pictures = arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(1, 9)), elements=st.integers(-1, 3))


def seen(instances, own=None):
    shown = [int((instances == number).sum()) for number in range(4)]
    return Seen(instances, np.array(shown if own is None else own))


@settings(deadline=None)
@given(pictures)
def test_boxes_are_the_extents_of_what_is_visible(instances):
    """Against SciPy, which has its own way to find them."""
    found = {box.instance: box for box in boxes_of(seen(instances), 0.5)}
    slices = find_objects(instances + 1, max_label=4)
    assert set(found) == {number for number, where in enumerate(slices) if where is not None}
    for number, box in found.items():
        rows, columns = slices[number]
        assert box.xyxy == (columns.start, rows.start, columns.stop, rows.stop)
        assert box.area == (instances == number).sum()
        assert box.visible == 1


def test_what_is_hidden_has_no_box_and_is_ignored_in_the_mask():
    shown = np.array([[0, 0, -1], [1, 2, 2]])
    hidden = seen(shown, own=[2, 4, 9, 5])
    assert [box.instance for box in boxes_of(hidden, 0.25)] == [0, 1]
    assert [box.instance for box in boxes_of(hidden, 0.26)] == [0]
    mask = mask_of(hidden, boxes_of(hidden, 0.25), [7, 8, 9, 7])
    assert mask.tolist() == [[7, 7, 0], [8, IGNORED, IGNORED]]
    assert mask.dtype == np.uint8


def test_an_object_out_of_sight_has_no_box_even_if_all_are_wanted():
    assert boxes_of(seen(np.full((2, 2), -1), own=[0, 5, 0, 0]), 0) == []


def test_joints_are_visible_hidden_or_outside():
    body = np.array([[True, False], [True, True]])
    places = {"a": (0.9, 0.9), "b": (1.0, 0.0), "c": (0.0, 1.5), "d": (2.0, 0.0), "e": (-0.1, 1.0)}
    joints = {joint: (*place, 3.0) for joint, place in places.items()} | {"f": (0.9, 0.9, -3.0)}
    hidden = dict.fromkeys(joints, False) | {"c": True}
    assert visibility_of(joints, hidden, body) == {"a": 2, "b": 1, "c": 1, "d": 0, "e": 0, "f": 0}
