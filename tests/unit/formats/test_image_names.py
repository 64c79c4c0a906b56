"""One picture, one name: whatever way a table or a list writes it."""

import os
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from odflow.errors import InputError, TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detection_writer import DetectionWriter, write_detections
from odflow.formats.detections import read_detections
from odflow.formats.image_list import list_lines, listed_names, read_image_list, write_image_list
from odflow.formats.image_names import (
    FolderNames,
    alike,
    list_fault,
    merge_alike,
    name_inside,
    names_below,
)
from odflow.formats.image_search import search_images
from odflow.formats.images_seen import read_images_seen

HEADER = ",".join(COLUMNS)
WAYS = ["./{}", ".//{}", "{}/", "././{}", "{}/.", "./{}//"]
COMPOSED, APART = "bü.jpg", "bu\u0308.jpg"
PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.lists(PLAIN.map(name_inside).filter(bool), min_size=1, max_size=6, unique=True)
TRICKY = [
    "a\rb",
    'a"b',
    "a,b",
    "\ufeffa",
    "#a",
    "=1+1",
    " a ",
    "a\x85b",
    "a\u2028b",
    "a\n",
    "NA",
    "a;b",
    "\ta",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["a.jpg", "sub/a.jpg", "a b.jpg"])
def test_ways_to_write_a_name_are_one_name(way, name):
    assert name_inside(way.format(name)) == name


@pytest.mark.parametrize(
    "name", ["", ".", "./", "//", "/a", "..", "sub/../a.jpg", "./../a", "a\0b", "C:/a", "\ud800.jpg", None, 7]
)
def test_what_is_no_name_inside_a_folder_is_none(name):
    assert name_inside(name) is None


@given(name=st.text(max_size=12))
def test_the_one_form_stays_as_it_is(name):
    inside = name_inside(name)
    assert inside is None or name_inside(inside) == inside


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_knows_one_picture_by_one_name(tmp_path, suffix):
    ways = ["a.jpg", *(way.format("a.jpg") for way in WAYS)]
    rows = [(name, 9, 9, "cat", 1.0, 0, 0, 5, 5) for name in ways]
    path = tmp_path / f"boxes{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    write_detections(pd.DataFrame(rows, columns=COLUMNS), path)
    table = read_detections(path)
    assert (len(table), set(table["filename"])) == (len(ways), {"a.jpg"})
    assert table.attrs["renamed"] == dict.fromkeys(ways[1:], "a.jpg")


def test_a_list_and_the_images_that_were_seen_know_one_picture_by_one_name(tmp_path):
    ways = ["a.jpg", *(way.format("a.jpg") for way in WAYS)]
    (tmp_path / "a.jpg").touch()
    (tmp_path / "list.txt").write_text("\n".join(ways))
    (tmp_path / "seen.csv").write_text("filename,status\n" + "".join(f"{name},ok\n" for name in ways))
    assert read_image_list(tmp_path / "list.txt", tmp_path) == ["a.jpg"]
    assert listed_names(tmp_path / "list.txt") == ["a.jpg"]
    assert read_images_seen(tmp_path / "list.txt") == ["a.jpg"]
    assert read_images_seen(tmp_path / "seen.csv") == ["a.jpg"]


@pytest.mark.parametrize("there", [COMPOSED, APART])
def test_an_accent_is_read_in_the_form_that_the_folder_has(tmp_path, there):
    (tmp_path / there).touch()
    for written in (COMPOSED, APART, f"./{COMPOSED}"):
        assert FolderNames(tmp_path).find(name_inside(written)) == there
        (tmp_path / "list.txt").write_text(f"{written}\n")
        assert read_image_list(tmp_path / "list.txt", tmp_path) == [there]
    assert set(names_below([COMPOSED, APART], tmp_path).values()) == {there}


def test_names_that_are_two_files_stay_two(tmp_path):
    for name in (COMPOSED, APART, "A.JPG", "a.jpg"):
        (tmp_path / name).write_text(name)
    if len(list(tmp_path.iterdir())) < 4:
        pytest.skip("this file system takes them for one")
    assert names_below([COMPOSED, APART, "A.JPG", "a.jpg"], tmp_path) == {}
    assert merge_alike(tmp_path, [COMPOSED, APART, "A.JPG", "a.jpg"]) == {}


