import importlib.util
from contextlib import suppress

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import TableError
from odflow.formats.detection_writer import write_detections
from odflow.formats.detections import (
    COLUMNS,
    check_pixels,
    names_below,
    read_detections,
)

HEADER = ",".join(COLUMNS)
GOOD = "a.jpg,640,480,cat,0.5,1,2,30,40"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=8)
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
    table = _table([(f"x{row[0]}".translate(dict.fromkeys(b"/.:")), *row[1:7], f"n{row[7]}") for row in rows])
    path = tmp_path_factory.mktemp("table") / f"boxes{suffix}"
    write_detections(table, path)
    pd.testing.assert_frame_equal(read_detections(path), table, check_exact=True)


def test_whole_pixels_are_written_whole(tmp_path, read):
    write_detections(read(f"{HEADER}\n{GOOD}\n"), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == f"{HEADER}\n{GOOD}\n"


def test_parquet_without_pyarrow_says_what_to_do(tmp_path, monkeypatch, read):
    table = read(f"{HEADER}\n{GOOD}\n")
    monkeypatch.setattr("odflow.formats.parquet_table.find_spec", lambda name: None)
    with pytest.raises(TableError, match=r"needs pyarrow\. Install it, or use a \.csv"):
        write_detections(table, tmp_path / "out.parquet")
    with pytest.raises(TableError, match="needs pyarrow"):
        read_detections(tmp_path / "out.parquet")


PLAIN = "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,64,48,cat,5,6,30,40\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", " , "),
        PLAIN.replace(",", " ,").replace("\n", " \n"),
        PLAIN.replace("\n", "\r\n"),
        "\n\n" + PLAIN,
        PLAIN.replace("cat", '"cat"').replace("0.jpg", '"0.jpg"'),
        "\ufeff" + PLAIN,
        "\ufeff" + PLAIN.replace(",", ";"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.rstrip("\n"),
        PLAIN.replace("64,48", "64.0,48.0"),
    ],
)
def test_csv_files_as_programs_write_them_hold_the_same_table(tmp_path, data):
    path = tmp_path / "boxes.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    table = read_detections(path)
    assert table.iloc[0].to_list() == ["0.jpg", 64, 48, "cat", 1.0, 5.0, 6.0, 30.0, 40.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images/0.jpg,5,6,30,40,cat\n", "looks like RetinaNet's annotations, which have no header line"),
        ("images/0.jpg,,,,,\nb.jpg,1,2,3,4,cat\n", "looks like RetinaNet's"),
        ("UNASSIGNED,gs://b/0.jpg,cat,0.1,0.1,,,0.5,0.5,,\n", "looks like AutoML's"),
        ("VALIDATION,b.jpg,cat,0.1,0.1,,,0.5,0.5,,\n", "looks like AutoML's"),
        ("ImageID,LabelName,XMin,XMax,YMin,YMax\n0,/m/1,0,1,0,1\n", "looks like Open Images'"),
        (
            "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
            'region_attributes\na.jpg,1,{},1,0,"{}","{}"\n',
            "looks like a table of the VGG Image Annotator",
        ),
        ('image_id,width,height,bbox,source\na,64,48,"[1, 2, 3, 4]",x\n', "a column of whole boxes"),
        ("0.jpg,64,48,cat,5,6,30,40\n", "has no header line: its first line holds numbers"),
        ("image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,3,4,cat\n", 'has no column "filename"'),
        ("\0\0\0\0", "is empty"),
        ("\ufeff\n", "is empty"),
    ],
)
def test_tables_of_others_are_told_by_name(read, text, message):
    with pytest.raises(TableError, match=message):
        read(text)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gbk", "shift_jis", "euc-kr"])
def test_text_that_is_not_utf8_is_told_with_its_line(tmp_path, encoding):
    text = {"gbk": "\u6c7d\u8f66", "shift_jis": "\u732b", "euc-kr": "\uace0"}.get(encoding, "café")
    (tmp_path / "boxes.csv").write_bytes(f"{HEADER}\n{GOOD}\n{GOOD.replace('cat', text)}\n".encode(encoding))
    with pytest.raises(TableError, match=r"boxes\.csv:3: is not UTF-8 text .* Save the table as UTF-8"):
        read_detections(tmp_path / "boxes.csv")


