"""Ids of classes that a label map lacks."""

from pathlib import Path

import pytest

from odflow.errors import InputError
from odflow.formats.class_ids import UnknownIds

NAMES = {1: "red", 2: "blue"}


def line(*ids: int, names=NAMES) -> str:
    unknown = UnknownIds(Path("data/lm.pbtxt"), names)
    for one in ids:
        unknown.take([one])
    assert unknown.number == sum(one not in names for one in ids)
    return unknown.line()


@pytest.mark.parametrize("ids", [(), (1,), (1, 2, 2)])
def test_nothing_is_said_of_known_ids(ids):
    assert line(*ids) == ""


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ((1, 7, 7, 3), "3 of 4 detections have ids that lm.pbtxt (1 to 2) lacks: 3, 7. Is it the model's"),
        ((1, *range(3, 10)), "lacks: 3, 4, 5, 6, 7 and 2 more. Is it"),
        ((1, 0), "lacks: 0. Is it the model's label map? With an id of 0 the model seems to count"),
        ((-1, 2), "1 of 2 detections have ids that lm.pbtxt (1 to 2) lacks: -1."),
        ((2**40, 2), f"lacks: {2**40}."),
    ],
)
def test_unknown_ids_are_told_with_their_number(ids, says):
    assert says in line(*ids)


@pytest.mark.parametrize("ids", [(500, 501, 500, 501), (0,), (90,)])
def test_none_that_is_known_is_an_error(ids):
    with pytest.raises(InputError, match=f"{len(ids)} of {len(ids)} detections have ids that lm.pbtxt"):
        line(*ids)


def test_a_label_map_without_classes():
    with pytest.raises(InputError, match=r"lm\.pbtxt \(no class\) lacks: 1"):
        line(1, names={})
