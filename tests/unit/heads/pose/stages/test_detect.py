"""The stage `pose.detect`, on a network that finds the middle of each colour."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import ConfigError, InputError, TableError
from odflow.formats.keypoints import joints_of, read_keypoints
from odflow.graph.execute import run_alone
from odflow.heads.pose import detection
from odflow.heads.pose.stages.detect import Detect
from odflow.inference import chunks

LEFT = ((60, 70), (30, 74), (44, 20))
JOINTS = ("left_hip", "right_hip", "head")
RIGHT = ((160, 80), (130, 82), (148, 25))


@pytest.fixture(scope="module")
def model(dots) -> Path:
    return dots.folder


@pytest.fixture
def images(dots, tmp_path) -> Path:
    """One image of one person, one of two, one damaged."""
    folder = tmp_path / "images"
    (folder / "b").mkdir(parents=True)
    Image.fromarray(dots.picture(100, 90, LEFT)).save(folder / "a.png")
    Image.fromarray(dots.picture(110, 200, LEFT, RIGHT)).save(folder / "b" / "two.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def detect(out: Path, **fields):
    job = run_alone(Detect(**fields), out, name="pose.detect")
    table = read_keypoints(out / "keypoints.csv", JOINTS)
    return job, table, joints_of(table, JOINTS)


def boxes(path: Path, *rows) -> Path:
    columns = ["filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def near(found, people):
    np.testing.assert_allclose(found[..., :2], np.array(people) + 0.5, atol=0.6)


def test_each_image_is_one_person(model, images, tmp_path, caplog):
    (images / "b" / "two.png").unlink()
    with caplog.at_level(logging.WARNING):
        job, table, found = detect(tmp_path / "out", model=model, images=images)
    near(found, [LEFT])
    assert table[["filename", "person", "width", "height", "score", "head_score"]].to_numpy().tolist() == [
        ["a.png", 0, 90, 100, 0.75, 0.75]
    ]
    assert job.said == ["1 people in 1 images, 1 unreadable"]
    assert "unreadable: broken.png" in caplog.text


def test_images_of_more_pixels_than_the_stage_says_are_named(model, images, tmp_path, caplog):
    (images / "broken.png").unlink()
    with caplog.at_level(logging.WARNING):
        job, table, _ = detect(tmp_path / "out", model=model, images=images, max_pixels=21_999)
    assert table["filename"].tolist() == ["a.png"]
    assert job.counts["images_unreadable"] == 1
    assert "unreadable: b/two.png: has 22000 pixels; wanted at most 21999." in caplog.text
    _, table, _ = detect(tmp_path / "all", model=model, images=images, max_pixels=22_000)
    assert table["filename"].tolist() == ["a.png", "b/two.png"]


def test_boxes_of_a_detector(model, images, tmp_path):
    table = boxes(
        tmp_path / "boxes.csv",
        ["b/two.png", 200, 110, "person", 0.9, 120, 15, 170, 90],
        ["b/two.png", 200, 110, "dog", 0.9, 0, 0, 200, 110],
        ["b/two.png", 200, 110, "person", 0.4, 0, 0, 200, 110],
        ["b/two.png", 200, 110, "person", 0.8, 20, 15, 70, 90],
        ["a.png", 90, 100, "person", 0.8, 20, 15, 70, 90],
    )
    _, rows, found = detect(tmp_path / "out", model=model, images=images, detections=table, margin=0.1)
    assert rows[["filename", "person"]].to_numpy().tolist() == [
        ["a.png", 0],
        ["b/two.png", 0],
        ["b/two.png", 1],
    ]
    near(found, [LEFT, RIGHT, LEFT])


def test_silent_about_no_image_left_out_and_no_box_without_a_class(model, images, tmp_path):
    (images / "x.tiff").write_bytes(b"II*\0")
    job, *_ = detect(tmp_path / "out", model=model, images=images)
    assert job.counts["images_of_other_forms"] == 1
    table = boxes(
        tmp_path / "boxes.csv",
        ["a.png", 90, 100, "N/A", 0.8, 20, 15, 70, 90],
        ["a.png", 90, 100, "person", 0.8, 20, 15, 70, 90],
    )
    job, *_ = detect(tmp_path / "out2", model=model, images=images, detections=table)
    assert job.counts == {"detections_unknown_class": 1}


def test_people_of_a_table_are_cut_out_by_their_joints(dots, model, images, tmp_path, caplog):
    unlabelled = [*dots.row(LEFT)[:6], 0, 0, 0]
    table = dots.table(
        tmp_path / "truth.csv",
        ["b/two.png", 3, dots.row(RIGHT)],
        ["b/two.png", 1, dots.row(LEFT)],
        ["a.png", 0, dots.row(LEFT)],
        ["a.png", 1, dots.row(LEFT, v=0)],
        ["a.png", 2, unlabelled],
        split=["test", "test", "test", "test", "train"],
        scale=[0.2, 0.2, np.nan, 0.2, 0.2],
    )
    fields = {"model": model, "images": images, "persons": table, "split": "test", "margin": 0.1}
    with caplog.at_level(logging.WARNING):
        job, rows, found = detect(tmp_path / "out", **fields)
    assert rows[["filename", "person"]].to_numpy().tolist() == [
        ["a.png", 0],
        ["b/two.png", 3],
        ["b/two.png", 1],
    ]
    near(found, [LEFT, RIGHT, LEFT])
    assert "left out: a.png, person 1: no joint is labelled" in caplog.text
    assert job.said[-1] == "3 people in 2 images"
    (tmp_path / "list.txt").write_text("a.png\n")
    job, rows, _ = detect(tmp_path / "listed", **fields, image_list=tmp_path / "list.txt")
    assert set(rows["filename"]) == {"a.png"}


def test_a_model_of_whole_images(dots, images, tmp_path):
    whole = dots.export(tmp_path / "exported", whole=True)
    table = dots.table(tmp_path / "truth.csv", ["a.png", 4, dots.row(((10, 10), (12, 12), (14, 14)))])
    _, rows, found = detect(tmp_path / "out", model=whole, images=images, persons=table)
    assert rows["person"].tolist() == [4]
    near(found, [LEFT])
    with pytest.raises(ConfigError, match="trained on whole images"):
        detect(tmp_path / "no", model=whole, images=images, detections=boxes(tmp_path / "boxes.csv"))


def test_the_same_bytes_by_any_number_of_workers(model, images, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 1)
    stage = Detect(model=model, images=images, count=1)
    for jobs in (1, 3):
        run_alone(stage, tmp_path / str(jobs), workers=Threads(jobs))
    for name in ("keypoints.csv", "pictures/000_a.jpg"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_pictures_of_some_images(dots, model, images, tmp_path):
    detect(tmp_path / "out", model=model, images=images, count=5)
    pictures = sorted((tmp_path / "out" / "pictures").iterdir())
    assert [path.name for path in pictures] == ["000_a.jpg", "001_two.jpg"]
    with Image.open(pictures[0]) as picture:
        drawn, before = np.asarray(picture.convert("RGB")).astype(int), dots.picture(100, 90, LEFT)
    assert np.abs(drawn - before)[60:80, 35:55].max() > 150  # the limb from hip to hip
    assert np.abs(drawn - before)[:10].max() < 30
    detect(tmp_path / "none", model=model, images=images, count=0)
    assert list((tmp_path / "none" / "pictures").iterdir()) == []


def test_people_far_apart_by_batches(dots, model, images, tmp_path, monkeypatch):
    everybody = [["b/two.png", n, dots.row(LEFT if n % 2 else RIGHT)] for n in range(7)]
    table = dots.table(tmp_path / "truth.csv", *everybody, ["a.png", 0, dots.row(LEFT)])
    monkeypatch.setattr(detection, "_BATCH", 3)
    _, rows, found = detect(tmp_path / "out", model=model, images=images, persons=table, margin=0.1)
    assert rows["person"].tolist() == [0, *range(7)]
    near(found, [LEFT, *([RIGHT, LEFT] * 4)[:7]])


def test_wrong_inputs(dots, model, images, tmp_path):
    person = ["a.png", 90, 100, "human", 0.9, 120, 15, 170, 90]
    missing = dots.table(tmp_path / "missing.csv", ["gone.png", 0, dots.row(LEFT)])
    for fields, error, says in (
        (
            {"detections": boxes(tmp_path / "boxes.csv", person)},
            TableError,
            r'no class "person"\. Known: human',
        ),
        (
            {"persons": missing},
            InputError,
            r"none of its 1 images can be read\. First: gone\.png: no such image",
        ),
        ({"persons": missing, "split": "test"}, TableError, "has no column split"),
        ({"model": images}, InputError, r"has no pose\.json"),
    ):
        with pytest.raises(error, match=says):
            detect(tmp_path / "out", **({"model": model, "images": images} | fields))
    with pytest.raises(ValueError, match="either detections or persons"):
        Detect(model=model, images=images, persons=missing, detections=missing)


def test_nobody_is_found_where_no_box_scores(model, images, tmp_path):
    table = boxes(tmp_path / "boxes.csv", ["a.png", 90, 100, "person", 0.2, 20, 15, 70, 90])
    job, rows, _ = detect(tmp_path / "out", model=model, images=images, detections=table)
    assert len(rows) == 0
    assert job.said == ["0 people in 0 images"]
