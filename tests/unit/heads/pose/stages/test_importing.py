import json
import logging

import numpy as np
import pydantic
import pytest
from PIL import Image

from odflow.errors import ConfigError, InputError
from odflow.formats.keypoints import joints_of, read_keypoints
from odflow.graph.execute import run_alone
from odflow.heads.pose.skeleton import read_skeleton
from odflow.heads.pose.stages.importing import Import


def imported(out, joints_of_skeleton, **fields):
    job = run_alone(Import(**fields), out)
    return read_keypoints(out / "keypoints.csv", read_skeleton(joints_of_skeleton).joints), job.said


def test_flic_gives_the_numbers_of_its_authors(shared, tmp_path):
    table, said = imported(
        tmp_path / "out", "flic", format="flic", annotations=shared / "data/flic/examples.mat"
    )
    assert said == ["3987 train and 1016 test", "5003 people in 4552 images, 10 joints"]
    assert list(table)[:5] == ["filename", "person", "width", "height", "split"]
    assert table.shape == (5003, 5 + 3 * 10)
    xyv = joints_of(table, ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "torso"))
    np.testing.assert_allclose(xyv[:, 4, :2], xyv[:, :4, :2].mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(xyv[:, 4, 2], xyv[:, :4, 2].min(axis=1))


def test_the_first_of_lsp_are_train_and_the_images_give_sizes(shared, tmp_path):
    lsp = {"annotations": shared / "data/lsp/joints.mat", "images": shared / "data/lsp/images"}
    table, said = imported(tmp_path / "out", "lsp", format="lsp", train_count=320, **lsp)
    assert said == ["320 train and 80 test", "400 people in 400 images, 14 joints"]
    assert table["split"].to_list() == ["train"] * 320 + ["test"] * 80
    with Image.open(lsp["images"] / "im00123.jpg") as image:
        assert tuple(table.loc[123, ["width", "height"]]) == image.size


@pytest.fixture
def mpii(tmp_path):
    """Six people; the image of one is missing, of one damaged, one shows no joint."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (60, 40)).save(images / name)
    (images / "damaged.jpg").write_bytes(b"\xff\xd8 nothing")
    joints = [[10 + k, 5 + 2 * k] for k in range(16)]
    one = {"image": "a.jpg", "joints": joints, "joints_vis": [1] * 16, "scale": 0.2, "center": [20, 21]}
    nan = one | {"joints": [[float("nan"), 1], *joints[1:]]}
    others = [
        one | {"image": "missing.jpg"},
        one | {"joints_vis": [0] * 16},
        one | {"image": "damaged.jpg"},
        nan | {"image": "b.jpg"},
        one | {"joints": joints[:14]},
    ]
    (tmp_path / "mpii.json").write_text(json.dumps([*others, one]))
    return {"format": "mpii", "annotations": tmp_path / "mpii.json", "images": images}


def test_bad_people_are_told_and_counted_and_the_others_kept(mpii, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        table, said = imported(tmp_path / "out", "mpii", train_count=4, **mpii)
    assert table[["filename", "person", "width", "height", "split"]].to_numpy().tolist() == [
        ["b.jpg", 0, 60, 40, "train"],
        ["a.jpg", 1, 60, 40, "test"],
    ]
    assert said == [
        "1 left out: it has 14 joints and 16 joints_vis; wanted 16",
        "1 left out: no joint is labelled",
        "1 left out: the image is missing",
        "1 left out: the image cannot be read",
        "1 people with joints at NaN, which count as not labelled",
        "1 train and 1 test",
        "2 people in 2 images, 16 joints",
    ]
    at = f"{mpii['annotations']}: "
    told = [message.partition(at)[2] for message in caplog.messages]
    assert [line[: line.index(")") + 1] for line in told] == [
        "[4] (a.jpg)",
        "[1] (a.jpg)",
        "[0] (missing.jpg)",
        "[2] (damaged.jpg)",
        "[3] (b.jpg)",
    ]


def test_without_images_nothing_is_said_of_them(mpii, tmp_path):
    table, said = imported(tmp_path / "out", "mpii", **(mpii | {"images": None}))
    assert len(table) == 4
    assert table["width"].isna().all()
    assert said[-1] == "4 people in 4 images, 16 joints"


def test_nobody_left_is_an_error(mpii, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"none of its 6 people can be used\. The first: "):
        run_alone(Import(**(mpii | {"images": tmp_path / "none"})), tmp_path / "out")
    mpii["annotations"].write_text("[]")
    with pytest.raises(InputError, match="holds no person"):
        run_alone(Import(**mpii), tmp_path / "out")


def test_a_skeleton_of_other_joints_is_told_by_them(mpii, tmp_path):
    with pytest.raises(ConfigError, match="lack joints of the skeleton coco: nose, left_eye, right_eye, "):
        run_alone(Import(**mpii, skeleton="coco"), tmp_path / "out")


def test_a_skeleton_of_ones_own_chooses_joints_by_name(mpii, tmp_path):
    own = {"name": "arms", "joints": ["left_wrist", "right_wrist", "middle"], "limbs": [], "pairs": []}
    own |= {"torso": ["left_wrist", "right_wrist"], "means": {"middle": ["pelvis", "thorax"]}}
    own["joints"] += ["pelvis", "thorax"]
    path = tmp_path / "arms.json"
    path.write_text(json.dumps(own))
    stage = Import(**mpii, skeleton=str(path))
    assert list(stage.also_reads()) == [path]
    table, _ = imported(tmp_path / "out", str(path), **mpii, skeleton=str(path))
    found = joints_of(table, read_skeleton(str(path)).joints)[-1]
    assert found.tolist() == [[25, 35, 2], [20, 25, 2], [16.5, 18, 2], [16, 17, 2], [17, 19, 2]]


def test_annotations_of_another_size_are_left_out(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "images/a.jpg")
    one = {"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2] * 17, "bbox": [0, 0, 9, 9]}
    coco = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40},
            {"id": 2, "file_name": "a.jpg", "width": 40, "height": 60},
        ],
        "annotations": [one, one | {"image_id": 2}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(read_skeleton("coco").joints)}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    fields = {"format": "coco", "annotations": tmp_path / "coco.json", "images": tmp_path / "images"}
    table, said = imported(tmp_path / "out", "coco", **fields)
    assert len(table) == 1
    assert said[0] == "1 left out: the annotations are of another size"


def test_flic_has_a_split_already(tmp_path):
    with pytest.raises(pydantic.ValidationError, match="leave train_count out"):
        Import(format="flic", annotations=tmp_path / "examples.mat", train_count=3)
