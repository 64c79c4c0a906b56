import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import InputError
from odflow.formats.annotations import place_boxes, voc_annotations
from odflow.formats.images import ImageFile, find_images
from odflow.formats.voc import parse_voc

BOX = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
OBJECT = f"<object><name>cat</name><difficult>1</difficult>{BOX}</object>"


def parse(text):
    return parse_voc(text.encode(), "a.xml")


def drawn(shape):
    return parse(f"<annotation><object><name>cat</name>{shape}</object></annotation>")


def test_an_object_becomes_a_row(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(
        f"<annotation><size><width>64</width><height>48</height></size>{OBJECT}</annotation>"
    )
    images = [ImageFile("a.png", tmp_path / "a.png")]
    table = place_boxes(voc_annotations(tmp_path, images), images).table()
    assert table.to_numpy().tolist() == [["a.png", 64, 48, "cat", 1.0, 1.0, 2.5, 30.0, 40.0, 1]]


def test_an_image_that_shows_nothing_gives_no_box():
    found = parse("<annotation/>")
    assert (found.boxes, found.faults) == ([], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a>\n<b></a>", r"a\.xml:2: is not XML \(mismatched tag\)"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', r"a\.xml: has a DOCTYPE"),
        ("", "is not XML"),
        ("<html><body/></html>", "is no VOC annotation: it begins with <html>"),
        ("<annotation>\0</annotation>", "is not XML"),
    ],
)
def test_a_wrong_file_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OBJECT.replace("30", "0"), r"object 1: the box .* has a negative size"),
        (OBJECT.replace("40", "2"), r"object 1: the box 1 2.5 30 2 .* has a negative size"),
        (OBJECT.replace("30", "x"), r"object 1: bndbox/xmax is 'x'"),
        (OBJECT.replace("30", "nan"), r"object 1: bndbox/xmax is 'nan'"),
        (OBJECT.replace("30", "inf"), r"object 1: bndbox/xmax is 'inf'"),
        (OBJECT.replace("30", "1e300"), r"object 1: bndbox/xmax is '1e300'"),
        (OBJECT.replace("30", "3_0"), r"object 1: bndbox/xmax is '3_0'"),
        (OBJECT.replace("30", "12,5"), r"object 1: bndbox/xmax is '12,5'"),
        (OBJECT.replace("30", ""), r"object 1: bndbox/xmax is ''"),
        (OBJECT.replace("<xmax>30</xmax>", ""), r"object 1: bndbox/xmax is missing"),
        (f"<object>{BOX}</object>", "object 1: has no name"),
        (OBJECT.replace("cat", " \n "), "object 1: has no name"),
        (OBJECT.replace(BOX, ""), "object 1: has no bndbox .* and no polygon"),
        (OBJECT.replace(BOX, BOX + BOX), "object 1: has more than one bndbox"),
        (OBJECT.replace(BOX, "<bndbox><x>1</x><y>2</y><w>3</w><h>4</h></bndbox>"), "object 1: has no bndbox"),
    ],
)
def test_one_bad_object_never_hides_the_others(text, message):
    bad = f"<annotation>\n{text}\n{OBJECT}\n{text.replace('cat', 'dog')}</annotation>"
    found = parse(bad)
    assert [box.label for box in found.boxes] == ["cat"]
    first, second = found.faults
    assert first.startswith("a.xml:2: object 1: ")
    assert re.search(message, first)
    assert "object 3" in second
    assert "\n" not in first


def text_in(encoding, name, declared=None):
    head = f'<?xml version="1.0" encoding="{declared or encoding}"?>\n'
    return (head + f"<annotation>{OBJECT.replace('cat', name)}</annotation>").encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gb2312", "红色"),
        ("gbk", "鎔"),
        ("gb18030", "\U00020000"),
        ("hz", "红色"),
        ("big5", "紅色"),
        ("big5hkscs", "嘅"),
        ("cp950", "紅€"),
        ("shift_jis", "赤い"),
        ("euc-jp", "赤い"),
        ("iso-2022-jp", "赤い"),
        ("cp932", "①"),
        ("euc-kr", "빨강"),
        ("cp949", "똠"),
        ("johab", "빨강"),
        ("koi8-r", "красный"),
        ("windows-1251", "красный"),
        ("windows-1252", "rouge €"),
        ("iso-8859-1", "rougé"),
        ("iso-8859-15", "rouge €"),
        ("macintosh", "rougé"),
        ("tis-620", "แดง"),
        ("utf-16", "红é"),
        ("utf-32", "红é"),
        ("utf-8", "红é"),
        ("utf-8-sig", "红é"),
    ],
)
def test_cases_of_encodings_are_read_as_declared(encoding, name):
    (box,) = parse_voc(text_in(encoding, name), "a.xml").boxes
    assert box.label == name


