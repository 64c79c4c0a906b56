"""The stage `contact_sheet`: size, colours and what is drawn where."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from odflow.errors import InputError
from odflow.formats.contact_sheet import class_colours, evenly
from odflow.graph.execute import run_alone
from odflow.stages.contact_sheet import ContactSheet

COLUMNS = ["filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax"]


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(7):
        Image.new("RGB", (400, 300), (60, 60, 60)).save(folder / f"{index}.png")
    return folder


def table(path: Path, rows) -> Path:
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, index=False)
    return path


def sheet(out: Path, **fields) -> np.ndarray:
    run_alone(ContactSheet(**fields), out)
    with Image.open(out / "contact_sheet.png") as image:
        return np.asarray(image.convert("RGB"))


def box(name, *corners, score=0.9, label="cube"):
    return [name, 400, 300, label, score, *corners]


def test_a_box_is_drawn_where_it_is_in_its_class_s_colour(images, tmp_path):
    found = table(tmp_path / "found.csv", [box("0.png", 100, 100, 300, 200)])
    drawn = sheet(tmp_path / "out", detections=found, images=images, width=200)
    colour = list(bytes.fromhex(class_colours(["cube"])["cube"][1:]))
    tile = drawn[10:160, 10:210]  # the margin is 10 pixels
    for at in ((75, 50), (75, 150), (100, 100)):  # left, right and lower edge
        assert tile[at].tolist() == colour
    assert (tile[75, 100] == 60).all()


def test_an_image_of_more_pixels_than_the_stage_says_is_told(images, tmp_path):
    found = table(tmp_path / "found.csv", [box("0.png", 100, 100, 300, 200)])
    with pytest.raises(
        InputError, match=r"0\.png: has 120000 pixels; wanted at most 119999\. .*set max_pixels"
    ):
        sheet(tmp_path / "out", detections=found, images=images, max_pixels=119_999)
    sheet(tmp_path / "out", detections=found, images=images, max_pixels=120_000)


def test_ground_truth_is_dashed(images, tmp_path):
    nothing = table(tmp_path / "found.csv", [])
    true = table(tmp_path / "true.csv", [box("0.png", 100, 100, 300, 200)])
    drawn = sheet(tmp_path / "out", detections=nothing, images=images, ground_truth=true, width=400)
    edge = drawn[10 + 100, 10 + 100 : 10 + 300].max(axis=1)
    assert {0, 255} == set(edge.tolist())


def test_the_grid_and_the_same_bytes(images, tmp_path):
    found = table(tmp_path / "found.csv", [box(f"{index}.png", 1, 1, 50, 50) for index in range(7)])
    fields = {"detections": found, "images": images, "count": 5, "columns": 3, "width": 100}
    drawn = sheet(tmp_path / "one", **fields)
    assert drawn.shape[1] == 3 * 110 + 10
    sheet(tmp_path / "two", **fields)
    one, two = (tmp_path / name / "contact_sheet.png" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_low_scores_stay_out(images, tmp_path):
    found = table(tmp_path / "found.csv", [box("0.png", 100, 100, 300, 200, score=0.3)])
    drawn = sheet(tmp_path / "out", detections=found, images=images, width=400, min_score=0.5)
    assert (drawn[10:310, 10:410] == 60).all()


def test_a_table_without_a_box_shows_the_folder(images, tmp_path):
    found = table(tmp_path / "found.csv", [])
    drawn = sheet(tmp_path / "out", detections=found, images=images, width=100, columns=7)
    assert drawn.shape[1] == 7 * 110 + 10


def test_an_image_that_is_not_there(images, tmp_path):
    found = table(tmp_path / "found.csv", [box("8.png", 1, 1, 2, 2)])
    with pytest.raises(InputError, match=r"8\.png: no such image, though the table names it"):
        sheet(tmp_path / "out", detections=found, images=images)


def test_evenly():
    assert evenly(map(str, range(10)), 4) == ["0", "2", "5", "7"]
    assert evenly("ab", 5) == ["a", "b"]
    assert evenly("", 5) == []


def test_silent_about_no_row_without_a_class_and_no_image_that_is_left_out(images, tmp_path):
    found = table(
        tmp_path / "found.csv", [box("0.png", 1, 1, 30, 20, label="N/A"), box("0.png", 1, 1, 30, 20)]
    )
    text = found.read_text()
    assert "N/A" in text
    job = run_alone(ContactSheet(detections=found, images=images), tmp_path / "out")
    assert job.counts == {"detections_unknown_class": 1}
    assert job.said[0].startswith("1 of 2 rows of found.csv are of no class (N/A): the label map that detect")
    (images / "a.tif").write_bytes(b"II*\0")
    nothing = table(tmp_path / "nothing.csv", [])
    job = run_alone(ContactSheet(detections=nothing, images=images), tmp_path / "out2")
    assert job.counts == {"images_of_other_forms": 1}
