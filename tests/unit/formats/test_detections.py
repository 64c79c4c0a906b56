import importlib.util

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import TableError
from odflow.formats.detections import COLUMNS, read_detections, write_detections

HEADER = ",".join(COLUMNS)
GOOD = "a.jpg,640,480,cat,0.5,1,2,30,40"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8)
NUMBER = st.floats(-1e6, 1e6, allow_nan=False)
SPAN = st.tuples(NUMBER, NUMBER).map(sorted)
ROW = st.tuples(TEXT, st.integers(1, 9000), st.integers(1, 9000), TEXT, st.floats(0, 1), SPAN, SPAN, TEXT)


@pytest.fixture
def read(tmp_path):
    def read_text(text: str) -> pd.DataFrame:
        path = tmp_path / "boxes.csv"
        path.write_bytes(text.encode())
        return read_detections(path)

    return read_text


def test_columns_have_one_order_and_one_type(read):
    table = read("note,xmin,class,filename,width,height,ymin,xmax,ymax\nx,1,None,007,640,480,2,3,4\n")
    assert list(table) == [*COLUMNS, "note"]
    assert table.iloc[0].to_list() == ["007", 640, 480, "None", 1.0, 1.0, 2.0, 3.0, 4.0, "x"]
    assert table.dtypes[["width", "height"]].eq("int64").all()
    assert table.dtypes[["score", "xmin", "ymin", "xmax", "ymax"]].eq("float64").all()


def test_a_class_may_be_called_like_a_missing_value(read):
    table = read(f"{HEADER}\na.jpg,1,1,N/A,1,0,0,1,1\nb.jpg,1,1,nan,1,0,0,1,1\n")
    assert table["class"].to_list() == ["N/A", "nan"]


def test_a_table_without_rows_is_a_table(read):
    assert len(read(HEADER + "\n")) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.jpg,640,480,cat,0.5,NaN,2,30,40", "xmin is NaN; wanted a number."),
        ("b.jpg,640,480,cat,,1,2,30,40", "score is empty; wanted a number."),
        ("b.jpg,640,480,cat,0.5,1,2,inf,40", "xmax is inf; wanted a number."),
        ("b.jpg,640,480,cat,0.5,1,2,x,40", "xmax is x; wanted a number."),
        ("b.jpg,640,480,cat,0.5,31,2,30,40", "the box has a negative size: xmin 31 is beyond xmax 30."),
        ("b.jpg,640,480,cat,0.5,1,41,30,40", "the box has a negative size: ymin 41 is beyond ymax 40."),
        ("b.jpg,0,480,cat,0.5,1,2,30,40", "width is 0; wanted a whole number above 0."),
        ("b.jpg,640,479.5,cat,0.5,1,2,30,40", "height is 479.5; wanted a whole number above 0."),
        ("b.jpg,640,480,cat,1.5,1,2,30,40", "score is 1.5; wanted 0 to 1."),
        ("b.jpg,640,480,,0.5,1,2,30,40", "class is empty; wanted a name."),
        ("../b.jpg,640,480,cat,0.5,1,2,30,40", "filename must be a name inside the images folder."),
        ("/b.jpg,640,480,cat,0.5,1,2,30,40", "filename must be a name inside the images folder."),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(read, row, message):
    text = f'{HEADER}\n"first\nline.jpg",9,9,cat,1,0,0,1,1\n\n{GOOD}\n{row}\n'
    with pytest.raises(TableError) as error:
        read(text)
    place, _, wrong = str(error.value).partition(f"{row.split(',')[0]}: ")
    assert place.endswith("boxes.csv:6: ")
    assert wrong == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER.replace('xmin', 'x_min')}\n{GOOD}", 'has no column "xmin". Did you mean "x_min"?'),
        ("", "is empty"),
        (f"{HEADER}\n{GOOD},1,2\n", "is not a CSV table|more values"),
        (f"{HEADER}\n{GOOD},1\n{GOOD},1\n", "more values"),
        (f'{HEADER}\n"{GOOD}', "is not a CSV table"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(read, text, message):
    with pytest.raises(TableError, match=message.replace("?", r"\?")):
        read(text)


def test_a_missing_file_and_bytes_that_are_not_utf8_are_refused(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        read_detections(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\n{GOOD}\n".encode() + b"\xe4.jpg,1,1,a,1,0,0,1,1\n")
    with pytest.raises(TableError, match="UTF-8"):
        read_detections(tmp_path / "latin.csv")


def _table(rows):
    rows = [(*row[:5], row[5][0], row[6][0], row[5][1], row[6][1], row[7]) for row in rows]
    kinds = {"filename": "str", "class": "str", "note": "str", "width": "int64", "height": "int64"}
    return pd.DataFrame(rows, columns=[*COLUMNS, "note"]).astype(kinds)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=5))
def test_what_is_written_reads_back_bit_for_bit(tmp_path_factory, suffix, rows):
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("needs pyarrow")
    table = _table(
        [(f"x{row[0]}".replace("..", "").replace(":", ""), *row[1:7], f"n{row[7]}") for row in rows]
    )
    path = tmp_path_factory.mktemp("table") / f"boxes{suffix}"
    write_detections(table, path)
    pd.testing.assert_frame_equal(read_detections(path), table, check_exact=True)


def test_whole_pixels_are_written_whole(tmp_path, read):
    write_detections(read(f"{HEADER}\n{GOOD}\n"), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == f"{HEADER}\n{GOOD}\n"


def test_parquet_without_pyarrow_says_what_to_do(tmp_path, monkeypatch, read):
    table = read(f"{HEADER}\n{GOOD}\n")
    monkeypatch.setattr("odflow.formats.detections.find_spec", lambda name: None)
    with pytest.raises(TableError, match=r"needs pyarrow\. Install it, or use a \.csv"):
        write_detections(table, tmp_path / "out.parquet")
    with pytest.raises(TableError, match="needs pyarrow"):
        read_detections(tmp_path / "out.parquet")
