"""Boxes of a table put to their images."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.images import ImageFile
from odflow.formats.label_map import Label, LabelMap
from odflow.formats.labelled_table import labelled_images_of_table


def test_rows_anywhere_in_the_table_come_to_their_image_in_their_order(tmp_path):
    rows = [
        "b.jpg,20,10,dog,1,2,1,4,5,1,7",
        "a.jpg,40,50,cat,1,4,5,8,10,0,9",
        "b.jpg,20,10,cat,1,0,0,20,10,0,8",
    ]
    (tmp_path / "t.csv").write_text("\n".join([f"{','.join(COLUMNS)},is_crowd,area", *rows]))
    for name, size in (("a.jpg", (40, 50)), ("b.jpg", (20, 10)), ("none.jpg", (9, 9))):
        Image.new("RGB", size).save(tmp_path / name)
    images = [ImageFile(name, tmp_path / name) for name in ("none.jpg", "b.jpg", "a.jpg")]
    label_map = LabelMap((Label(3, "cat"), Label(5, "dog")))
    none, b, a = labelled_images_of_table(images, tmp_path / "t.csv", label_map, tmp_path)
    assert (none.size, len(none.boxes_yxyx), len(none.classes)) == (None, 0, 0)
    assert (a.size, b.size) == ((40, 50), (20, 10))
    assert b.boxes_yxyx.tolist() == [[0.1, 0.1, 0.5, 0.2], [0, 0, 1, 1]]
    assert (b.classes.tolist(), b.is_crowd.tolist(), b.area.tolist()) == ([5, 3], [True, False], [7, 8])
    assert (a.boxes_yxyx.tolist(), a.classes.tolist()) == ([[0.1, 0.1, 0.2, 0.2]], [3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in NAMES:
        Image.new("RGB", (40, 30)).save(folder / name)
    return folder


NAMES = [f"{letter}.png" for letter in "fcadbe"]
LABELS = LabelMap((Label(3, "cat"), Label(300, "dog")))
ROWS = st.tuples(
    st.sampled_from(NAMES[1:]),
    st.sampled_from(["cat", "dog"]),
    st.floats(1, 20),
    st.sampled_from([0, 1]),
    st.sampled_from(["7", "2.5"]),
)


@settings(max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=12), st.sampled_from([1, 2, 1000]))
def test_images_are_those_of_a_plain_search_whatever_the_chunks(folder, rows, chunk):
    lines = [f"{name},40,30,{kind},1,{x},0,30,{x},{crowd},{area}" for name, kind, x, crowd, area in rows]
    (folder / "t.csv").write_text("\n".join([f"{','.join(COLUMNS)},is_crowd,area", *lines]))
    images = [ImageFile(name, folder / name) for name in NAMES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odflow.formats.detections.CHUNK_ROWS", chunk)
        found = labelled_images_of_table(images, folder / "t.csv", LABELS, folder)
    assert [one.name for one in found] == NAMES
    for one in found:
        mine = [row for row in rows if row[0] == one.name]
        assert one.size == ((40, 30) if mine else None)
        assert one.boxes_yxyx.tolist() == [[0, x / 40, x / 30, 30 / 40] for _, _, x, _, _ in mine]
        assert one.classes.tolist() == [LABELS.ids[kind] for _, kind, *_ in mine]
        assert one.is_crowd.tolist() == [bool(crowd) for *_, crowd, _ in mine]
        assert one.area.tolist() == [float(area) for *_, area in mine]
    named = {row[0] for row in rows}
    assert found.bare() == [name for name in NAMES if name not in named]
    some = found.annotated()
    assert [one.name for one in some] == [name for name in NAMES if name in named]
    assert [one.boxes_yxyx.tolist() for one in some] == [
        one.boxes_yxyx.tolist() for one in found if one.name in named
    ]


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["c.png,40,30,cat,1,0,0,9,9", "a.png,40,30,cow,1,0,0,9,9"], 'a.png has class "cow"'),
        (["c.png,40,30,cat,1,0,0,9,9", "x.png,40,30,cat,1,0,0,9,9"], "has boxes of x.png"),
        (["c.png,40,30,cat,1,0,0,9,9", "a.png,41,30,cat,1,0,0,9,9"], "a.png has 41x30 pixels"),
        (["c.png,40,30,cat,1,0,0,1,1", "a.png,40,30,cat,1,0,0,1,1"], r"all boxes \(2\) lie within 0 to 1"),
    ],
    ids=["class", "image", "size", "shares"],
)
def test_what_is_wrong_is_told_whatever_the_chunks(folder, monkeypatch, rows, told, chunk):
    monkeypatch.setattr("odflow.formats.detections.CHUNK_ROWS", chunk)
    (folder / "t.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    images = [ImageFile(name, folder / name) for name in NAMES]
    with pytest.raises(TableError, match=told):
        labelled_images_of_table(images, folder / "t.csv", LABELS, folder)


def test_a_box_takes_few_bytes(folder):
    rows = [f"{name},40,30,cat,1,0,0,9,9" for name in NAMES] * 2000
    (folder / "t.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    images = [ImageFile(name, folder / name) for name in NAMES]
    found = labelled_images_of_table(images, folder / "t.csv", LABELS, folder)
    assert found.rows.nbytes <= 40 * len(rows)
    assert [len(one.classes) for one in found] == [2000] * len(NAMES)
