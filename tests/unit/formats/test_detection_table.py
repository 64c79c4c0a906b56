"""Tables in chunks: the same rows, numbers, names and faults as of the table as a whole."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import TableError
from odflow.formats.by_image import by_image, parts_for
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detections import DetectionTable, read_detections
from odflow.ops.row_set import RowSet

HEADER = ",".join(COLUMNS)
WHOLE = 1 << 40
ROW = st.tuples(
    st.sampled_from(["a.jpg", "./a.jpg", "b/c.jpg", "d.jpg"]),
    st.sampled_from(["cat", "N/A", "red\ncar"]),
    st.sampled_from(["0", "1", "0.5"]),
    st.sampled_from(["1", "007", "2.50", "x", "", "True", "18446744073709551615"]),
)


def _line(name, kind, score, note):
    return f'{name},64,48,"{kind}",{score},1,2,3,4,{note}\n'


def _read(table):
    """All of it, as it comes when it is read again."""
    list(table)
    return pd.concat([boxes for boxes, _ in table])


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(ROW, max_size=9), size=st.integers(1, 10))
def test_chunks_are_the_whole_table(tmp_path_factory, rows, size):
    path = tmp_path_factory.getbasetemp() / "chunks.csv"
    path.write_text(f"{HEADER},note\n" + "".join(_line(*row) for row in rows))
    table, whole = DetectionTable(path, rows=size), _read(DetectionTable(path, rows=WHOLE))
    again = _read(table)
    pd.testing.assert_frame_equal(again[COLUMNS], whole[COLUMNS], check_exact=True)
    numbers = np.concatenate([images for _, images in table])
    assert [list(table.names)[number] for number in numbers] == whole["filename"].to_list()
    # Numbers beyond int64 beside others may stay the text that they were
    assert [str(value) for value in again["note"]] == [str(value) for value in whole["note"]] or any(
        len(row[3]) > 9 for row in rows
    )


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.sampled_from(["good", "x", "99", "score"]), max_size=40), size=st.integers(1, 41))
def test_faults_are_those_of_the_whole_table(tmp_path_factory, rows, size):
    lines = {
        "good": "a.jpg,64,48,cat,1,1,2,3,4\n",
        "x": "a.jpg,64,48,cat,1,x,2,3,4\n",
        "99": "\nb.jpg,64,48,cat,1,99,2,3,4\n",
        "score": '"c\nd.jpg",64,48,cat,7,1,2,3,4\n',
    }
    path = tmp_path_factory.getbasetemp() / "faults.csv"
    path.write_text(HEADER + "\n" + "".join(lines[row] for row in rows))

    def told(size):
        try:
            return _read(DetectionTable(path, rows=size)).to_csv()
        except TableError as error:
            return str(error)

    assert told(size) == told(WHOLE)


def test_no_chunk_is_given_after_a_wrong_row(tmp_path):
    (tmp_path / "t.csv").write_text(f"{HEADER}\n" + "".join(f"{i}.jpg,9,9,a,{i},1,1,2,2\n" for i in range(6)))
    seen = []
    with pytest.raises(TableError, match=r"t\.csv:4: 2\.jpg: score is 2; wanted 0 to 1"):
        seen.extend(len(boxes) for boxes, _ in DetectionTable(tmp_path / "t.csv", rows=1))
    assert seen == [1, 1]


@pytest.mark.parametrize("tail", [b"\xff.jpg,1,1,a,1,0,0,1,1\n", b"a.jpg,1,1,a,1,0,0,1,1,2,3\n", b'"a'])
def test_what_is_wrong_far_down_is_told(tmp_path, tail):
    good = b"a.jpg,640,480,cat,0.5,1,2,30,40\n" * 60_000
    (tmp_path / "t.csv").write_bytes(HEADER.encode() + b"\n" + good + tail)
    with pytest.raises(TableError, match=r"t\.csv:60002: is not UTF-8|is not a CSV table"):
        list(DetectionTable(tmp_path / "t.csv", rows=1000))


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_parquet_comes_in_chunks_too(tmp_path, rows):
    pytest.importorskip("pyarrow")
    values = [[f"{i % 3}.jpg", 9, 9, "a", 0.5, 1.0, 1.0, 2.0, 2.0, i if i < 5 else None] for i in range(7)]
    frame = pd.DataFrame(values, columns=[*COLUMNS, "note"])
    frame.to_parquet(tmp_path / "t.parquet")
    table = DetectionTable(tmp_path / "t.parquet", rows=rows)
    pd.testing.assert_frame_equal(_read(table), read_detections(tmp_path / "t.parquet"))
    frame.iloc[:0].to_parquet(tmp_path / "t.parquet")
    assert [len(boxes) for boxes, _ in DetectionTable(tmp_path / "t.parquet")] == [0]


@settings(max_examples=50, deadline=None)
@given(sets=st.lists(st.lists(st.integers(0, 300), max_size=20), max_size=4))
def test_a_row_set_holds_what_was_added(sets):
    rows = RowSet()
    for some in sets:
        rows.add(np.array(some, np.int64))
    held = rows.holds(np.arange(400))
    assert held.nonzero()[0].tolist() == sorted({row for some in sets for row in some})


@settings(max_examples=60, deadline=None)
@given(images=st.lists(st.integers(0, 9), max_size=30), parts=st.integers(1, 12), size=st.integers(1, 31))
def test_rows_of_an_image_come_together_in_their_order(tmp_path_factory, images, parts, size):
    frame = pd.DataFrame(dict.fromkeys(["score", "xmin", "ymin", "xmax", "ymax"], range(len(images))))
    frame["class"] = [f"class {image % 2}" for image in images]
    numbers = np.array(images, np.int64)
    chunks = [(frame[i : i + size], numbers[i : i + size]) for i in range(0, len(frame), size)]
    found = list(by_image(chunks, parts, tmp_path_factory.getbasetemp()))
    assert len(found) == parts
    for part in found:
        assert part.index.is_monotonic_increasing
        assert part["score"].to_list() == list(part.index)
    rows = [row for part in found for row in part.index]
    assert sorted(rows) == list(range(len(images)))
    together = [set(part["filename"]) for part in found]
    assert sum(map(len, together)) == len(set(images))


def test_a_long_table_has_more_parts():
    assert [parts_for(size) for size in (0, 1 << 24, 1 << 28, 1 << 50)] == [1, 2, 17, 100]
