"""The stage `evaluate`, on a tiny model and on the real one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from odflow.errors import InputError
from odflow.formats.detections import read_detections
from odflow.graph.execute import run_alone
from odflow.ops.metrics import AP50, AR100, MAP
from odflow.stages.evaluate import Evaluate
from odflow.stages.importing import Import
from odflow.stages.records import Records

CLASS = "DetectionBoxes_PerformanceByCategory/mAP@.50IOU"


@pytest.fixture
def images(tmp_path, bright_image) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(bright_image(90, 120, (9, 50, 80, 110))).save(folder / "a.png")
    Image.fromarray(bright_image(60, 60, (1, 1, 59, 59), red=False)).save(folder / "b.png")
    return folder


def table(path: Path, rows) -> Path:
    columns = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "is_crowd"]
    pd.DataFrame([(*row, 0)[: len(columns)] for row in rows], columns=columns).to_csv(path, index=False)
    return path


RIGHT = [("a.png", 120, 90, "red", 50, 9, 110, 80), ("b.png", 60, 60, "green", 1, 1, 59, 59)]


def evaluate(out: Path, **fields):
    job = run_alone(Evaluate(**fields), out)
    return job, json.loads((out / "metrics.json").read_text())


def test_a_perfect_model(bright_model, images, tmp_path):
    annotations = table(tmp_path / "truth.csv", RIGHT)
    job, metrics = evaluate(
        tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations
    )
    assert [metrics[name] for name in (MAP, AP50, AR100)] == pytest.approx([1, 1, 1])
    assert list(metrics) == sorted(metrics)
    assert job.said == [
        "2 of 4 detections have ids that label_map.pbtxt (1 to 2) lacks: 7. Is it the model's label map?",
        "mAP 1.0000, AP50 1.0000, AR@100 1.0000 on 2 images with 2 objects",
        "AP50 per class: red 1.000, green 1.000",
    ]
    found = read_detections(tmp_path / "out/detections.csv")
    assert found["class"].tolist() == ["red", "N/A", "green", "N/A"]


def test_a_miss_a_false_alarm_and_a_crowd(bright_model, images, tmp_path):
    wrong = [("a.png", 120, 90, "red", 0, 0, 20, 20), ("a.png", 120, 90, "red", 50, 9, 110, 80, 1), RIGHT[1]]
    annotations = table(tmp_path / "truth.csv", wrong)
    _, metrics = evaluate(tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations)
    assert metrics[f"{CLASS}/red"] == 0
    assert metrics[f"{CLASS}/green"] == pytest.approx(1)
    assert metrics[AP50] == pytest.approx(0.5)


def test_silent_about_no_image_that_the_table_has_no_row_of(bright_model, images, tmp_path):
    annotations = table(tmp_path / "truth.csv", RIGHT[:1])
    job, metrics = evaluate(
        tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations
    )
    assert job.said[0] == (
        "1 images left out, since truth.csv has no row of them (b.png). If they show nothing: unlisted: "
        "empty, or give a list of images."
    )
    assert job.counts["images_not_annotated"] == 1
    assert any("on 1 images with 1 objects" in line for line in job.said)
    assert metrics[MAP] == pytest.approx(1)
    assert set(read_detections(tmp_path / "out/detections.csv")["filename"]) == {"a.png"}


@pytest.mark.parametrize("how", ["unlisted", "list"])
def test_an_image_without_boxes_counts_where_somebody_says_so(bright_model, images, tmp_path, how):
    annotations = table(tmp_path / "truth.csv", RIGHT[:1])
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    said = {"unlisted": {"images": images, "unlisted": "empty"}, "list": {"images": tmp_path / "list.txt"}}
    fields = said[how] | ({"root": images} if how == "list" else {})
    job, metrics = evaluate(tmp_path / "out", model=bright_model.folder, annotations=annotations, **fields)
    assert any("on 2 images with 1 objects" in line for line in job.said)
    assert "images_not_annotated" not in job.counts
    assert metrics[f"{CLASS}/green"] is None  # no ground truth


def test_records_give_the_same_as_the_table(bright_model, images, tmp_path):
    moved = [("a.png", 120, 90, "red", 54, 9, 110, 77), RIGHT[1]]
    annotations = table(tmp_path / "truth.csv", moved)
    for shards in (1, 2):
        made = Records(detections=annotations, images=images, label_map=bright_model.label_map, shards=shards)
        run_alone(made, tmp_path / f"records{shards}")
    model = bright_model.folder
    _, wanted = evaluate(tmp_path / "one", model=model, images=images, annotations=annotations)
    assert 0 < wanted[MAP] < 1
    for records in ("records1/records", "records2/records", "records1/records/data.record"):
        _, metrics = evaluate(tmp_path / "two", model=model, records=tmp_path / records)
        assert metrics == pytest.approx(wanted)
        assert (tmp_path / "one/detections.csv").read_bytes() == (
            tmp_path / "two/detections.csv"
        ).read_bytes()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("a.png", 120, 90, "rad", 1, 1, 2, 2)], 'a.png has class "rad".*2 classes.*Did you mean "red"'),
        ([("c.png", 120, 90, "red", 1, 1, 2, 2)], "has boxes of c.png, which is not among the images"),
        ([], "holds no box"),
        ([("a.png", 90, 120, "red", 1, 1, 2, 2)], "a.png has 90x120 pixels, the image is 120x90"),
        (
            [RIGHT[0], ("a.png", 60, 45, "red", 1, 1, 2, 2), ("b.png", 6, 6, "red", 1, 1, 2, 2)],
            r"(?s)a.png has 60x45 .*b.png has 6x6 pixels, the image is 60x60 when upright\. Give the images",
        ),
    ],
)
def test_ground_truth_that_does_not_fit(bright_model, images, tmp_path, rows, says):
    annotations = table(tmp_path / "truth.csv", rows)
    with pytest.raises(InputError, match=says):
        evaluate(tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations)
    assert not (tmp_path / "out/metrics.json").exists()


def test_an_unreadable_image_ends_it(bright_model, images, tmp_path):
    (images / "b.png").write_bytes((images / "b.png").read_bytes()[:60])
    annotations = table(tmp_path / "truth.csv", RIGHT)
    with pytest.raises(InputError, match=r"b\.png: .*Metrics need every image"):
        evaluate(tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations)


def test_an_image_of_more_pixels_than_the_stage_says_ends_it(bright_model, images, tmp_path):
    given = {"model": bright_model.folder, "images": images, "annotations": table(tmp_path / "t.csv", RIGHT)}
    with pytest.raises(
        InputError, match=r"a\.png: has 10800 pixels; wanted at most 10799\. .*set max_pixels"
    ):
        evaluate(tmp_path / "out", **given, max_pixels=10_799)
    evaluate(tmp_path / "out", **given, max_pixels=10_800)


def test_boxes_of_the_picture_as_it_is_stored_are_told_as_such(bright_model, images, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(images / "a.png").rotate(90, expand=True).save(images / "a.png", exif=exif)
    annotations = table(tmp_path / "truth.csv", [("a.png", 90, 120, "red", 1, 1, 2, 2)])
    with pytest.raises(InputError, match=r"image is 120x90 when upright\. EXIF turns it .*import it again"):
        evaluate(tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations)


def test_a_label_map_of_another_model_is_told(bright_model, images, tmp_path):
    annotations = table(tmp_path / "truth.csv", RIGHT)
    job, _ = evaluate(tmp_path / "out", model=bright_model.folder, images=images, annotations=annotations)
    assert job.counts == {"detections_unknown_class": 2}
    other = tmp_path / "other.pbtxt"
    other.write_text("item { id: 1 name: 'red' }\nitem { id: 7 name: 'green' }")
    fields = {"model": bright_model.folder, "images": images, "annotations": annotations, "label_map": other}
    job, _ = evaluate(tmp_path / "out2", **fields)
    assert "1 of 4 detections have ids that other.pbtxt (1 to 7) lacks: 2." in job.said[0]
    other.write_text("item { id: 51 name: 'red' }\nitem { id: 52 name: 'green' }")
    with pytest.raises(InputError, match=r"4 of 4 .* lacks: 1, 2, 7"):
        evaluate(tmp_path / "out3", **fields)
    assert not (tmp_path / "out3/metrics.json").exists()


def test_damaged_records(bright_model, images, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file of records"):
        evaluate(tmp_path / "out", model=bright_model.folder, records=tmp_path / "empty")
    (tmp_path / "no.record").write_bytes(b"no records at all, but bytes")
    with pytest.raises(InputError, match=r"no\.record: is a text file"):
        evaluate(tmp_path / "out", model=bright_model.folder, records=tmp_path / "no.record")


@pytest.mark.parametrize(
    "fields", [{}, {"records": "a", "images": "b", "annotations": "c"}, {"images": "b"}, {"annotations": "c"}]
)
def test_either_records_or_images_with_annotations(fields):
    with pytest.raises(ValidationError, match="give either records, or images together with annotations"):
        Evaluate(model="model", **fields)


@pytest.mark.slow
def test_the_real_model_on_val2017(shared, tmp_path):
    data, folder = shared / "data/coco128", shared / "models/ssd_mobilenet_v1_coco"
    images = data / "images/val2017"
    labels, names = data / "object_detection/labels/val2017", data / "object_detection/config.yaml"
    run_alone(Import(format="yolo", annotations=labels, images=images, names=names), tmp_path / "truth")
    _, metrics = evaluate(
        tmp_path / "out",
        model=folder / "frozen_inference_graph.pb",
        label_map=folder / "mscoco_label_map.pbtxt",
        images=images,
        annotations=tmp_path / "truth/annotations.csv",
        unlisted="empty",
    )
    assert metrics[MAP] == pytest.approx(0.2543, abs=0.0005)
    assert metrics[AP50] == pytest.approx(0.3989, abs=0.0005)
    found = read_detections(tmp_path / "out/detections.csv")
    assert (found.groupby("filename").size() <= 100).all()
    assert np.all(found["score"] > 0)
