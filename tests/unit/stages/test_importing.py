import json
import re

import pydantic
import pytest
from PIL import Image

from odflow.cli import main
from odflow.errors import InputError
from odflow.formats.detections import read_detections
from odflow.graph.execute import run_alone
from odflow.stages.importing import Import

BOX = "<xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax>"
VOC = f"<annotation><object><name>cat</name><bndbox>{BOX}</bndbox></object></annotation>"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in ("a.jpg", "b.jpg", "c.png"):
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (20, 10)).save(folder / name)
    return folder


@pytest.fixture
def voc(tmp_path, images):
    folder = tmp_path / "xml"
    folder.mkdir()
    (folder / "a.xml").write_text(VOC)
    (folder / "c.xml").write_text("<annotation/>")
    return {"format": "voc", "annotations": folder, "images": images}


@pytest.fixture
def yolo(tmp_path, images):
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "a.txt").write_text("0 0.5 0.5 0.1 0.2\n")
    (tmp_path / "names.yaml").write_text("names: [cat]")
    return {"format": "yolo", "annotations": folder, "images": images, "names": tmp_path / "names.yaml"}


def imported(out, **fields):
    job = run_alone(Import(**fields), out)
    return read_detections(out / "annotations.csv"), (out / "images.txt").read_text().split(), job.said


def test_voc_lists_the_annotated_images(voc, tmp_path):
    table, listed, said = imported(tmp_path / "out", **voc)
    assert table["filename"].to_list() == ["a.jpg"]
    assert listed == ["a.jpg", "c.png"]
    assert said == [
        "1 images left out, since they have no XML file (b.jpg).",
        "2 images, 1 boxes of 1 classes",
    ]


def test_yolo_lists_every_image(yolo, tmp_path):
    table, listed, said = imported(tmp_path / "out", **yolo)
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[9, 4, 11, 6]]
    assert listed == ["a.jpg", "b.jpg", "c.png"]
    assert said[0] == "2 images have no text file: taken to show nothing (b.jpg, c.png)."


def test_keypoints_of_yolo_are_left_out_and_counted(yolo, tmp_path):
    yolo["names"].write_text("names: [cat]\nkpt_shape: [2, 2]")
    (yolo["annotations"] / "a.txt").write_text("0 0.5 0.5 0.1 0.2 0.9 0.9 0.1 0.1\n")
    job = run_alone(Import(**yolo), tmp_path / "out")
    assert job.counts == {"images_without_annotation": 2, "keypoints_left_out": 1}
    table = read_detections(tmp_path / "out/annotations.csv")
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[9, 4, 11, 6]]


@pytest.mark.parametrize("lines", ["c\na.jpg\n", "# two\na\nc.png\na.jpg\n"])
def test_a_list_names_images_with_or_without_extension(voc, tmp_path, lines):
    (tmp_path / "list.txt").write_text(lines)
    _, listed, _ = imported(tmp_path / "out", **voc, image_list=tmp_path / "list.txt")
    assert listed == ["a.jpg", "c.png"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a\n\nimg_b", r'list\.txt:3: .* has no image "img_b"'),
        ("b", "has no XML file for b.jpg"),
        ("\n", "names no image"),
    ],
)
def test_a_wrong_list_is_refused(voc, tmp_path, lines, message):
    (tmp_path / "list.txt").write_text(lines)
    with pytest.raises(InputError, match=message):
        imported(tmp_path / "out", **voc, image_list=tmp_path / "list.txt")


def test_a_folder_of_other_annotations_is_refused(voc, tmp_path):
    with pytest.raises(InputError, match=r"has no XML file for a\.jpg \(3 of 3"):
        imported(tmp_path / "out", **voc | {"annotations": voc["images"]})


def test_yolo_needs_names(yolo):
    with pytest.raises(pydantic.ValidationError, match="yolo needs names"):
        Import(**yolo | {"names": None})


@pytest.fixture
def renders(tmp_path, images):
    box = {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.9}
    entries = [{"image": "images/a.jpg", "meshes": {"Cube": box}}, {"image": "images/c.png", "meshes": {}}]
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    return {"format": "labels_json", "annotations": tmp_path / "labels.json", "images": images}


def test_labels_json_turns_y_over_and_lists_the_images_with_an_entry(renders, tmp_path):
    table, listed, said = imported(tmp_path / "out", **renders)
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[2, 1, 6, 8]]
    assert listed == ["a.jpg", "c.png"]
    assert said == ["1 images left out, since they have no entry (b.jpg).", "2 images, 1 boxes of 1 classes"]