@pytest.mark.parametrize(
    ("encoding", "declared", "name"),
    [
        ("utf-8", "utf8mb4", "红"),  # unknown, and UTF-8
        ("utf-8", "utf-16", "红"),  # as .NET writes it
        ("utf-8", "hex", "红"),
        ("utf-8", "zip", "红"),
        ("utf-8", "rot13", "红"),
        ("utf-8", "undefined", "红"),
        ("utf-8", "idna", "红"),
        ("utf-8", "unicode_escape", "红"),
        ("utf-8", "ascii", "红"),  # wrong, and plainly UTF-8
        ("gbk", "gb2312", "鎔"),  # what Windows writes under the name
        ("gb18030", "gbk", "\U00020000"),
        ("cp932", "Shift_JIS", "①"),
        ("cp949", "euc-kr", "똠"),
        ("cp932", "windows-31j", "①"),
        ("gbk", "x-gbk", "红"),
        ("cp949", "windows-949", "똠"),
        ("utf-16-le", "utf-16", "红"),  # no mark
        ("utf-16-be", "utf-16", "红"),
        ("utf-32-le", "utf-32", "红"),
    ],
)
def test_cases_of_encodings_that_are_called_otherwise(encoding, declared, name):
    (box,) = parse_voc(text_in(encoding, name, declared), "a.xml").boxes
    assert box.label == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            text_in("iso-8859-1", "rougé", "utf8mb4"),
            r'a\.xml:2: is not in UTF-8, and .*"utf8mb4".* is unknown',
        ),
        (text_in("iso-8859-1", "rougé", "utf-8"), r"a\.xml:2: is not in the encoding that it declares"),
        (text_in("gbk", "红色", "ascii"), r'a\.xml:2: is not in the encoding that it declares \("ascii"\)'),
        (text_in("iso-8859-1", "é", "shift_jis"), "a.xml:2: is not in the encoding"),
        (
            f"<annotation>\n\n{OBJECT}".replace("cat", "é").encode("latin-1"),
            r"a\.xml:3: is not in UTF-8\. Save",
        ),
        (b"\xff\xfe<", r"a\.xml:1: is not in UTF-8|is not in"),
        ("<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a><a/>".encode("utf-16"), "DOCTYPE"),
        ("<?xml version='1.0' encoding='gbk'?><!DOCTYPE a><a/>".encode("gbk"), "DOCTYPE"),
    ],
)
def test_cases_of_encodings_that_cannot_be_read_name_the_line(data, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_voc(data, "a.xml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        ("64", "48", (64, 48)),
        ("64.0", " 48 ", (64, 48)),
        ("\n64\n", "\t48", (64, 48)),
        ("6.4e1", "+48", (64, 48)),
        ("064", "48.", (64, 48)),
        ("64.5", "48", (64.5, 48)),
        ("0", "0", None),
        ("0", "48", None),
        ("-1", "-1", None),
        ("None", "48", None),
        ("64px", "48", None),
        ("nan", "48", None),
        ("inf", "48", None),
        ("1e400", "48", None),
        ("6_4", "48", None),
        ("", "", None),
    ],
)
def test_cases_of_sizes_are_compared_as_numbers(width, height, size):
    text = f"<annotation><size><width>{width}</width><height>{height}</height></size></annotation>"
    assert parse(text).size == size


@pytest.mark.parametrize("text", ["<annotation/>", "<annotation><size/></annotation>"])
def test_no_size_is_none(text):
    assert parse(text).size is None


