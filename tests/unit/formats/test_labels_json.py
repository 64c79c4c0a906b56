import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import InputError, TableError
from odflow.formats.annotations import labels_json_annotations, place_boxes
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.images import find_images
from odflow.formats.labels_json import read_labels_json, write_labels_json

WIDTH, HEIGHT = 40, 20


@pytest.fixture
def renders(tmp_path):
    folder = tmp_path / "renders"
    folder.mkdir()
    for name in ("0.png", "1.png", "2.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / name)
    return folder


def labels(folder, *entries):
    path = folder / "labels.json"
    path.write_text(json.dumps(entries))
    return path


def boxes_of(path, images):
    """The table, and the names of the images that have an entry."""
    found = labels_json_annotations(path, images)
    assert not found.loose
    return place_boxes(found, images).table()[COLUMNS], sorted(found.known)


def faults_of(path, images):
    found = read_labels_json(path, images)
    return [*found.faults, *(fault for drawing in found.drawings.values() for fault in drawing.faults)]


def cube(x1=0.25, y1=0.1, x2=0.5, y2=0.4, mesh="Cube", image="0.png"):
    return {"image": image, "meshes": {mesh: {"x1": x1, "y1": y1, "x2": x2, "y2": y2}}}


def test_y_counts_from_the_bottom(renders):
    """The object stands near the lower edge: in a table its y is large."""
    found, _ = boxes_of(labels(renders, cube()), find_images(renders))
    assert found.to_numpy().tolist() == [["0.png", WIDTH, HEIGHT, "Cube", 1, 10, 12, 20, 18]]
    write_labels_json(found, renders / "again.json", ["0.png"])
    (entry,) = json.loads((renders / "again.json").read_text())
    assert entry["meshes"]["Cube"] == pytest.approx({"x1": 0.25, "y1": 0.1, "x2": 0.5, "y2": 0.4})


def test_a_numbered_mesh_is_one_more_object_of_its_class(renders):
    meshes = {
        mesh: {"x1": 0, "y1": 0, "x2": 1, "y2": 1} for mesh in ("Cube", "Cube.001", "Ball.1000", "v1.2")
    }
    path = labels(renders, {"image": "0.png", "meshes": meshes})
    boxes, _ = boxes_of(path, find_images(renders))
    assert boxes["class"].to_list() == ["Cube", "Cube", "Ball", "v1.2"]
    write_labels_json(boxes, path, ["0.png"])
    assert list(json.loads(path.read_text())[0]["meshes"]) == ["Cube", "Cube.001", "Ball", "v1.2"]


def test_an_image_that_shows_nothing_is_labelled_and_one_without_an_entry_is_not(renders):
    found, images = boxes_of(labels(renders, {"image": "1.png", "meshes": {}}), find_images(renders))
    assert images == ["1.png"]
    assert found.empty


def test_names_are_relative_to_the_file_or_to_the_images(renders):
    images = find_images(renders)
    for said in ("renders/2.png", "2.png"):
        path = labels(renders.parent, cube(image=said))
        assert boxes_of(path, images)[1] == ["2.png"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (cube(image="../0.png"), "leads out of the folder"),
        (cube(x2=20), r"entry 1 \(0\.png\): Cube: x2 is 20; wanted a share of the image, 0 to 1"),
        (cube(x1=float("nan")), "x1 is nan"),
        (cube(y1=0.5), r"negative size \(.*y counts from the bottom"),
        (cube(y1="0.1"), "Cube: has no box"),
        (cube(y1=True), "Cube: has no box"),
        (cube(y1=10**400), "y1 is 1000000000"),
        (cube(mesh=".001"), "its name is no class"),
        (cube(mesh=" "), "its name is no class"),
        (cube(mesh="\ud800"), "its name is no class"),
        (cube(mesh="a\0"), "its name is no class"),
        (cube(image=""), "leads out of the folder"),
        (cube(image="a\0.png"), "leads out of the folder"),
        ([], "names no image"),
        (None, "names no image"),
        ({"image": "0.png", "meshes": []}, "has no meshes"),
        ({"image": "0.png"}, "has no meshes"),
        ({"meshes": {}}, "names no image"),
        ("0.png", "names no image"),
    ],
)
def test_one_bad_entry_never_hides_the_others(renders, entry, message):
    path = labels(renders, entry, cube(image="1.png"), entry)
    found = read_labels_json(path, find_images(renders))
    assert found.drawings["1.png"].boxes
    assert not found.drawings["1.png"].faults
    lines = faults_of(path, find_images(renders))
    assert len(lines) == 2  # as an entry that is wrong, or as one that comes twice
    assert all("\n" not in line for line in lines)
    with pytest.raises(TableError, match=message):
        raise TableError("\n".join(lines))