def test_every_bad_row_is_told_up_to_ten(read):
    rows = [f"{i}.jpg,640,480,cat,0.5,{'x' if i % 2 else 99},2,30,40" for i in range(14)]
    with pytest.raises(TableError) as error:
        read("\n".join([HEADER, GOOD, *rows]))
    lines = str(error.value).splitlines()
    assert len(lines) == 11
    assert lines[0].endswith("boxes.csv:3: 0.jpg: the box has a negative size: xmin 99 is beyond xmax 30.")
    assert lines[9].endswith("boxes.csv:12: 9.jpg: xmin is x; wanted a number.")
    assert lines[10] == "... and 4 more of this kind."


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("/data/set/images/a/0.jpg", "a/0.jpg"),
        ("images\\a\\0.jpg", "a/0.jpg"),
        ("C:\\Users\\me\\images\\1.jpg", "1.jpg"),
        ("images/1.jpg", "1.jpg"),
        ("./1.jpg", None),
        ("1.jpg ", "1.jpg"),
        ("../images/1.jpg", "1.jpg"),
        ("\\\\server\\share\\1.jpg", "1.jpg"),
        ("a/0.jpg", None),
        ("none.jpg", None),
        ("/etc/passwd", None),
        ("b\\c.jpg", None),
    ],
)
def test_names_are_brought_below_the_images(tmp_path, written, found):
    images = tmp_path / "images"
    for name in ("a/0.jpg", "1.jpg", "b\\c.jpg"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).touch()
    assert names_below([written], images) == ({written: found} if found else {})


@pytest.mark.parametrize(
    ("boxes", "shares"),
    [
        (["0.125,0.25,0.5,0.75"], "all"),
        (["0,0,1,1"], "all"),
        (["0.1,0.1,0.2,0.2", "0,0,1,0.5"], "all"),
        (["0,0,0,0"], 0),
        (["0,0,30,40"], 0),
        (["0,0,30,40", "0,0,1,1"], 0),
        (["0,0,30,40", "0.1,0.2,0.3,0.4"], 1),
        (["-0.1,0.2,0.3,0.4"], 0),
        ([], 0),
    ],
)
def test_silent_shares_where_pixels_are_meant_are_found(read, tmp_path, boxes, shares):
    table = read("\n".join([HEADER, *(f"a.jpg,640,480,cat,1,{box}" for box in boxes)]))
    if shares == "all":
        with pytest.raises(
            TableError, match=r"t\.csv: all boxes \(\d\) lie within 0 to 1 in images of 640x480"
        ):
            check_pixels(tmp_path / "t.csv", table)
    else:
        assert len(check_pixels(tmp_path / "t.csv", table)) == shares


def test_boxes_of_tiny_images_are_no_shares(read, tmp_path):
    assert check_pixels(tmp_path, read(f"{HEADER}\na.jpg,2,2,cat,1,0,0,1,1\n")) == []


BYTES = st.binary(max_size=80) | st.lists(
    st.sampled_from([HEADER.encode(), GOOD.encode(), b"\n", b",", b'"', b"\xff\xfe", b"\xef\xbb\xbf", b"\0"])
    | st.binary(max_size=6),
    max_size=12,
).map(b"".join)


@settings(max_examples=2000, deadline=None)
@given(data=BYTES)
def test_whatever_a_file_holds_it_is_a_table_or_a_table_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(data)
    with suppress(TableError):
        assert list(read_detections(path))[: len(COLUMNS)] == COLUMNS


@pytest.mark.parametrize("cell", [["a.jpg"], 7, None, b"a.jpg", 1.5])
@pytest.mark.parametrize("column", ["filename", "class"])
def test_parquet_cell_that_is_no_text_is_refused_by_row(tmp_path, column, cell):
    pytest.importorskip("pyarrow")
    row = {"width": 9, "height": 9, "score": 0.5, "xmin": 1, "ymin": 1, "xmax": 2, "ymax": 2}
    texts = {"filename": "a.jpg", "class": "cat"} | {column: cell}
    pd.DataFrame([row | texts]).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=rf"t\.parquet:1: .*{column} is .*; wanted a text"):
        read_detections(tmp_path / "t.parquet")
