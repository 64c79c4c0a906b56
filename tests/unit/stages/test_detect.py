"""The stage `detect`, on a tiny model and on the real one."""

import csv
import io
import logging
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odflow.errors import InputError
from odflow.formats.detections import read_detections
from odflow.graph.execute import run_alone
from odflow.stages.detect import Detect


@pytest.fixture
def images(tmp_path, bright_image) -> Path:
    """Three images: a nested one, one that is no image, and one that is cut off."""
    folder = tmp_path / "images"
    (folder / "b").mkdir(parents=True)
    Image.fromarray(bright_image(90, 120, (9, 10, 80, 110))).save(folder / "b/nested.png")
    Image.fromarray(bright_image(50, 60, (0, 0, 50, 59), red=False)).save(folder / "c.bmp")
    whole = io.BytesIO()
    Image.fromarray(bright_image(200, 200, (5, 5, 100, 100))).save(whole, "JPEG")
    (folder / "a.jpg").write_bytes(whole.getvalue()[:-300])
    return folder


def detect(out: Path, **fields):
    job = run_alone(Detect(**fields), out)
    with (out / "images.csv").open(newline="") as file:
        return job, read_detections(out / "detections.csv"), list(csv.DictReader(file))


def test_rows_and_images(bright_model, images, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        job, found, seen = detect(tmp_path / "out", model=bright_model.folder, images=images, min_score=0.2)
    # in the order of the images, in each by falling score; class 7 is in no label map
    assert found[["filename", "class"]].to_numpy().tolist() == [
        ["b/nested.png", "red"],
        ["b/nested.png", "N/A"],
        ["c.bmp", "green"],
        ["c.bmp", "N/A"],
    ]
    assert found.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == [10, 9, 110, 80]
    assert found.loc[1, ["width", "height", "xmax", "ymax"]].tolist() == [120, 90, 120, 90]
    assert np.float32(found.loc[2, "score"]) == np.float32(50 * 59 / 3000)
    assert [(row["filename"], row["detections"], row["status"]) for row in seen] == [
        ("a.jpg", "0", "unreadable"),
        ("b/nested.png", "2", "ok"),
        ("c.bmp", "2", "ok"),
    ]
    assert "cut" in seen[0]["error"] or "truncated" in seen[0]["error"]
    assert str(tmp_path) not in seen[0]["error"]
    assert (seen[1]["width"], seen[1]["height"], seen[1]["error"]) == ("120", "90", "")
    assert job.said == ["4 detections in 2 images, 1 unreadable"]
    assert "unreadable: a.jpg" in caplog.text


def test_scores_above_the_lowest_and_the_best_of_an_image(bright_model, images, tmp_path):
    _, found, _ = detect(tmp_path / "strict", model=bright_model.folder, images=images, min_score=0.25)
    assert "N/A" not in found["class"].tolist()  # its score is 0.25, which is not above 0.25
    _, found, seen = detect(
        tmp_path / "best", model=bright_model.folder, images=images, min_score=0, max_detections=1
    )
    assert found["class"].tolist() == ["red", "green"]
    assert [row["detections"] for row in seen] == ["0", "1", "1"]


def test_the_same_bytes_every_time(bright_model, images, tmp_path):
    for out in ("one", "two"):
        detect(tmp_path / out, model=bright_model.folder, images=images)
    for name in ("detections.csv", "images.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_list_of_images_and_what_it_reads(bright_model, images, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("c.bmp\n")
    stage = Detect(model=bright_model.folder, images=listed, root=images)
    assert list(stage.also_reads()) == [images / "c.bmp"]
    assert list(Detect(model=bright_model.folder, images=images).also_reads()) == []
    run_alone(stage, tmp_path / "out")
    assert set(read_detections(tmp_path / "out/detections.csv")["filename"]) == {"c.bmp"}


def test_nothing_is_left_where_every_image_is_unreadable(bright_model, images, tmp_path):
    (images / "c.bmp").unlink()
    shutil.rmtree(images / "b")
    with pytest.raises(InputError, match=r"none of its 1 images can be read\. First: a\.jpg"):
        run_alone(Detect(model=bright_model.folder, images=images), tmp_path / "out")
    assert not (tmp_path / "out/detections.csv").exists()


def test_wrong_inputs(bright_model, images, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for fields, says in (
        ({"model": bright_model.folder, "images": empty}, "holds no image"),
        ({"model": bright_model.frozen, "images": images}, "Give label_map"),
        (
            {"model": tmp_path / "no.pb", "images": images, "label_map": bright_model.label_map},
            "no such model",
        ),
    ):
        with pytest.raises(InputError, match=says):
            run_alone(Detect(**fields), tmp_path / "out")


@pytest.mark.slow
def test_the_rows_are_those_of_the_plain_loop(shared, project, tmp_path, capsys):
    folder = shared / "models/ssd_mobilenet_v1_coco"
    model, label_map = folder / "frozen_inference_graph.pb", folder / "mscoco_label_map.pbtxt"
    images = shared / "data/coco128/images/val2017"
    loop = runpy.run_path(str(project / "benchmarks/detect_peer.py"))
    loop["main"](model, label_map, images, tmp_path / "loop.csv", 0.5)
    _, ours, _ = detect(tmp_path / "out", model=model, label_map=label_map, images=images)
    theirs = read_detections(tmp_path / "loop.csv")
    assert len(ours) == len(theirs) > 600
    assert (
        ours[["filename", "width", "height", "class"]] == theirs[["filename", "width", "height", "class"]]
    ).all(None)
    np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-4)
    corners = ["xmin", "ymin", "xmax", "ymax"]
    np.testing.assert_allclose(ours[corners], theirs[corners], atol=1)
