import pytest
from PIL import Image

from odflow.errors import InputError, TableError
from odflow.formats.images import ImageFile, find_images
from odflow.formats.voc import read_voc

BOX = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
OBJECT = f"<object><name>cat</name><difficult>1</difficult>{BOX}</object>"


@pytest.fixture
def read(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")

    def read_text(text):
        (tmp_path / "a.xml").write_text(text)
        return read_voc(tmp_path, [ImageFile("a.png", tmp_path / "a.png")])

    return read_text


def test_an_object_becomes_a_row(read):
    table = read(f"<annotation><size><width>64</width><height>48</height></size>{OBJECT}</annotation>")
    assert table.to_numpy().tolist() == [["a.png", 64, 48, "cat", 1.0, 1.0, 2.5, 30.0, 40.0, 1]]


def test_an_image_that_shows_nothing_gives_no_row(read):
    assert len(read("<annotation/>")) == 0


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (f"<a><size><width>9</width><height>48</height></size>{OBJECT}</a>", InputError, "an image of 9x48"),
        ("<a>\n<b></a>", InputError, r"a\.xml:2: is not XML \(mismatched tag\)"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', InputError, r"a\.xml: has a DOCTYPE"),
        (f"<a>{OBJECT.replace('30', '0')}</a>", TableError, r"object 1: the box .* has a negative size"),
        (f"<a>{OBJECT.replace('30', 'x')}</a>", TableError, r"object 1: bndbox/xmax is 'x'"),
        (f"<a>{OBJECT.replace('30', 'nan')}</a>", TableError, r"object 1: bndbox/xmax is 'nan'"),
        (f"<a>{OBJECT}<object>{BOX}</object></a>", TableError, "object 2: has no name"),
    ],
)
def test_a_wrong_file_is_refused(read, text, kind, message):
    with pytest.raises(kind, match=message):
        read(text)


def test_a_doctype_in_another_encoding_is_refused_too(tmp_path, read):
    read("<a/>")
    (tmp_path / "a.xml").write_bytes(
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a><a/>".encode("utf-16")
    )
    with pytest.raises(InputError, match="DOCTYPE"):
        read_voc(tmp_path, [ImageFile("a.png", tmp_path / "a.png")])


def test_reads_the_blood_cells_as_elementtree_does(shared):
    import xml.etree.ElementTree as ElementTree

    folder = shared / "data/bccd/BCCD"
    images = find_images(folder / "JPEGImages")[:40]
    expected = [
        [image.name, thing.findtext("name"), *(int(side.text) for side in thing.find("bndbox"))]
        for image in images
        for thing in ElementTree.parse(folder / f"Annotations/{image.path.stem}.xml").iter("object")
    ]
    table = read_voc(folder / "Annotations", images)
    assert table[["filename", "class", "xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == expected
