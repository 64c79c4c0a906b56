"""One picture, one name, from stage to stage; and numbers that no image has, in every reader."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from odflow.errors import InputError, TableError
from odflow.formats.coco_keypoints import read_coco_keypoints
from odflow.formats.coco_masks import coco_masks
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detection_writer import write_detections
from odflow.formats.detections import read_detections
from odflow.formats.images import ImageFile
from odflow.formats.keypoints import read_keypoints
from odflow.formats.masks import pair_masks
from odflow.formats.mpii import read_mpii
from odflow.formats.numbers import FAR, column_numbers
from odflow.formats.tfrecord import read_records
from odflow.graph.execute import run_alone
from odflow.stages.contact_sheet import ContactSheet
from odflow.stages.filter import Filter
from odflow.stages.importing import Import
from odflow.stages.records import Records
from odflow.stages.split import Split

HEADER = ",".join(COLUMNS)
WAYS = ["a.jpg", "./a.jpg", ".//a.jpg", "a.jpg/"]
COMPOSED, APART = "bü.jpg", "bu\u0308.jpg"
VOC = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax>"
VOC += "</bndbox></object></annotation>"


def boxes(path, names):
    path.write_text("\n".join([HEADER, *(f"{name},20,10,cat,1,1,2,3,4" for name in names)]) + "\n")
    return path


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", APART):
        Image.new("RGB", (20, 10)).save(folder / name)
    return folder


@pytest.fixture
def label_map(tmp_path):
    (tmp_path / "map.pbtxt").write_text('item { id: 1 name: "cat" }')
    return tmp_path / "map.pbtxt"


def test_a_picture_of_many_ways_is_on_one_side_and_once_in_the_records(images, label_map, tmp_path):
    run_alone(Filter(detections=boxes(tmp_path / "t.csv", WAYS)), tmp_path / "kept")
    run_alone(Split(detections=tmp_path / "kept/detections.csv"), tmp_path / "sides")
    listed = [(tmp_path / f"sides/{side}_images.txt").read_text() for side in ("train", "valid")]
    assert sorted(listed) == ["", "a.jpg\n"]
    (tmp_path / "list.txt").write_text("\n".join(WAYS))
    for name, more in (("table", {}), ("list", {"image_list": tmp_path / "list.txt"})):
        job = run_alone(
            Records(detections=tmp_path / "t.csv", images=images, label_map=label_map, **more),
            tmp_path / name,
        )
        assert len(list(read_records(tmp_path / name / "records/data.record"))) == 1
        assert job.said[-1] == "1 images, 4 boxes, 1 file(s)"


@pytest.mark.parametrize("file", ["seen.csv", "seen.txt"])
def test_images_seen_of_many_ways_are_one(tmp_path, file):
    rows = "".join(f"{name},ok\n" for name in WAYS) if file == "seen.csv" else "\n".join(WAYS)
    (tmp_path / file).write_text(("filename,status\n" if file == "seen.csv" else "") + rows)
    table = boxes(tmp_path / "t.csv", ["a.jpg"])
    run_alone(Split(detections=table, images_seen=tmp_path / file, keep_empty=True), tmp_path / "out")
    listed = [(tmp_path / f"out/{side}_images.txt").read_text() for side in ("train", "valid")]
    assert sorted(listed) == ["", "a.jpg\n"]


def test_names_that_differ_in_case_or_accents_alone_are_on_one_side(tmp_path):
    pairs = [(f"img_{number}.jpg", f"IMG_{number}.JPG") for number in range(40)]
    pairs += [(f"{number}{COMPOSED}", f"{number}{APART}") for number in range(40)]
    table = boxes(tmp_path / "t.csv", [name for pair in pairs for name in pair])
    for how in ({"valid_fraction": 0.5}, {"train_count": 81}):
        out = tmp_path / next(iter(how))
        job = run_alone(Split(detections=table, **how), out)
        train = set((out / "train_images.txt").read_text().splitlines())
        assert all((one in train) == (other in train) for one, other in pairs)
        assert 0 < len(train) < 160
        assert job.counts["images_of_names"] == 160


def test_what_filter_writes_split_reads_whatever_the_name(tmp_path):
    names = ["a\rb.jpg", 'a"b.jpg', "a,b.jpg", "=1.jpg", "a\x85b.jpg", "a\u2028b.jpg"]
    rows = [(name, 20, 10, "ca\rt", 1.0, 1, 2, 3, 4) for name in names]
    write_detections(pd.DataFrame(rows, columns=COLUMNS), tmp_path / "t.csv")
    run_alone(Filter(detections=tmp_path / "t.csv"), tmp_path / "kept")
    assert read_detections(tmp_path / "kept/detections.csv")["filename"].to_list() == names
    with pytest.raises(InputError, match=r"cannot hold this name, which holds a line end: a\\rb\.jpg"):
        run_alone(Split(detections=tmp_path / "kept/detections.csv"), tmp_path / "sides")
    write_detections(pd.DataFrame(rows[1:], columns=COLUMNS), tmp_path / "t.csv")
    run_alone(Filter(detections=tmp_path / "t.csv"), tmp_path / "more")
    run_alone(Split(detections=tmp_path / "more/detections.csv", train_count=9), tmp_path / "sides")
    listed = (tmp_path / "sides/train_images.txt").read_text().split("\n")[:-1]
    assert listed == sorted(names[1:])
    assert sorted(read_detections(tmp_path / "sides/train.csv")["filename"]) == listed


def test_an_accent_finds_its_file_in_every_stage_that_has_the_folder(images, label_map, tmp_path):
    table = boxes(tmp_path / "t.csv", [COMPOSED, APART])
    job = run_alone(Records(detections=table, images=images, label_map=label_map), tmp_path / "records")
    assert job.said[-1] == "1 images, 2 boxes, 1 file(s)"
    assert any(f"names brought below {images}" in line for line in job.said)
    run_alone(ContactSheet(detections=table, images=images), tmp_path / "sheet")


@pytest.mark.parametrize("form", ["voc", "yolo", "labels_json"])
def test_annotations_find_their_image_by_an_accent_in_another_form(images, tmp_path, form):
    folder = tmp_path / "annotations"
    folder.mkdir()
    stem = COMPOSED.removesuffix(".jpg")
    (folder / f"{stem}.xml").write_text(VOC)
    (folder / f"{stem}.txt").write_text("0 0.5 0.5 0.1 0.2\n")
    (tmp_path / "names.yaml").write_text("names: [cat]")
    (tmp_path / "list.txt").write_text(f"./{stem}\n")
    mesh = {"cat": {"x1": 0.1, "y1": 0.1, "x2": 0.5, "y2": 0.5}}
    (tmp_path / "labels.json").write_text(json.dumps([{"image": f"./images//{COMPOSED}", "meshes": mesh}]))
    annotations = tmp_path / "labels.json" if form == "labels_json" else folder
    more = {"names": tmp_path / "names.yaml"} if form == "yolo" else {}
    fields = {"format": form, "annotations": annotations, "images": images, **more}
    run_alone(Import(**fields, image_list=tmp_path / "list.txt"), tmp_path / "out")
    assert read_detections(tmp_path / "out/annotations.csv")["filename"].to_list() == [APART]
    assert (tmp_path / "out/images.txt").read_text() == f"{APART}\n"


def test_an_image_of_an_unfit_name_is_told_by_import_and_its_annotations_are_no_strangers(images, tmp_path):
    (tmp_path / "xml").mkdir()
    for stem in ("a", " b"):
        Image.new("RGB", (20, 10)).save(images / f"{stem}.jpg")
        (tmp_path / f"xml/{stem}.xml").write_text(VOC)
    job = run_alone(Import(format="voc", annotations=tmp_path / "xml", images=images), tmp_path / "out")
    assert job.counts == {"images_with_unfit_names": 1, "images_without_annotation": 1}
    assert job.said[0].endswith("one begins or ends with a blank ( b.jpg). Rename them.")


def test_masks_find_their_image_in_whatever_way_it_is_written(tmp_path):
    square = {"iscrowd": 0, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}
    data = {
        "images": [
            {"id": 1, "file_name": "./x//a.jpg", "width": 20, "height": 10},
            {"id": 2, "file_name": COMPOSED, "width": 20, "height": 10},
        ],
        "annotations": [{"id": number, "image_id": number, **square} for number in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(data))
    masks = coco_masks(tmp_path / "coco.json").masks
    found = pair_masks([ImageFile(name, tmp_path / name) for name in ("x/a.jpg", APART)], masks)
    assert (found.bare, found.left, len(found.pairs)) == ([], [], 2)
    data["images"][0]["file_name"] = "\ud800.jpg"
    (tmp_path / "coco.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="wanted a name inside the images folder"):
        coco_masks(tmp_path / "coco.json")


BEYOND = ["1e300", "-1e300", str(FAR + 1), "1" * 400, "9" * 5000, "9223372036854775808", "1e400", "True"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("column", ["width", "height", "xmin", "ymin", "xmax", "ymax"])
@pytest.mark.parametrize("number", BEYOND, ids=range(len(BEYOND)))
def test_a_number_beyond_pixels_is_refused_by_line(tmp_path, number, column, suffix):
    row = dict(zip(COLUMNS, ["a.jpg", 20, 10, "cat", 1, 1, 2, 3, 4], strict=True)) | {column: number}
    frame = pd.DataFrame([row], columns=COLUMNS).astype({column: "str"})
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path, index=False)
    with pytest.raises(TableError) as error:
        read_detections(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}:{2 if suffix == '.csv' else 1}: a.jpg: {column} is ")
    assert len(line) < 300


def test_numbers_up_to_the_bound_stay_numbers(tmp_path):
    (tmp_path / "t.csv").write_text(f"{HEADER}\na.jpg,{FAR},{FAR},cat,1,-{FAR},0,{FAR}.0,1e6\n")
    write_detections(read_detections(tmp_path / "t.csv"), tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text().endswith(f"a.jpg,{FAR},{FAR},cat,1,-{FAR},0,{FAR},{FAR}\n")


@pytest.mark.parametrize("number", ["1e300", "1" * 5000, "inf"], ids=["far", "digits", "infinite"])
@pytest.mark.parametrize("column", ["area", "is_crowd"])
def test_an_optional_number_that_is_none_is_refused(images, label_map, tmp_path, column, number):
    (tmp_path / "t.csv").write_text(f"{HEADER},{column}\na.jpg,20,10,cat,1,1,2,3,4,{number}\n")
    with pytest.raises(TableError, match=f"a.jpg: {column} is "):
        run_alone(
            Records(detections=tmp_path / "t.csv", images=images, label_map=label_map), tmp_path / "out"
        )


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([1, 2.5, None], [1, 2.5, np.nan]),
        (["1", " 2 ", "x", ""], [1, 2, np.nan, np.nan]),
        ([True, False], [np.nan, np.nan]),
        ([10**400, "1" * 400, "9" * 5000], [np.inf] * 3),
        ([[1], {}, "1"], [np.nan, np.nan, 1]),
        ([], []),
    ],
    ids=range(6),
)
def test_numbers_of_a_column(values, numbers):
    np.testing.assert_equal(column_numbers(pd.Series(values, dtype=None if values else object)), numbers)


PEOPLE = "filename,person,width,height,center_x,nose_x,nose_y,nose_v"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a.jpg,1e300,20,10,1,1,1,2", "person is beyond 1000000"),
        ("a.jpg,0,1e300,10,1,1,1,2", "width is beyond 1000000"),
        ("a.jpg,0,20,10,-1e7,1,1,2", "center_x is beyond 1000000"),
        (f"a.jpg,0,20,10,1,{'1' * 400},1,2", "nose_x is no number"),
        (f"a.jpg,0,20,10,1,{'1' * 5000},1,2", "nose_x is no number"),
        ("a.jpg,0,20,10,1,1e7,1,2", "nose lies more than 1000000 pixels away"),
        ("..,0,20,10,1,1,1,2", "filename is no name inside the images folder"),
    ],
    ids=range(7),
)
def test_a_table_of_people_refuses_numbers_beyond_pixels(tmp_path, row, why):
    (tmp_path / "k.csv").write_text(f"{PEOPLE}\n{row}\n")
    with pytest.raises(TableError, match=why):
        read_keypoints(tmp_path / "k.csv", ("nose",))


def test_a_table_of_people_knows_one_picture_by_one_name(tmp_path):
    rows = [f"{name},{number},20,10,1,1,1,2" for number, name in enumerate(WAYS)]
    (tmp_path / "k.csv").write_text("\n".join([PEOPLE, *rows]) + "\n")
    assert set(read_keypoints(tmp_path / "k.csv", ("nose",))["filename"]) == {"a.jpg"}
    (tmp_path / "k.csv").write_text(f"{PEOPLE}\na.jpg,0,20,10,1,1,1,2\n./a.jpg,0,20,10,1,1,1,2\n")
    with pytest.raises(TableError, match="the same person as in a row before"):
        read_keypoints(tmp_path / "k.csv", ("nose",))


def test_annotated_people_have_one_name_an_image_and_numbers_of_pixels(tmp_path):
    person = {
        "joints": [[1.0, 2.0]] * 16,
        "joints_vis": [1] * 16,
        "scale": 1,
        "center": [1, 2],
        "image": "a.jpg",
    }
    wrong = [{"joints": [[1e300, 2.0]] * 16}, {"center": [1, -1e9]}, {"image": "\ud800.jpg"}]
    entries = [person, person | {"image": "./a.jpg"}, *(person | one for one in wrong)]
    (tmp_path / "m.json").write_text(json.dumps(entries))
    people = read_mpii(tmp_path / "m.json")
    assert people.table[["filename", "person"]].to_numpy().tolist() == [["a.jpg", 0], ["a.jpg", 1]]
    assert [fault.why for fault in people.left_out] == [
        "right_ankle lies more than 1000000 pixels away",
        "its center_y is beyond 1000000",
        "its image is no name inside the images folder",
    ]
    coco = {
        "images": [{"id": 1, "file_name": "x//a.jpg", "width": 1e300, "height": 9}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2], "bbox": [0, 0, 1, 1]}],
    }
    (tmp_path / "c.json").write_text(json.dumps(coco))
    (fault,) = read_coco_keypoints(tmp_path / "c.json").left_out
    assert fault.why == "its width is beyond 1000000"
