import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from odflow.errors import InputError
from odflow.formats.encoding import EncodedImage
from odflow.formats.example import encode_example
from odflow.heads.pose.person import Person, decode, encode, people_of_table

JOINTS = ("nose", "neck", "left_wrist")
IMAGE = EncodedImage(b"\xff\xd8 a photograph", "jpeg", 200, 100)


def person_of(joints, **facts):
    columns = [f"{joint}_{axis}" for joint in JOINTS for axis in "xyv"]
    row = {"filename": "a.jpg", "person": 2, "width": np.nan, "height": np.nan} | facts
    row |= dict(zip(columns, np.ravel(joints).astype(float), strict=True))
    (person,) = people_of_table(pd.DataFrame([row]), JOINTS)
    return person


def test_what_the_annotation_says_counts():
    person = person_of(
        [[1, 2, 2], [3, 4, 1], [0, 0, 0]],
        **{"xmin": 10, "ymin": 20, "xmax": 50, "ymax": 90, "center_x": 7, "center_y": 8},
        **{"scale": 1.5, "head_size": 12.5, "width": 200, "height": 100},
    )
    assert person.box_xyxy.tolist() == [10, 20, 50, 90]
    assert person.center.tolist() == [7, 8]
    assert (person.scale, person.head_size, person.width, person.height) == (1.5, 12.5, 200, 100)
    assert person.fault is None


def test_the_labelled_joints_say_what_the_annotation_leaves_open():
    person = person_of(
        [[10, 20, 2], [110, -60, 1], [999, 999, 0]], scale=np.nan, xmin=5, ymin=5, xmax=5, ymax=5
    )
    assert person.box_xyxy.tolist() == [10, -60, 110, 20]
    assert person.center.tolist() == [60, -20]
    assert (person.scale, person.head_size, person.width) == (0.5, 0, None)


@pytest.mark.parametrize(
    ("joints", "facts", "fault"),
    [
        ([[1, 2, 0], [3, 4, 0], [5, 6, 0]], {}, "no joint is labelled"),
        ([[1, 2, 2], [1.5, 2, 2], [50, 60, 0]], {}, "the crop around the joints is smaller than a pixel"),
        ([[1, 2, 2], [1.5, 2, 2], [50, 60, 0]], {"scale": 0.1}, None),
        ([[1, 2, 2], [0, 0, 0], [0, 0, 0]], {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}, None),
        ([[1, 2, 2], [2, 2, 2], [0, 0, 0]], {"scale": 0.001}, None),
    ],
)
def test_a_person_that_teaches_nothing_has_a_fault(joints, facts, fault):
    assert person_of(joints, **facts).fault == fault


PLACES = st.floats(-500, 500, width=32)
PEOPLE = st.builds(
    Person,
    filename=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    number=st.integers(0, 9999),
    width=st.just(IMAGE.width),
    height=st.just(IMAGE.height),
    joints=arrays.arrays(np.float32, (3, 2), elements=PLACES).flatmap(
        lambda xy: st.lists(st.integers(0, 2), min_size=3, max_size=3).map(
            lambda v: np.column_stack([xy, np.array(v, np.float32)])
        )
    ),
    box_xyxy=st.just(np.array([10.0, 20, 110, 70])),
    center=arrays.arrays(np.float64, 2, elements=PLACES),
    scale=st.floats(0.015625, 50, width=32),
    head_size=st.floats(0, 500, width=32),
)


@given(PEOPLE)
@settings(max_examples=60, deadline=None)
def test_a_person_that_is_encoded_is_decoded_again(person):
    again, data, joints = decode(b"".join(encode(person, IMAGE, JOINTS)))
    assert (data, joints) == (IMAGE.data, list(JOINTS))
    for field in dataclasses.fields(Person):
        was, found = getattr(person, field.name), getattr(again, field.name)
        if isinstance(was, np.ndarray):
            np.testing.assert_allclose(found, was, atol=1e-4)
        else:
            assert found == was


def test_joints_outside_stay_outside_and_the_box_ends_at_the_border():
    person = person_of([[-20, 50, 2], [220, -10, 1], [-30, -40, 0]])
    again, *_ = decode(b"".join(encode(person, IMAGE, JOINTS)))
    np.testing.assert_allclose(again.joints, person.joints, rtol=1e-6)
    np.testing.assert_allclose(again.box_xyxy, [0, 0, 200, 50])


@pytest.mark.parametrize("size", [{"width": 201}, {"height": 99}])
def test_a_table_of_another_size_is_refused(size):
    person = person_of([[1, 2, 2]] * 3, **({"width": 200, "height": 100} | size))
    with pytest.raises(InputError, match=r"pixels, the image is 200x100"):
        encode(person, IMAGE, JOINTS)


def test_another_example_is_no_person():
    with pytest.raises(InputError, match="image/width"):
        decode(encode_example({"image/encoded": [b""]}))
