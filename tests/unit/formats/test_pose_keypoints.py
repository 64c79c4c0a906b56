import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import TableError
from odflow.formats.keypoints import joint_columns, joints_of, read_keypoints, write_keypoints

JOINTS = ("nose", "left_wrist")
HEADER = "filename,person,width,height,nose_x,nose_y,nose_v,left_wrist_x,left_wrist_y,left_wrist_v"
GOOD = "a.jpg,0,640,480,1,2,2,3.5,4,1"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\:."), min_size=1, max_size=8)
NUMBER = st.floats(-1e6, 1e6, allow_nan=False)
KNOWN = st.tuples(NUMBER, NUMBER, st.sampled_from([1, 2]))
UNLABELLED = st.tuples(NUMBER | st.just(np.nan), NUMBER | st.just(np.nan), st.just(0))
PERSON = st.tuples(
    TEXT,
    st.integers(1, 9999) | st.just(np.nan),
    st.floats(0.01, 20) | st.just(np.nan),
    *[KNOWN | UNLABELLED] * 2,
)


@pytest.fixture
def read(tmp_path):
    def read_text(text, *more):
        path = tmp_path / "keypoints.csv"
        path.write_text(text)
        return read_keypoints(path, JOINTS, *more)

    return read_text


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@given(st.lists(PERSON, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory, suffix, people):
    columns = [column for joint in JOINTS for column in joint_columns(joint)]
    rows = [
        {"filename": name, "person": number, "width": side, "height": side, "scale": scale, "split": "test"}
        | dict(zip(columns, map(float, (*nose, *wrist)), strict=True))
        for number, (name, side, scale, nose, wrist) in enumerate(people)
    ]
    frame = pd.DataFrame(rows).astype({"width": "float64", "height": "float64", "scale": "float64"})
    path = tmp_path_factory.mktemp("table") / f"keypoints.{suffix}"
    write_keypoints(frame, path)
    again = read_keypoints(path, JOINTS)
    pd.testing.assert_frame_equal(again.reset_index(drop=True), frame, check_exact=True)


def test_joints_come_in_the_order_that_is_asked_for(read):
    table = read(f"{HEADER}\n{GOOD}\nb.jpg,0,,,,,0,-7,8,2\n")
    found = joints_of(table, ("left_wrist", "nose"))
    assert found.dtype == np.float32
    assert found.tolist() == [[[3.5, 4, 1], [1, 2, 2]], [[-7, 8, 2], [0, 0, 0]]]
    assert np.isnan(table["width"].iloc[1])


def test_other_columns_stay(read):
    columns = "note,nose_x,left_wrist_v,left_wrist_y,left_wrist_x,nose_v,nose_y,height,width,person,filename"
    table = read(f"{columns}\nhm,1,0,,,2,2,480,640,3,NA\n")
    assert list(table) == [*HEADER.split(","), "note"]
    assert table["filename"].item() == "NA"
    assert table["person"].item() == 3


def test_a_table_of_another_skeleton_is_told_by_its_joints(tmp_path):
    path = tmp_path / "keypoints.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(TableError) as caught:
        read_keypoints(path, ("nose", "neck", "pelvis"))
    assert str(caught.value) == (
        f"{path}: lacks 2 of the skeleton's 3 joints: neck, pelvis; it has left_wrist, which the skeleton "
        "lacks. Give the skeleton that the table was made with."
    )


WRONG = {
    "../b.jpg,0,1,1,1,2,2,3,4,1": "filename is no name inside the images folder",
    ",0,1,1,1,2,2,3,4,1": "filename is no name inside the images folder",
    "b.jpg,,1,1,1,2,2,3,4,1": "person is no whole number from 0",
    "b.jpg,0.5,1,1,1,2,2,3,4,1": "person is no whole number from 0",
    "b.jpg,0,0,1,1,2,2,3,4,1": "width is no whole number above 0",
    "b.jpg,0,1,1.5,1,2,2,3,4,1": "height is no whole number above 0",
    "b.jpg,0,1,1,x,2,2,3,4,1": "nose_x is no number",
    "b.jpg,0,1,1,inf,2,2,3,4,1": "nose_x is no number",
    "b.jpg,0,1,1,nan,2,2,3,4,1": "nose is labelled and has no coordinates (NaN)",
    "b.jpg,0,1,1,1,2,2,3,,1": "left_wrist is labelled and has no coordinates (NaN)",
    "b.jpg,0,1,1,1,2,2,3,-2e6,1": "left_wrist lies more than 1000000 pixels away",
    "b.jpg,0,1,1,1,2,3,3,4,1": "nose_v is not 0, 1 or 2",
    "b.jpg,0,1,1,1,2,,3,4,1": "nose_v is not 0, 1 or 2",
    "a.jpg,0,1,1,1,2,2,3,4,1": "the same person as in a row before",
}


@pytest.mark.parametrize(("row", "why"), WRONG.items())
def test_a_wrong_row_is_an_error_that_names_it(read, tmp_path, row, why):
    with pytest.raises(TableError) as caught:
        read(f"{HEADER}\n{GOOD}\n{row}\n")
    place = f"{tmp_path / 'keypoints.csv'}: row 2 ({row.partition(',')[0]})"
    assert str(caught.value) == f"{place}: {why}. Correct that row."


def test_wrong_rows_are_left_out_where_somebody_hears_of_them(read):
    heard = []
    rows = [row for row in WRONG if not row.startswith("a.jpg")]
    table = read("\n".join([HEADER, *rows, GOOD]), heard.append)
    assert table["filename"].to_list() == ["a.jpg"]
    assert table.index.to_list() == [len(rows) + 1]
    assert [fault.why for fault in heard] == [WRONG[row] for row in rows]


def test_a_table_of_nobody_is_a_table(read):
    assert len(read(HEADER + "\n")) == 0


@pytest.mark.parametrize("text", ["", "filename,person\n", "\x00\x01", f"{HEADER}\n{GOOD},9,9\n"])
def test_something_else_is_no_table(read, text):
    with pytest.raises(TableError):
        read(text)