def test_another_case_alone_is_another_file_where_the_file_system_says_so(tmp_path):
    (tmp_path / "a.jpg").touch()
    if (tmp_path / "A.JPG").exists():
        pytest.skip("this file system takes them for one")
    assert FolderNames(tmp_path).find("A.JPG") is None


@pytest.fixture
def one_file_of_two_names(tmp_path):
    """What a file system that ignores case does: both names are the file (here by a hard link)."""
    images = tmp_path / "images"
    (images / "x").mkdir(parents=True)
    (images / "x/a.jpg").write_bytes(b"\xff\xd8\xff")
    os.link(images / "x/a.jpg", images / "x/A.JPG")
    return images


def test_names_of_one_file_that_differ_in_case_are_one_picture(one_file_of_two_names, tmp_path):
    images = one_file_of_two_names
    assert names_below(["x/a.jpg", "x/A.JPG"], images) == {"x/a.jpg": "x/A.JPG"}
    (tmp_path / "list.txt").write_text("x/a.jpg\nx/A.JPG\n")
    assert read_image_list(tmp_path / "list.txt", images) == ["x/A.JPG"]
    found = search_images(images)
    assert [image.name for image in found.images] == ["x/A.JPG"]
    assert [(left.name, list(left.names)) for left in found.left_out] == [("images_named_twice", ["x/a.jpg"])]


def test_the_spelling_of_the_folder_counts_where_case_is_ignored(one_file_of_two_names, monkeypatch):
    # Such a file system lists the file once and opens it by either name.
    known = FolderNames(one_file_of_two_names)
    monkeypatch.setattr(
        "odflow.formats.image_names._listing",
        lambda folder: {alike(name): [name] for name in (["a.jpg"] if folder.name == "x" else ["x"])},
    )
    assert known.find("x/A.JPG") == known.find("x/a.jpg") == "x/a.jpg"


UNFIT = {
    b"not-utf8-\xff.jpg": "is not UTF-8",
    b"line\nend.jpg": "holds a line end",
    b"line\rend.jpg": "holds a line end",
    b" blank.jpg": "begins or ends with a blank",
    b"blank.jpg ": "begins or ends with a blank",
    "blank.jpg\x85".encode(): "begins or ends with a blank",
    b"#a.jpg": "begins with #",
    "\ufeffa.jpg".encode(): "byte order mark",
}


@pytest.mark.parametrize("name", UNFIT, ids=ascii)
def test_an_image_whose_name_no_list_can_hold_is_left_out_counted_and_named(tmp_path, name):
    for one in (name, b"ok.jpg"):
        (tmp_path / os.fsdecode(one)).write_bytes(b"\xff\xd8\xff")
    found = search_images(tmp_path)
    assert [image.name for image in found.images] == ["ok.jpg"]
    (left,) = found.left_out
    assert (left.name, left.number) == ("images_with_unfit_names", 1)
    assert UNFIT[name] in str(left)
    assert len(str(left).splitlines()) == 1
    str(left).encode()
    with pytest.raises(InputError, match="cannot hold this name"):
        write_image_list(tmp_path / "list.txt", [os.fsdecode(name)])


@settings(deadline=None)
@given(names=NAMES)
@example(names=["a\x85b", "a\u2028b.jpg", "a\x0bb", "a\x1cb", "a#"])
def test_a_list_is_read_as_it_was_written(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "round_trip.txt"
    held = [name for name in names if list_fault(name) is None]
    write_image_list(path, held)
    assert [line for _, line in list_lines(path)] == listed_names(path) == held
    for name in set(names) - set(held):
        with pytest.raises(InputError):
            write_image_list(path, [name])


@settings(deadline=None)
@given(names=NAMES, label=PLAIN, note=PLAIN)
@example(names=TRICKY, label="a\rb", note='x"\r\n')
@example(names=["a"], label="\r", note="\n")
def test_a_table_is_read_as_it_was_written(tmp_path_factory, names, label, note):
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    rows = [(name, 9, 8, label, 0.5, 1, 2, 3.25, 4, f"n{note}") for name in names]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "note"]).astype(dict.fromkeys(("filename", "class"), "str"))
    write_detections(table, path)
    read = read_detections(path)
    assert read[["filename", "class", "note"]].to_numpy().tolist() == [
        [name, label, f"n{note}"] for name in names
    ]
    write_detections(read, path)  # as the next stage does
    assert read_detections(path).equals(read)