def test_a_list_takes_some_of_the_entries_of_labels_json(renders, tmp_path):
    (tmp_path / "list.txt").write_text("c")
    table, listed, _ = imported(tmp_path / "out", **renders, image_list=tmp_path / "list.txt")
    assert (len(table), listed) == (0, ["c.png"])
    (tmp_path / "list.txt").write_text("b")
    with pytest.raises(InputError, match=r"labels\.json has no entry for b\.jpg"):
        imported(tmp_path / "out", **renders, image_list=tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["labels_json", "images", "images"], r"--annotations: .*images is no file, as labels_json needs it"),
        (["voc", "labels.json", "images"], r"--annotations: .*labels\.json is no folder, as voc needs it"),
        (["yolo", "labels", "images", "--names", "bad.txt"], r"--names: .*bad\.txt:2: is empty between two"),
        (["yolo", "labels", "images", "--names", "bad.yaml"], r"--names: .*bad\.yaml"),
        (["yolo", "labels", "images"], "yolo needs names"),
        (["yolo", "labels", "images", "--exif", "raw"], "--exif"),
    ],
)
def test_check_tells_what_can_be_known_before(renders, yolo, tmp_path, monkeypatch, capsys, fields, message):
    (tmp_path / "bad.txt").write_text("cat\n\ndog\n")
    (tmp_path / "bad.yaml").write_text("nc: 2\n")
    monkeypatch.chdir(tmp_path)
    form, annotations, folder, *others = fields
    words = ["import", "--format", form, "--annotations", annotations, "--images", folder, *others]
    assert main([*words, "--out", "out"]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


BAD = {
    "one that is no XML": "<annotation>",
    "one of another form": "<html/>",
    "one with a DOCTYPE": "<!DOCTYPE a><annotation/>",
    "one of another size": "<annotation><size><width>9</width><height>9</height></size></annotation>",
    "one without a class": f"<annotation><object><bndbox>{BOX}</bndbox></object></annotation>",
    "one with a swapped corner": VOC.replace("<xmax>3", "<xmax>0"),
    "one in another encoding": "<?xml version='1.0' encoding='nonesuch'?><annotation>\udce9</annotation>",
    "one in shares": VOC.replace("<xmax>3", "<xmax>.3").replace("<ymin>2", "<ymin>.2").replace(">4<", ">.4<"),
}


@pytest.fixture
def bad(tmp_path):
    """Images of which each has an annotation that is wrong in its own way, and a right one."""
    for number, text in enumerate([*BAD.values(), VOC]):
        for folder in ("xml", "images"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", (20, 10)).save(tmp_path / f"images/{number}.jpg")
        (tmp_path / f"xml/{number}.xml").write_text(text, errors="surrogateescape")
    return {"format": "voc", "annotations": tmp_path / "xml", "images": tmp_path / "images"}


def test_silent_about_no_bad_annotation(bad, tmp_path):
    with pytest.raises(InputError) as caught:
        imported(tmp_path / "out", **bad)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(BAD) + 1
    assert all(f"{number}.xml" in line for number, line in enumerate(lines[:-1]))
    assert "skip_bad: true" in lines[-1]


def test_silent_about_no_more_than_can_be_counted(bad, tmp_path):
    for number in range(20, 40):
        Image.new("RGB", (20, 10)).save(tmp_path / f"images/{number}.jpg")
        (tmp_path / f"xml/{number}.xml").write_text("<")
    with pytest.raises(InputError, match=r"\.\.\. and 18 more") as caught:
        imported(tmp_path / "out", **bad)
    assert len(str(caught.value).splitlines()) == 12


def test_skip_bad_leaves_bad_images_out_whole_and_counts_them(bad, tmp_path):
    job = run_alone(Import(**bad, skip_bad=True), tmp_path / "out")
    assert job.counts == {"images_with_bad_annotations": len(BAD)}
    assert (tmp_path / "out/images.txt").read_text() == f"{len(BAD)}.jpg\n"
    assert job.said[0].startswith(
        "8 images left out, since their annotations are wrong (0.jpg, 1.jpg, 2.jpg and 5 more)"
    )


def test_skip_bad_with_nothing_left_is_an_error(bad, tmp_path):
    (tmp_path / f"images/{len(BAD)}.jpg").unlink()
    with pytest.raises(InputError, match=r"0\.xml"):
        imported(tmp_path / "out", **bad, skip_bad=True)


def test_an_image_that_cannot_be_read_is_told_with_the_others(bad, tmp_path):
    (tmp_path / "images/9.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    (tmp_path / "xml/9.xml").write_text(VOC)
    with pytest.raises(InputError, match=r"images/9\.jpg: "):
        imported(tmp_path / "out", **bad)
    job = run_alone(Import(**bad, skip_bad=True), tmp_path / "out")
    assert job.counts == {"images_with_bad_annotations": len(BAD), "images_unreadable": 1}


def test_a_bad_box_among_right_ones_leaves_the_image_out(voc, tmp_path):
    second = VOC[len("<annotation>") :].replace("<xmax>3", "<xmax>0")
    (voc["annotations"] / "a.xml").write_text(VOC.removesuffix("</annotation>") + second)
    (voc["annotations"] / "b.xml").write_text(VOC)
    table, listed, _ = imported(tmp_path / "out", **voc, skip_bad=True)
    assert table["filename"].to_list() == ["b.jpg"]
    assert listed == ["b.jpg", "c.png"]


def test_counts_of_what_is_left_out_are_silent_nowhere(voc, tmp_path):
    folder, images = voc["annotations"], voc["images"]
    polygon = "<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>9</y2></polygon>"
    around = f"<annotation><object><name>cat</name>{polygon}</object></annotation>"
    (folder / "far.xml").write_text(VOC)
    (folder / "d.xml").write_text(VOC.replace("<xmax>3", "<xmax>30"))
    (folder / "e.xml").write_text(VOC.replace("<xmax>3", "<xmax>1"))
    (folder / "f.xml").write_text(around)
    (folder / "g.xml").write_text(VOC)
    for name in "def":
        Image.new("RGB", (20, 10)).save(images / f"{name}.jpg")
    Image.new("RGB", (20, 10)).save(images / "g.tif")
    job = run_alone(Import(**voc), tmp_path / "out")
    assert job.counts == {
        "images_of_other_forms": 1,
        "annotations_without_image": 1,
        "images_without_annotation": 1,
        "outlines_boxed": 1,
        "boxes_clipped": 1,
        "boxes_without_area": 1,
    }
    for name, line in zip(["g.tif", "far.xml", "b.jpg", "f.jpg", "d.jpg", "e.jpg"], job.said, strict=False):
        assert name in line


@pytest.mark.parametrize("skip", [False, True])
def test_a_file_that_fits_two_images_is_refused(voc, tmp_path, skip):
    Image.new("RGB", (20, 10)).save(voc["images"] / "a.png")
    (voc["annotations"] / "b.xml").write_text(VOC)
    if skip:
        table, listed, _ = imported(tmp_path / "out", **voc, skip_bad=True)
        assert table["filename"].to_list() == ["b.jpg"]
        assert listed == ["b.jpg", "c.png"]
        return
    with pytest.raises(InputError, match=r"a\.xml: fits 2 images, a\.jpg and a\.png") as caught:
        imported(tmp_path / "out", **voc)
    assert str(caught.value).count("a.xml") == 1


@pytest.mark.parametrize("form", ["voc", "yolo", "labels_json"])
def test_annotations_of_other_images_are_an_error(voc, yolo, renders, tmp_path, form):
    fields = {"voc": voc, "yolo": yolo, "labels_json": renders}[form]
    (tmp_path / "others").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "others/z.jpg")
    with pytest.raises(
        InputError, match=r"has no (XML file|text file|entry) for z\.jpg .* are for other images: .*a"
    ):
        imported(tmp_path / "out", **fields | {"images": tmp_path / "others"})


@pytest.mark.parametrize("form", ["yolo", "voc"])
def test_a_folder_that_holds_annotations_of_another_form_says_so(voc, yolo, tmp_path, form):
    fields = {
        "voc": voc | {"annotations": yolo["annotations"]},
        "yolo": yolo | {"annotations": voc["annotations"]},
    }
    with pytest.raises(InputError, match=r"It holds (1 \.txt|2 \.xml)"):
        imported(tmp_path / "out", **fields[form])


def test_boxes_of_which_none_is_inside_its_image_are_an_error(voc, tmp_path):
    (voc["annotations"] / "a.xml").write_text(
        VOC.replace("<xmin>1", "<xmin>100").replace("<xmax>3", "<xmax>300")
    )
    with pytest.raises(InputError, match=r"none of the 1 boxes has an area inside its image \(a\.jpg\)"):
        imported(tmp_path / "out", **voc)


@pytest.mark.parametrize(("fitting", "refused"), [(1, True), (2, False)])
@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_nearly_all_annotations_of_other_images_are_an_error(tmp_path, form, fitting, refused):
    """Of 12 images and 12 annotations one fits by chance; two might be meant."""
    for folder in ("images", "notes"):
        (tmp_path / folder).mkdir()
    suffix, text = ("xml", VOC) if form == "voc" else ("txt", "0 0.5 0.5 0.1 0.2")
    for number in range(12):
        Image.new("RGB", (20, 10)).save(tmp_path / f"images/{number}.png")
        name = number if number < fitting else f"other{number}"
        (tmp_path / f"notes/{name}.{suffix}").write_text(text)
    (tmp_path / "names.yaml").write_text("names: [cat]")
    fields = {"format": form, "annotations": tmp_path / "notes", "images": tmp_path / "images"}
    fields |= {"names": tmp_path / "names.yaml"} if form == "yolo" else {}
    if not refused:
        assert len(imported(tmp_path / "out", **fields)[0]) == 2
        return
    with pytest.raises(InputError, match=r"11 of 12 images lack theirs.*11 are for other images.*image_list"):
        imported(tmp_path / "out", **fields)
    (tmp_path / "list.txt").write_text("0.png\n")
    assert len(imported(tmp_path / "out", **fields, image_list=tmp_path / "list.txt")[0]) == 1


def test_skip_bad_keeps_right_images_that_show_nothing(voc, tmp_path):
    (voc["annotations"] / "a.xml").write_text("<")
    table, listed, _ = imported(tmp_path / "out", **voc, skip_bad=True)
    assert table.empty
    assert listed == ["c.png"]


def test_all_wrong_lines_of_a_list_are_told(voc, tmp_path):
    (tmp_path / "list.txt").write_text("a\nimg_x\nc\nimg_y\n")
    with pytest.raises(InputError, match=r'list\.txt:2: .*"img_x"[^\n]*\n.*list\.txt:4: .*"img_y"'):
        imported(tmp_path / "out", **voc, image_list=tmp_path / "list.txt")
    job = run_alone(Import(**voc, image_list=tmp_path / "list.txt", skip_bad=True), tmp_path / "out")
    assert job.counts["lines_without_image"] == 2


def test_a_line_that_fits_two_images_is_refused(voc, tmp_path):
    Image.new("RGB", (20, 10)).save(voc["images"] / "a.png")
    (tmp_path / "list.txt").write_text("a\n")
    with pytest.raises(InputError, match=r'list\.txt:1: "a" fits a\.jpg and a\.png\. Add the extension'):
        imported(tmp_path / "out", **voc, image_list=tmp_path / "list.txt")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_in_another_encoding_is_read_by_its_mark(voc, tmp_path, encoding):
    (tmp_path / "list.txt").write_bytes("a\r\nc.png\r\n".encode(encoding))
    _, listed, _ = imported(tmp_path / "out", **voc, image_list=tmp_path / "list.txt")
    assert listed == ["a.jpg", "c.png"]


def test_a_bad_entry_of_labels_json_is_told_or_skipped(renders, tmp_path):
    entries = json.loads((tmp_path / "labels.json").read_text())
    wrong = {"image": "images/b.jpg", "meshes": {"Cube": {"x1": 7}}}
    (tmp_path / "labels.json").write_text(json.dumps([*entries, wrong, {"image": 3}, {"image": "z.jpg"}]))
    with pytest.raises(
        InputError, match=r"(?s)entry 4: names no image.*entry 5.*has no meshes.*Cube: has no box"
    ):
        imported(tmp_path / "out", **renders)
    job = run_alone(Import(**renders, skip_bad=True), tmp_path / "out")
    assert job.counts == {"images_with_bad_annotations": 1, "bad_entries": 2}


def test_an_entry_without_an_image_is_counted(renders, tmp_path):
    entries = json.loads((tmp_path / "labels.json").read_text())
    (tmp_path / "labels.json").write_text(json.dumps([*entries, {"image": "z.jpg", "meshes": {}}]))
    job = run_alone(Import(**renders), tmp_path / "out")
    assert job.counts["annotations_without_image"] == 1


def test_the_blood_cells_test_side_is_the_published_one(shared, tmp_path):
    data = shared / "data/bccd/BCCD"
    table, listed, _ = imported(
        tmp_path,
        format="voc",
        annotations=data / "Annotations",
        images=data / "JPEGImages",
        image_list=data / "ImageSets/Main/test.txt",
    )
    assert [name.removesuffix(".jpg") for name in listed] == (
        data / "ImageSets/Main/test.txt"
    ).read_text().split()
    assert table["class"].value_counts().to_dict() == {"RBC": 805, "WBC": 71, "Platelets": 69}
