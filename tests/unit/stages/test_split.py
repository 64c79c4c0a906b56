import pydantic
import pytest

from odflow.errors import TableError
from odflow.formats.detections import COLUMNS, read_detections
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