def test_what_a_detector_writes_is_read_as_it_was_written(tmp_path):
    names = [name for name in map(name_inside, TRICKY) if name]
    with DetectionWriter(tmp_path / "boxes.csv", {1: "a\rb"}) as table:
        for name in names:
            table.add(name, np.array([[1, 2, 3, 4]]), np.float32([0.5]), np.array([1]), (8, 9))
    read = read_detections(tmp_path / "boxes.csv")
    assert read[["filename", "class"]].to_numpy().tolist() == [[name, "a\rb"] for name in names]


def test_half_a_character_is_told_when_a_table_is_written(tmp_path):
    row = ("a\udcff.jpg", 9, 9, "cat", 1.0, 0, 0, 5, 5)
    with pytest.raises(TableError, match=r"a\\udcff.*not Unicode"):
        write_detections(pd.DataFrame([row], columns=COLUMNS, dtype=object), tmp_path / "boxes.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"filename,status\na\xe4.jpg,ok\n", r"seen\.csv:2: is not UTF-8"),
        (b"filename,status\n../a.jpg,ok\n", r"seen\.csv:2: \.\./a\.jpg: filename must be"),
        (b"filename,status\n\nb.jpg,bad\n,ok\n", r"seen\.csv:4: : filename must be"),
        (b"filename,state\na.jpg,ok\n", 'has no column "status"'),
        (b"", "is empty"),
        (b'filename,status\n"a', "is not a CSV table"),
    ],
)
def test_images_seen_that_are_wrong_are_told_by_line(tmp_path, data, message):
    (tmp_path / "seen.csv").write_bytes(data)
    with pytest.raises(TableError, match=message):
        read_images_seen(tmp_path / "seen.csv")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a.jpg\nb\xe4.jpg\n", 2),
        (b"\xff\xd8\xff\xe0", 1),
        ("a.jpg\n".encode("utf-16") + b"\0\xd8", 2),
        (b"\xed\xa0\x80.jpg", 1),
    ],
    ids=range(4),
)
def test_a_list_that_is_no_text_is_told_by_line(tmp_path, data, line):
    (tmp_path / "list.txt").write_bytes(data)
    for read in (listed_names, read_images_seen, lambda path: read_image_list(path, tmp_path)):
        with pytest.raises(InputError, match=rf"list\.txt:{line}: is no list of images \(not UTF-8"):
            read(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "name", ["x" * 300_000, "a/" * 20_000 + "b", "a/" * 300 + "b", "/a" * 300, "a\\" * 300]
)
def test_names_longer_than_any_file_system_takes_are_no_files(tmp_path, name):
    (tmp_path / "a").symlink_to(tmp_path)
    (tmp_path / "A").symlink_to(tmp_path)
    (tmp_path / "list.txt").write_text(f"{name}\n")
    assert names_below([name], tmp_path) == {}
    with pytest.raises(InputError, match=r"list\.txt:1: ") as error:
        read_image_list(tmp_path / "list.txt", tmp_path)
    assert len(str(error.value)) < 600


def test_folders_that_are_alike_do_not_multiply(tmp_path):
    for name in ("aA", "Aa", "AA"):
        (tmp_path / name).symlink_to(tmp_path)
    assert FolderNames(tmp_path).find("aa/" * 30 + "b") is None


def test_a_field_of_any_size_is_read(tmp_path):
    big = "x" * 200_000
    (tmp_path / "seen.csv").write_text(f"filename,status,error\na.jpg,ok,{big}\n../b.jpg,ok,\n")
    with pytest.raises(TableError, match=r"seen\.csv:3: "):
        read_images_seen(tmp_path / "seen.csv")
    (tmp_path / "boxes.csv").write_text(
        f'{HEADER},note\na,9,9,cat,1,0,0,5,5,"{big}\n"\nb,9,9,cat,1,6,0,5,5,\n'
    )
    with pytest.raises(TableError, match=r"boxes\.csv:4: b: the box has a negative size"):
        read_detections(tmp_path / "boxes.csv")


def test_a_name_is_in_one_form_of_unicode_for_comparison():
    assert alike(COMPOSED) == alike(APART) == alike(COMPOSED.upper())
    assert unicodedata.is_normalized("NFC", alike(APART))
