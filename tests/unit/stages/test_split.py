import re

import pydantic
import pytest

from odflow.errors import InputError, TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detections import read_detections
from odflow.graph.execute import run_alone
from odflow.stages.split import Split


@pytest.fixture
def boxes(tmp_path):
    rows = [f"img_{number:03d}.jpg,9,9,cat,1,0,0,{side},1" for number in range(100) for side in (1, 2)]
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join([",".join(COLUMNS), *reversed(rows)]) + "\n")
    return path


def sides(out):
    tables = [read_detections(out / f"{side}.csv") for side in ("train", "valid")]
    lists = [(out / f"{side}_images.txt").read_text().split() for side in ("train", "valid")]
    return tables, lists


def test_whole_images_go_to_one_side(boxes, tmp_path):
    job = run_alone(Split(detections=boxes), tmp_path / "out")
    tables, lists = sides(tmp_path / "out")
    assert sorted(lists[0] + lists[1]) == [f"img_{number:03d}.jpg" for number in range(100)]
    for table, names in zip(tables, lists, strict=True):
        assert sorted(set(table["filename"])) == names
        assert len(table) == 2 * len(names)
    assert 10 <= len(lists[1]) <= 30
    assert job.said == [
        f"{side}: {len(names)} images, {2 * len(names)} boxes"
        for side, names in zip(("train", "valid"), lists, strict=True)
    ]


def test_an_image_keeps_its_side_when_others_leave(boxes, tmp_path):
    run_alone(Split(detections=boxes), tmp_path / "all")
    fewer = [line for line in boxes.read_text().splitlines() if "img_01" not in line]
    boxes.write_text("\n".join(fewer) + "\n")
    run_alone(Split(detections=boxes), tmp_path / "fewer")
    for all_names, names in zip(sides(tmp_path / "all")[1], sides(tmp_path / "fewer")[1], strict=True):
        assert names == [name for name in all_names if "img_01" not in name]


def test_the_first_images_by_name_go_to_train(boxes, tmp_path):
    run_alone(Split(detections=boxes, train_count=97), tmp_path / "out")
    assert sides(tmp_path / "out")[1][1] == ["img_097.jpg", "img_098.jpg", "img_099.jpg"]


SEEN = {
    "images.csv": "filename,width,height,detections,status,error\n"
    "img_000.jpg,9,9,2,ok,\ne.jpg,9,9,0,ok,\nbad.jpg,,,,error,x\n",
    "images.txt": "img_000.jpg\ne.jpg\n",
}


@pytest.mark.parametrize("file", SEEN)
def test_empty_images_stay_out_unless_they_are_asked_for(boxes, tmp_path, file):
    seen = tmp_path / file
    seen.write_text(SEEN[file])
    run_alone(Split(detections=boxes, images_seen=seen, train_count=50), tmp_path / "without")
    run_alone(Split(detections=boxes, images_seen=seen, train_count=50, keep_empty=True), tmp_path / "with")
    assert not any("e.jpg" in names for names in sides(tmp_path / "without")[1])
    tables, (train, valid) = sides(tmp_path / "with")
    assert train[0] == "e.jpg"
    assert len(train + valid) == 101
    assert "e.jpg" not in set(tables[0]["filename"])


def test_keep_empty_needs_the_images_that_were_seen(boxes, tmp_path):
    with pytest.raises(pydantic.ValidationError, match="keep_empty needs images_seen"):
        Split(detections=boxes, keep_empty=True)
    with pytest.raises(TableError, match='has no column "status"'):
        run_alone(Split(detections=boxes, keep_empty=True, images_seen=boxes), tmp_path / "out")


def test_an_empty_side_is_written_all_the_same(boxes, tmp_path):
    run_alone(Split(detections=boxes, valid_fraction=0), tmp_path / "out")
    tables, lists = sides(tmp_path / "out")
    assert (len(tables[0]), len(tables[1]), lists[1]) == (200, 0, [])


def table_of(tmp_path, names):
    path = tmp_path / "names.csv"
    rows = [f'"{name}",9,9,cat,1,0,0,1,1' for name in names]
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return path


COPIES = [f"{folder}/p{n}_jpg.rf.{n * 5 + k:032x}.jpg" for n in range(30) for k, folder in enumerate("abb")]


@pytest.mark.parametrize("how", [{"valid_fraction": 0.4}, {"train_count": 50}])
@pytest.mark.parametrize("others", [[], ["x.jpg", "y (1).jpg"], [f"p{n}.jpg" for n in range(30)]])
def test_copies_of_a_photograph_are_on_one_side_whatever_folder_they_are_in(tmp_path, how, others):
    job = run_alone(Split(detections=table_of(tmp_path, COPIES + others), **how), tmp_path / "out")
    _, (train, valid) = sides(tmp_path / "out")
    stems = [
        {name.split("/")[-1].split("_jpg")[0].removesuffix(".jpg") for name in s} for s in (train, valid)
    ]
    assert not stems[0] & stems[1]
    images = 120 if len(others) == 30 else 90
    assert job.said[0] == (
        f"{images} images are copies of 30 photographs by their names (.rf.); those of one are on one side"
    )
    assert job.counts == {"photographs_kept_together": 30, "images_of_photographs": images}


def test_images_without_copies_are_split_as_ever_and_nothing_is_said_of_them(boxes, tmp_path):
    job = run_alone(Split(detections=boxes), tmp_path / "out")
    assert len(job.said) == 2
    assert job.counts == {}
    assert sides(tmp_path / "out")[1][1][:4] == ["img_001.jpg", "img_004.jpg", "img_006.jpg", "img_010.jpg"]


FRAMES = [f"cam{n % 7}_frame{n:03d}.jpg" for n in range(70)]


@pytest.mark.parametrize("how", [{"valid_fraction": 0.4}, {"train_count": 100}])
def test_a_group_of_ones_own_is_on_one_side(tmp_path, how):
    names = [*FRAMES, "else.jpg", *COPIES]
    stage = Split(detections=table_of(tmp_path, names), group="^(.*)_frame", **how)
    job = run_alone(stage, tmp_path / "out")
    _, (train, valid) = sides(tmp_path / "out")
    assert sorted(train + valid) == sorted(names)
    for first in (r"cam\d", r"p\d+"):
        found = [{match[0] for name in s if (match := re.search(first, name))} for s in (train, valid)]
        assert not found[0] & found[1]
    assert len(train) > 30
    assert len(valid) > 30
    assert job.said[0] == "70 images belong to 7 groups by `group`; those of one are on one side"
    assert job.said[2].startswith("91 images without a match for `group` are split without it: a/p0_jpg.rf.")
    assert job.counts == {
        "groups_kept_together": 7,
        "images_of_groups": 70,
        "photographs_kept_together": 30,
        "images_of_photographs": 90,
        "images_without_group": 91,
    }


def test_a_group_that_no_name_has_and_one_that_is_no_expression_are_told(tmp_path):
    table = table_of(tmp_path, FRAMES)
    with pytest.raises(
        InputError, match=r"split: group '\^b' is found in none of the 70 image names \(cam0_"
    ):
        run_alone(Split(detections=table, group="^b"), tmp_path / "out")
    with pytest.raises(pydantic.ValidationError, match=r"'\^\(' is no regular expression .*; wanted one as"):
        Split(detections=table, group="^(")


@pytest.mark.parametrize("group", [None, "^b"])
def test_a_table_without_images_has_two_empty_sides(tmp_path, group):
    run_alone(Split(detections=table_of(tmp_path, []), group=group), tmp_path / "out")
    assert sides(tmp_path / "out")[1] == [[], []]