@pytest.mark.parametrize(
    ("shape", "corners"),
    [
        ("<polygon><x1>5</x1><y1>9</y1><x2>2</x2><y2>4</y2><x3>7</x3><y3>8</y3></polygon>", (2, 4, 7, 9)),
        ("<polygon><pt><x>5</x><y>9</y></pt><pt><x>2</x><y>4</y></pt></polygon>", (2, 4, 5, 9)),
        (
            "<polygon><points><point><x>5</x><y>9</y></point><point><x>2</x><y>4</y></point></points></polygon>",
            (2, 4, 5, 9),
        ),
        ("<bndbox/><polygon><x1>5</x1><y1>9</y1><x2>2</x2><y2>4</y2></polygon>", (2, 4, 5, 9)),
        ("<bndbox><x1>5</x1><y1>9</y1><x2>2</x2><y2>4</y2></bndbox>", (2, 4, 5, 9)),
        ("<rotated_bndbox><x1>5</x1><y1>9</y1><x2>2</x2><y2>4</y2></rotated_bndbox>", (2, 4, 5, 9)),
        ("<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>0</angle></robndbox>", (40, 35, 60, 45)),
        (
            f"<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>{math.pi / 2}</angle></robndbox>",
            (45, 30, 55, 50),
        ),
    ],
)
def test_cases_of_outlines_become_the_box_around_them(shape, corners):
    (box,) = drawn(shape).boxes
    assert box.corners == pytest.approx(corners, abs=1e-4)
    assert box.outline


@given(st.floats(-4, 4), st.floats(1, 50), st.floats(1, 50), st.floats(0, 100), st.floats(0, 100))
def test_a_turned_box_lies_in_the_box_around_it(angle, width, height, x, y):
    """Its corners are computed as complex numbers here."""
    values = zip(("cx", "cy", "w", "h", "angle"), (x, y, width, height, angle), strict=True)
    (box,) = drawn(
        f"<robndbox>{''.join(f'<{tag}>{value!r}</{tag}>' for tag, value in values)}</robndbox>"
    ).boxes
    turn = complex(math.cos(angle), math.sin(angle))
    corners = [
        complex(x, y) + complex(a * width / 2, b * height / 2) * turn for a in (-1, 1) for b in (-1, 1)
    ]
    xs, ys = [at.real for at in corners], [at.imag for at in corners]
    assert box.corners == pytest.approx((min(xs), min(ys), max(xs), max(ys)), abs=1e-3)


@pytest.mark.parametrize(
    "shape",
    [
        "<polygon/>",
        "<polygon><x1>5</x1><y1>9</y1></polygon>",
        "<polygon><x1>5</x1><y1>9</y1><x2>5</x2></polygon>",
        "<polygon><x1>5</x1><y1>a</y1><x2>5</x2><y2>6</y2></polygon>",
        "<robndbox><cx>50</cx></robndbox>",
        "<keypoints><x1>5</x1><y1>9</y1></keypoints>",
    ],
)
def test_a_shape_without_corners_is_a_fault(shape):
    found = drawn(shape)
    assert (len(found.boxes), len(found.faults)) == (0, 1)


def test_what_is_inside_an_object_is_none_by_itself():
    part = f"<part><name>head</name>{BOX}</part><object><name>ear</name>{BOX}</object>"
    action = "<actions><jumping>1</jumping></actions><pose>Left</pose>"
    found = parse(f"<annotation><object>{part}{action}<name>person</name>{BOX}</object>{OBJECT}</annotation>")
    assert [box.label for box in found.boxes] == ["person", "cat"]


@pytest.mark.parametrize(
    ("text", "label"), [("a\n  b", "a b"), (" a  b ", "a  b"), ("a\tb", "a b"), ("é\u3000人", "é\u3000人")]
)
def test_a_name_is_the_text_without_line_ends(text, label):
    assert parse(f"<annotation>{OBJECT.replace('cat', text)}</annotation>").boxes[0].label == label


@pytest.mark.parametrize(
    ("text", "difficult"), [("1", 1), (" 1 ", 1), ("true", 1), ("0", 0), ("", 0), ("Unspecified", 0)]
)
def test_difficult(text, difficult):
    object_ = OBJECT.replace("<difficult>1<", f"<difficult>{text}<")
    assert parse(f"<annotation>{object_}</annotation>").boxes[0].difficult == difficult


def test_reads_the_blood_cells_as_elementtree_does(shared):
    import xml.etree.ElementTree as ElementTree

    folder = shared / "data/bccd/BCCD"
    images = find_images(folder / "JPEGImages")[:40]
    expected = [
        [image.name, thing.findtext("name"), *(int(side.text) for side in thing.find("bndbox"))]
        for image in images
        for thing in ElementTree.parse(folder / f"Annotations/{image.path.stem}.xml").iter("object")
    ]
    table = place_boxes(voc_annotations(folder / "Annotations", images), images).table()
    assert table[["filename", "class", "xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == expected