def test_an_image_twice_is_refused(renders):
    (line,) = faults_of(labels(renders, cube(), cube()), find_images(renders))
    assert "entry 2: 0.png has an entry before" in line


def test_a_mesh_twice_is_refused_and_hides_no_other_entry(renders):
    path = renders / "labels.json"
    path.write_text(
        '[{"image": "0.png", "meshes": {"Cube": {}, "Cube": {}}}, {"image": "1.png", "meshes": {}}]'
    )
    (line,) = faults_of(path, find_images(renders))
    assert 'entry 1: "Cube" comes twice' in line
    assert list(read_labels_json(path, find_images(renders)).drawings) == ["1.png"]


def test_entries_of_images_that_are_not_there_are_kept_by_name(renders):
    found = read_labels_json(labels(renders, cube(image="7.png"), cube()), find_images(renders))
    assert (list(found.drawings), found.strangers) == (["0.png"], ["7.png"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_cases_of_encodings_are_read_by_their_mark(renders, encoding):
    path = renders / "labels.json"
    path.write_bytes(json.dumps([cube(mesh="é")], ensure_ascii=False).encode(encoding))
    assert read_labels_json(path, find_images(renders)).drawings["0.png"].boxes[0].label == "é"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"\xe9", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1" + b"0" * 5000 + b"]", "is not JSON"),
        (b'{"image": 1}', "holds no list"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_file_is_told_in_one_line(renders, text, message):
    path = renders / "labels.json"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read_labels_json(path, find_images(renders))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["9.png", 40, 20, "Cube", 1, 0, 0, 1, 1], "not among the 1"),
        (["0.png", 40, 20, "v.001", 1, 0, 0, 1, 1], "Rename"),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, row, message):
    with pytest.raises(TableError, match=message):
        write_labels_json(pd.DataFrame([row], columns=COLUMNS), tmp_path / "labels.json", ["0.png"])


@st.composite
def boxes(draw):
    quarter = st.integers(0, 4 * min(WIDTH, HEIGHT)).map(lambda value: value / 4)
    (xmin, xmax), (ymin, ymax) = (sorted(draw(st.tuples(quarter, quarter))) for _ in range(2))
    label = draw(st.sampled_from(["Cube", "Ball", "a b", "é"]))
    return [draw(st.sampled_from(["0.png", "1.png"])), WIDTH, HEIGHT, label, 1.0, xmin, ymin, xmax, ymax]


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes(), max_size=6))
def test_what_is_written_comes_back(rows):
    table = pd.DataFrame(sorted(rows, key=lambda row: row[0]), columns=COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        for name in ("0.png", "1.png"):
            Image.new("RGB", (WIDTH, HEIGHT)).save(images / name)
        path = Path(folder) / "labels.json"
        write_labels_json(table, path, ["0.png", "1.png"], folder="images")
        found, known = boxes_of(path, find_images(images))
    assert len(known) == 2
    filled = table[(table["xmin"] < table["xmax"]) & (table["ymin"] < table["ymax"])]
    assert found.to_numpy().tolist() == filled.to_numpy().tolist()
