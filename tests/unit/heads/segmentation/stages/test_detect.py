"""The stage `segmentation.detect`, on a network that finds red and green."""

import csv
import itertools
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import ConfigError, InputError, TableError
from odflow.formats.example import decode_example
from odflow.formats.png_masks import read_mask
from odflow.formats.tfrecord import read_records
from odflow.graph.execute import execute, run_alone
from odflow.heads.segmentation.stages.detect import Detect
from odflow.heads.segmentation.stages.records import Records

SIZES = {"a.png": (7, 13), "b/c.png": (31, 5), "b/d.jpg": (1, 1), "e.png": (40, 60)}


@pytest.fixture
def images(painter, tmp_path) -> Path:
    folder = tmp_path / "images"
    (folder / "b").mkdir(parents=True)
    for seed, (name, size) in enumerate(SIZES.items()):
        Image.fromarray(painter.picture(*size, seed)).save(folder / name)
    return folder


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def boxes(path, *rows):
    columns = ["filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def everything(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def test_a_mask_has_the_size_of_its_image_and_the_classes_of_its_pixels(painter, images, tmp_path):
    job = run_alone(Detect(model=painter.folder, images=images), tmp_path / "out")
    for name, size in SIZES.items():
        mask = read_mask(tmp_path / "out/masks" / Path(name).with_suffix(".png"))
        assert mask.shape == size
        np.testing.assert_array_equal(mask, painter.expected(pixels(images / name)))
    assert job.said == ["masks of 4 images"]
    assert json.loads((tmp_path / "out/classes.json").read_text())["names"] == {
        "0": "background",
        "1": "red",
        "2": "green",
    }
    with (tmp_path / "out/images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"filename": "b/c.png", "width": "5", "height": "31", "status": "ok", "error": ""}


def test_eyes_can_tell_the_classes_apart(painter, images, tmp_path):
    run_alone(Detect(model=painter.folder, images=images, count=2), tmp_path / "out")
    shown, mask = pixels(tmp_path / "out/masks/e.png"), read_mask(tmp_path / "out/masks/e.png")
    colours = [{tuple(colour) for colour in shown[mask == number].tolist()} for number in range(3)]
    assert colours[0] == {(0, 0, 0)}
    assert [len(one) for one in colours] == [1, 1, 1]
    assert len(set.union(*colours)) == 3
    overlays = sorted((tmp_path / "out/overlays").iterdir())
    assert [path.name for path in overlays] == ["000_a.jpg", "001_d.jpg"]
    run_alone(Detect(model=painter.folder, images=images, count=9), tmp_path / "all")
    before, drawn = pixels(images / "e.png").astype(int), pixels(tmp_path / "all/overlays/003_e.jpg")
    # A JPEG smears borders; away from them the mask's colour hides half of what was there.
    assert np.abs(drawn - before)[mask > 0].max(axis=1).mean() > 60
    assert np.abs(drawn - before)[mask == 0].max(axis=1).mean() < 30


def test_segmentation_records_reads_the_masks(painter, images, tmp_path):
    out = tmp_path / "out"
    run_alone(Detect(model=painter.folder, images=images), out)
    fields = {"images": images, "masks": out / "masks", "names": out / "classes.json", "train_count": 4}
    run_alone(Records(format="index", **fields), tmp_path / "records", name="records")
    examples = [decode_example(one) for one in read_records(tmp_path / "records/train/data.record")]
    assert len(examples) == 4
    for example in examples:
        name = example["image/filename"][0].decode()
        (tmp_path / "mask.png").write_bytes(example["image/segmentation/class/encoded"][0])
        np.testing.assert_array_equal(
            read_mask(tmp_path / "mask.png"), painter.expected(pixels(images / name))
        )


def test_boxes_are_pasted_the_highest_score_on_top(painter, tmp_path):
    (tmp_path / "images").mkdir()
    picture = np.zeros((30, 41, 3), np.uint8)
    picture[5:15, 5:25, 0] = 250  # red
    picture[10:20, 15:35, :] = (0, 250, 0)
    picture[27, 3, 2] = 250  # blue, which only the box of the lowest score sees
    picture[25:28, 2, 0] = 250
    picture[16:18, 36:40, 0] = 100  # red for that box alone
    Image.fromarray(picture).save(tmp_path / "images/a.png")
    Image.fromarray(picture).save(tmp_path / "images/none.png")
    low, high, edge = (0, 0, 41, 30), (14.6, 4.2, 50, 19), (-7, 24, 2.5, 33)
    table = boxes(
        tmp_path / "boxes.csv",
        ["a.png", 41, 30, "thing", 0.9, *high],
        ["a.png", 41, 30, "thing", 0.5, *low],
        ["a.png", 41, 30, "thing", 0.8, *edge],
        ["a.png", 41, 30, "thing", 0.4, 0, 0, 3, 3],
        ["a.png", 41, 30, "other", 1.0, 0, 0, 41, 30],
        ["a.png", 41, 30, "thing", 1.0, 7, 7, 7, 9],
    )
    fields = {"model": painter.folder, "images": tmp_path / "images", "detections": table}
    run_alone(Detect(**fields, box_classes=["thing"], margin=0), tmp_path / "out")
    mask = painter.expected(picture)  # the lowest box sees blue, and so red for green
    for region in (np.s_[24:, :3], np.s_[4:19, 14:]):
        upper = painter.expected(picture[region])
        mask[region] = np.where(upper > 0, upper, mask[region])
    np.testing.assert_array_equal(read_mask(tmp_path / "out/masks/a.png"), mask)
    assert not read_mask(tmp_path / "out/masks/none.png").any()
    assert (mask[26, 2], mask[17, 38]) == (1, 2)


def test_the_network_sees_a_margin_that_is_not_pasted(painter, tmp_path):
    (tmp_path / "images").mkdir()
    picture = np.zeros((30, 40, 3), np.uint8)
    picture[:, :, 0] = 250
    picture[:, 26, 2] = 250  # blue, 6 pixels to the right of the box
    Image.fromarray(picture).save(tmp_path / "images/a.png")
    table = boxes(tmp_path / "boxes.csv", ["a.png", 40, 30, "thing", 0.9, 10, 5, 20, 25])
    fields = {"model": painter.folder, "images": tmp_path / "images", "detections": table}
    for margin, number in ((0.25, 1), (0.35, 2)):  # shares of 20 pixels
        out = tmp_path / str(margin)
        run_alone(Detect(**fields, margin=margin), out)
        wanted = np.zeros((30, 40), np.uint8)
        wanted[5:25, 10:20] = number
        np.testing.assert_array_equal(read_mask(out / "masks/a.png"), wanted)


def test_without_a_class_background_what_no_box_shows_is_ignored(painter, tmp_path):
    model = painter.export(tmp_path / "exported", ("sky", "red", "green"))
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full((6, 8, 3), (250, 0, 0), np.uint8)).save(tmp_path / "images/a.png")
    table = boxes(tmp_path / "boxes.csv", ["a.png", 8, 6, "thing", 0.9, 2, 1, 4, 5])
    run_alone(Detect(model=model, images=tmp_path / "images", detections=table), tmp_path / "out")
    wanted = np.full((6, 8), 255, np.uint8)
    wanted[1:5, 2:4] = 1
    np.testing.assert_array_equal(read_mask(tmp_path / "out/masks/a.png"), wanted)


class Stopping(Threads):
    """Gives so many results of `map`, then fails as a machine does."""

    def __init__(self, after):
        super().__init__(2)
        self.after = after

    def map(self, function, items):
        yield from itertools.islice(super().map(function, items), self.after)
        raise RuntimeError("stopped")


def test_a_stopped_run_goes_on_where_it_was(painter, images, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("odflow.inference.chunks.CHUNK", 1)
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    stage = Detect(model=painter.folder, images=images)
    execute(stage, tmp_path / "whole", name="detect", workers=Threads(1))
    with pytest.raises(RuntimeError, match="stopped"):
        execute(stage, tmp_path / "work", name="detect", workers=Stopping(3))
    done = tmp_path / "work/masks/a.png"
    before = done.stat().st_mtime_ns
    with caplog.at_level(logging.INFO):
        execute(stage, tmp_path / "work", name="detect", workers=Threads(3))
    assert "goes on after 3 of 5 images" in caplog.messages
    assert done.stat().st_mtime_ns == before
    assert everything(tmp_path / "work") == everything(tmp_path / "whole")


def test_the_images_of_a_list(painter, images, tmp_path):
    (tmp_path / "list.txt").write_text("e.png\nb/c.png\n")
    table = boxes(tmp_path / "boxes.csv", ["a.png", 13, 7, "thing", 0.9, 0, 0, 5, 5])
    fields = {"image_list": tmp_path / "list.txt", "detections": table}
    run_alone(Detect(model=painter.folder, images=images, **fields), tmp_path / "out")
    made = sorted(path.name for path in (tmp_path / "out/masks").rglob("*.png"))
    assert made == ["c.png", "e.png"]


def test_silent_about_no_image_left_out_and_no_box_without_a_class(painter, images, tmp_path):
    (images / "x.gif").write_bytes(b"GIF89a")
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    table = boxes(tmp_path / "boxes.csv", ["a.png", 13, 7, "N/A", 0.9, 0, 0, 5, 5])
    job = run_alone(Detect(model=painter.folder, images=images, detections=table), tmp_path / "out")
    assert job.counts == {
        "images_of_other_forms": 1,
        "detections_unknown_class": 1,
        "images_unreadable": 1,
    }
    assert "1 of 1 rows of boxes.csv are of no class (N/A)" in job.said[1]


def test_unreadable_images_are_named(painter, images, tmp_path, caplog):
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with caplog.at_level(logging.WARNING):
        job = run_alone(Detect(model=painter.folder, images=images), tmp_path / "out")
    assert job.said == ["masks of 4 images, 1 unreadable"]
    assert "unreadable: bad.png: " in caplog.text
    for name in SIZES:
        (images / name).unlink()
    with pytest.raises(InputError, match=r"none of its 1 images can be read\. First: bad\.png"):
        run_alone(Detect(model=painter.folder, images=images), tmp_path / "none")


def test_images_of_more_pixels_than_the_stage_says_are_named(painter, images, tmp_path, caplog):
    Image.new("L", (300, 300)).save(images / "large.png")
    with caplog.at_level(logging.WARNING):
        job = run_alone(Detect(model=painter.folder, images=images, max_pixels=89_999), tmp_path / "out")
    assert job.said == ["masks of 4 images, 1 unreadable"]
    assert "unreadable: large.png: has 90000 pixels; wanted at most 89999." in caplog.text
    job = run_alone(Detect(model=painter.folder, images=images, max_pixels=90_000), tmp_path / "all")
    assert job.said == ["masks of 5 images"]


def test_wrong_inputs(painter, images, tmp_path):
    row = ["a.png", 13, 7, "thing", 0.9, 0, 0, 5, 5]
    other = ["a.png", 12, 7, "thing", 0.9, 0, 0, 5, 5]
    pose = painter.export(tmp_path / "pose")
    (pose / "segmentation.json").rename(pose / "pose.json")
    broken = painter.export(tmp_path / "broken")
    (broken / "segmentation.json").write_text("{}")
    table = boxes(tmp_path / "boxes.csv", row)
    lost = boxes(tmp_path / "lost.csv", row, ["gone.png", 13, 7, "thing", 0.9, 0, 0, 5, 5])
    for fields, error, says in (
        ({"model": pose}, InputError, r"has no segmentation\.json.*folder that segmentation\.export wrote"),
        ({"model": broken}, ConfigError, r"not the settings of a segmentation model"),
        ({"detections": table, "box_classes": ["thin"]}, TableError, r'"thin"\. Did you mean "thing"'),
        ({"detections": lost}, InputError, r"has boxes in gone\.png \(1 such images\), which"),
        (
            {"detections": boxes(tmp_path / "size.csv", other)},
            InputError,
            r"a\.png: has 13x7 pixels, its boxes are of 12x7",
        ),
    ):
        with pytest.raises(error, match=says):
            run_alone(Detect(**({"model": painter.folder, "images": images} | fields)), tmp_path / "out")
    with pytest.raises(ValueError, match="box_classes needs detections"):
        Detect(model=painter.folder, images=images, box_classes=["thing"])
    Image.new("RGB", (3, 3)).save(images / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png would have one mask"):
        run_alone(Detect(model=painter.folder, images=images), tmp_path / "out")
