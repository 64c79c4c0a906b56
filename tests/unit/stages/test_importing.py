import json

import pydantic
import pytest
from PIL import Image

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
    assert said == ["1 images without an XML file left out", "2 images, 1 boxes of 1 classes"]


def test_yolo_lists_every_image(yolo, tmp_path):
    table, listed, _ = imported(tmp_path / "out", **yolo)
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[9, 4, 11, 6]]
    assert listed == ["a.jpg", "b.jpg", "c.png"]


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
    assert said == ["1 images without an entry left out", "2 images, 1 boxes of 1 classes"]


def test_a_list_takes_some_of_the_entries_of_labels_json(renders, tmp_path):
    (tmp_path / "list.txt").write_text("c")
    table, listed, _ = imported(tmp_path / "out", **renders, image_list=tmp_path / "list.txt")
    assert (len(table), listed) == (0, ["c.png"])
    (tmp_path / "list.txt").write_text("b")
    with pytest.raises(InputError, match=r"labels\.json has no entry for b\.jpg"):
        imported(tmp_path / "out", **renders, image_list=tmp_path / "list.txt")


def test_labels_json_is_a_file_and_the_others_are_folders(renders, voc, tmp_path):
    for fields in (renders | {"annotations": tmp_path}, voc | {"annotations": renders["annotations"]}):
        with pytest.raises(InputError, match=r"is no (file|folder), as (labels_json|voc) needs it"):
            imported(tmp_path / "out", **fields)


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
