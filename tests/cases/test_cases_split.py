"""Cases of `split`: copies of one photograph that Roboflow named are on one side."""

import csv
import json
from collections import Counter

import pytest

from odflow.cli import main


@pytest.fixture(scope="module")
def table(shared):
    file = shared / "cases/h36-split-roboflow-augmentations/_annotations.csv"
    if not file.is_file():
        pytest.skip("needs the shared folder of cases")
    return file


def sides(out):
    return [(out / f"{side}_images.txt").read_text().splitlines() for side in ("train", "valid")]


@pytest.mark.parametrize("how", [(), ("--valid-fraction", "0.5"), ("--train-count", "200")])
def test_cases_h36_copies_of_one_photograph_are_on_one_side(table, tmp_path, capsys, how):
    assert main(["split", "--detections", str(table), *how, "--out", str(tmp_path), "--json"]) == 0
    train, valid = sides(tmp_path)
    photographs = [{name.split(".rf.")[0] for name in side} for side in (train, valid)]
    assert not photographs[0] & photographs[1]
    assert len(photographs[0] | photographs[1]) == 100
    assert len(train) + len(valid) == 300
    wanted = {"--valid-fraction": 150, "--train-count": 100}.get(how[0] if how else "", 60)
    assert len(valid) == pytest.approx(wanted, abs=1 if "--train-count" in how else 45)
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["photographs_kept_together"], counts["images_of_photographs"]) == (100, 300)


def test_cases_h36_the_boxes_go_with_their_images_and_a_line_tells_of_the_copies(table, tmp_path, capsys):
    assert main(["split", "--detections", str(table), "--out", str(tmp_path)]) == 0
    assert "300 images are copies of 100 photographs" in capsys.readouterr().out
    names = Counter()
    for side, listed in zip(("train", "valid"), sides(tmp_path), strict=True):
        with (tmp_path / f"{side}.csv").open() as file:
            found = Counter(row["filename"] for row in csv.DictReader(file))
        assert set(found) == set(listed)
        names += found
    with table.open() as file:
        assert names == Counter(row["filename"] for row in csv.DictReader(file))
