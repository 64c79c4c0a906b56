"""The stage `pose.evaluate`: from two tables, or a model and images, to metrics and curves."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from odflow.errors import InputError, TableError
from odflow.graph.execute import run_alone
from odflow.heads.pose.stages.evaluate import Evaluate

PERSON = ((60, 70), (30, 74), (44, 20))


def evaluate(out, **fields):
    job = run_alone(Evaluate(**fields), out, name="pose.evaluate")
    return job.said, json.loads((out / "metrics.json").read_text())


@pytest.fixture
def skeleton(dots, tmp_path):
    """The dots' skeleton as a file, with a head and COCO's constants."""
    from dataclasses import asdict

    path = tmp_path / "skeleton.json"
    path.write_text(
        json.dumps(asdict(dots.skeleton) | {"head": ["left_hip", "head"], "sigmas": [0.1, 0.1, 0.05]})
    )
    return str(path)


@pytest.fixture
def images(dots, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abc":
        Image.fromarray(dots.picture(100, 90, PERSON)).save(folder / f"{name}.png")
    return folder


def test_a_model_that_finds_them_all_but_one_joint(dots, images, tmp_path):
    row = dots.row(PERSON)
    wrong = [*row[:6], 80, 90, 2]  # the truth says that the head is elsewhere
    truth = dots.table(tmp_path / "truth.csv", ["a.png", 0, row], ["b.png", 0, wrong], ["c.png", 0, row])
    said, metrics = evaluate(tmp_path / "out", model=dots.folder, images=images, keypoints=truth)
    assert metrics == {
        "PCK@0.2": pytest.approx(8 / 9),
        "PCK@0.2/left_hip": 1,
        "PCK@0.2/right_hip": 1,
        "PCK@0.2/head": pytest.approx(2 / 3),
    }
    assert said == [
        "PCK@0.2 0.8889 of 3 people",
        "PCK@0.2 per joint: left_hip 1.000, right_hip 1.000, head 0.667",
    ]
    with Image.open(tmp_path / "out" / "pck.png") as plot:
        assert plot.size == (800, 500)


def test_an_image_of_more_pixels_than_the_stage_says_ends_it(dots, images, tmp_path):
    truth = dots.table(tmp_path / "truth.csv", ["a.png", 0, dots.row(PERSON)])
    given = {"model": dots.folder, "images": images, "keypoints": truth}
    with pytest.raises(InputError, match=r"a\.png: has 9000 pixels; wanted at most 8999\. .*set max_pixels"):
        evaluate(tmp_path / "out", **given, max_pixels=8_999)
    evaluate(tmp_path / "out", **given, max_pixels=9_000)


def test_the_mean_pose_stands_beside(dots, images, tmp_path):
    row = np.array(dots.row(PERSON))
    train = dots.table(tmp_path / "train.csv", ["x.png", 0, row * ([2, 2, 1] * 3)], split=["train"])
    truth = dots.table(tmp_path / "truth.csv", ["a.png", 0, row], split=["test"])
    fields = {"model": dots.folder, "images": images, "keypoints": truth, "split": "test"}
    said, metrics = evaluate(tmp_path / "out", **fields, train_keypoints=train, train_split="train")
    assert metrics["baseline/PCK@0.2"] == 1  # it is the very pose
    assert said[0] == "PCK@0.2 1.0000 (mean pose 1.0000) of 1 people"
    (tmp_path / "list.txt").write_text("b.png\n")
    with pytest.raises(TableError, match="nobody in the 1 images"):
        evaluate(tmp_path / "no", **fields, image_list=tmp_path / "list.txt")
    with pytest.raises(TableError, match='nobody of the split "train"'):
        evaluate(tmp_path / "no", **fields | {"split": "train"})


def predictions(dots, path, *rows):
    """As pose.detect writes them: with scores."""
    dots.table(path, *rows, score=np.linspace(0.9, 0.5, len(rows)))
    return path


def test_predictions_are_matched_by_image_and_number(dots, skeleton, tmp_path):
    here, there = np.array(dots.row(PERSON)), np.array(dots.row(PERSON)) + [200, 0, 0] * 3
    truth = dots.table(
        tmp_path / "truth.csv", ["a.png", 0, here], ["a.png", 1, there], ["b.png", 0, here], area=3000.0
    )
    found = predictions(
        dots,
        tmp_path / "found.csv",
        ["a.png", 1, there],
        ["z.png", 0, here],
        ["a.png", 0, here + [2, 0, 0] * 3],
    )
    said, metrics = evaluate(tmp_path / "out", keypoints=truth, predictions=found, skeleton=skeleton)
    assert metrics["PCK@0.2"] == metrics["PCKh@0.5"] == pytest.approx(2 / 3)
    assert said[0] == "1 of 3 people were not looked for: none of their joints is found"
    ap = metrics["Keypoints_Precision/mAP@.50IOU ByCategory/person"]
    assert ap == pytest.approx(67 / 101)  # the 67 recalls of 0, 0.01, ... up to 2/3, each at full precision
    assert said[-1].startswith("keypoint AP 0.6")


def test_head_sizes_of_the_table_come_first(dots, skeleton, tmp_path):
    row = np.array(dots.row(PERSON))
    found = predictions(dots, tmp_path / "found.csv", ["a.png", 0, row + [6, 0, 0] * 3])
    for size, share in ((10.0, 0), (13.0, 1), (np.nan, 1), (0.0, 1)):
        truth = dots.table(tmp_path / "truth.csv", ["a.png", 0, row], head_size=size)
        _, metrics = evaluate(tmp_path / "out", keypoints=truth, predictions=found, skeleton=skeleton)
        assert metrics["PCKh@0.5"] == share


def test_the_same_bytes(dots, skeleton, tmp_path):
    row = np.array(dots.row(PERSON))
    truth = dots.table(tmp_path / "truth.csv", ["a.png", 0, row])
    stage = Evaluate(keypoints=truth, predictions=truth, skeleton=skeleton, train_keypoints=truth)
    for out in ("one", "two"):
        run_alone(stage, tmp_path / out)
    for name in ("metrics.json", "pck.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / "pck.png") as plot:
        assert plot.size == (1600, 500)


def test_what_cannot_be_measured(dots, skeleton, images, tmp_path):
    row = dots.row(PERSON)
    nobody = dots.table(tmp_path / "nobody.csv", ["a.png", 0, [*row[:6], 0, 0, 0]])
    gone = dots.table(tmp_path / "gone.csv", ["gone.png", 0, row])
    for fields, says in (
        ({"predictions": nobody, "keypoints": nobody, "skeleton": skeleton}, "nobody's torso is labelled"),
        ({"model": dots.folder, "images": images, "keypoints": gone}, r"gone\.png: no such image"),
        ({"predictions": gone, "keypoints": gone, "skeleton": "lsp"}, "lacks 12 of the skeleton's 14 joints"),
    ):
        with pytest.raises(InputError, match=says):
            evaluate(tmp_path / "out", **fields)
    assert not (tmp_path / "out").exists()
    for fields in (
        {},
        {"model": dots.folder},
        {"predictions": gone},
        {"predictions": gone, "model": dots.folder},
    ):
        with pytest.raises(ValueError, match="give"):
            Evaluate(keypoints=gone, **fields)


def test_what_pose_detect_writes_is_what_is_read(dots, images, tmp_path):
    from odflow.heads.pose.stages.detect import Detect

    row = dots.row(PERSON)
    truth = dots.table(tmp_path / "truth.csv", ["a.png", 0, row], ["b.png", 0, row])
    run_alone(Detect(model=dots.folder, images=images, persons=truth), tmp_path / "found")
    table = tmp_path / "found" / "keypoints.csv"
    assert pd.read_csv(table)["score"].tolist() == [0.75, 0.75]
    by_model = evaluate(tmp_path / "model", model=dots.folder, images=images, keypoints=truth)
    skeleton = tmp_path / "dots.json"
    from dataclasses import asdict

    skeleton.write_text(json.dumps(asdict(dots.skeleton)))
    by_table = evaluate(tmp_path / "table", predictions=table, keypoints=truth, skeleton=str(skeleton))
    assert by_model == by_table
