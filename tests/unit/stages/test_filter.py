import numpy as np
import pandas as pd
import pytest

from odflow.errors import ConfigError, TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detections import read_detections
from odflow.formats.label_map import read_label_map
from odflow.graph.execute import run_alone
from odflow.stages.filter import Filter

ROWS = """\
a.jpg,200,100,person,0.9,0,0,50,50
a.jpg,200,100,person,0.8,5,0,55,50
a.jpg,200,100,motorbike,0.85,0,0,50,45
a.jpg,200,100,car,0.4,100,50,104,54
b.jpg,200,100,car,0.7,0,0,200,100
b.jpg,200,100,dog,0.7,100,0,110,90
"""


@pytest.fixture
def keep(tmp_path):
    def run(rows=ROWS, **fields):
        """The kept rows, as numbers of the rows given, and the lines said."""
        (tmp_path / "in.csv").write_text(f"{','.join(COLUMNS)},row\n" + _numbered(rows))
        job = run_alone(Filter(detections=tmp_path / "in.csv", **fields), tmp_path / "out", name="keep")
        table = read_detections(tmp_path / "out/detections.csv")
        return table["row"].to_list(), job.said, table

    return run


def _numbered(rows):
    return "".join(f"{line},{number}\n" for number, line in enumerate(rows.splitlines()))


def test_without_rules_all_stay_as_they_are(keep, tmp_path):
    assert keep()[0] == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "out/detections.csv").read_bytes() == (tmp_path / "in.csv").read_bytes()


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"classes": ["car", "dog"]}, [3, 4, 5]),
        ({"drop_classes": ["person"]}, [2, 3, 4, 5]),
        ({"classes": ["car", "dog"], "drop_classes": ["dog"]}, [3, 4]),
        ({"min_score": 0.7}, [0, 1, 2, 4, 5]),
        ({"min_score": 0.7, "min_scores": {"person": 0.85, "car": 0.1}}, [0, 2, 3, 4, 5]),
        ({"min_scores": {"car": 0.5}}, [0, 1, 2, 4, 5]),
        ({"min_side": 10}, [0, 1, 2, 4, 5]),
        ({"min_side": 11}, [0, 1, 2, 4]),
        ({"max_side": 90}, [0, 1, 2, 3, 5]),
        ({"min_area": 900}, [0, 1, 2, 4, 5]),
        ({"max_area": 900}, [3, 5]),
        ({"size_unit": "share", "min_side": 0.05}, [0, 1, 2, 4, 5]),
        ({"size_unit": "share", "max_side": 0.5}, [0, 1, 2, 3]),
        ({"size_unit": "share", "max_area": 0.125}, [0, 1, 2, 3, 5]),
        ({"nms_iou": 0.5}, [0, 2, 3, 4, 5]),
        ({"nms_iou": 0.9}, [0, 1, 2, 3, 4, 5]),
        ({"nms_iou_across": 0.5}, [0, 3, 4, 5]),
        ({"max_per_image": 2}, [0, 2, 4, 5]),
        ({"max_per_image": 1}, [0, 4]),
        ({"rename": {"motorbike": "person"}, "nms_iou": 0.5}, [0, 3, 4, 5]),
        ({"rename": {"motorbike": "motorcycle"}, "classes": ["motorcycle"]}, [2]),
        ({"classes": ["person"], "nms_iou": 0.5, "max_per_image": 2}, [0]),
    ],
)
def test_a_rule_keeps(keep, fields, kept):
    assert keep(**fields)[0] == kept


def test_rename_merges_and_swaps(keep):
    _, said, table = keep(rename={"motorbike": "car", "car": "dog", "dog": "car"})
    assert table["class"].to_list() == ["person", "person", "car", "dog", "dog", "car"]
    assert said[0] == "rename: 4 of 6 boxes renamed"


def test_says_what_each_rule_dropped_in_their_fixed_order(keep):
    _, said, _ = keep(max_per_image=1, min_score=0.5, drop_classes=["dog"], nms_iou=0.5)
    assert said == [
        "drop_classes: 1 of 6 boxes dropped",
        "min_score: 1 of 5 boxes dropped",
        "nms_iou: 1 of 4 boxes dropped",
        "max_per_image: 1 of 3 boxes dropped",
        "kept 2 boxes of 2 classes in 2 images",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"classes": ["persn"]},
            'keep: classes names the class "persn", which the table does not hold. Did you mean "person"?',
        ),
        ({"drop_classes": ["carr"]}, 'drop_classes names the class "carr", .* Did you mean "car"?'),
        ({"min_scores": {"dogg": 0.5}}, 'min_scores names the class "dogg", .* Did you mean "dog"?'),
        ({"rename": {"motorbik": "x"}}, 'rename names the class "motorbik", .* Did you mean "motorbike"?'),
        ({"rename": {"motorbike": "motorcycle"}, "classes": ["motorbike"]}, 'Did you mean "motorcycle"?'),
    ],
)
def test_an_unknown_class_is_refused_with_the_nearest(keep, tmp_path, fields, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        keep(**fields)
    assert not (tmp_path / "out/detections.csv").exists()


def test_all_unknown_classes_are_reported_together(keep):
    with pytest.raises(ConfigError) as error:
        keep(classes=["persn", "zebra"], min_scores={"dogg": 0.1})
    assert len(str(error.value).splitlines()) == 3


def test_the_label_map_knows_classes_that_the_table_lacks(keep, tmp_path):
    (tmp_path / "map.pbtxt").write_text("item { id: 1 name: '/m/1' display_name: 'zebra' }")
    assert keep(classes=["zebra", "dog"], label_map=tmp_path / "map.pbtxt")[0] == [5]
    with pytest.raises(ConfigError, match=r'neither .*map\.pbtxt nor the table knows\. Did you mean "zebra"'):
        keep(classes=["zebr"], label_map=tmp_path / "map.pbtxt")


def test_a_table_without_boxes_stays_one(keep):
    kept, said, _ = keep("", classes=["person"], nms_iou=0.5, max_per_image=3, min_side=2, min_score=0.2)
    assert kept == []
    assert said[-1] == "kept 0 boxes of 0 classes in 0 images"


def test_a_wrong_row_is_refused(keep):
    with pytest.raises(TableError, match=r"in\.csv:2: a\.jpg: the box has a negative size"):
        keep("a.jpg,200,100,person,0.9,50,0,0,50\n")


def test_every_rule_at_once_keeps_what_applying_them_in_turn_keeps(keep):
    random = np.random.default_rng(7)
    start, size = random.uniform(0, 80, (300, 2)), random.uniform(0, 60, (300, 2))
    table = pd.DataFrame(
        {"filename": random.choice(["a.jpg", "b.jpg", "c.jpg"], 300), "width": 200, "height": 150}
    )
    table["class"] = random.choice(["person", "motorbike", "car", "dog"], 300)
    table["score"] = random.uniform(0, 1, 300).round(2)
    table[["xmin", "ymin", "xmax", "ymax"]] = np.hstack((start, start + size)).round(1)
    rows = table[COLUMNS].to_csv(index=False, header=False)
    steps = [
        {"rename": {"dog": "cat"}},
        {"drop_classes": ["car"]},
        {"min_score": 0.3},
        {"min_side": 5},
        {"max_area": 2500},
        {"nms_iou": 0.4},
        {"nms_iou_across": 0.6},
        {"max_per_image": 10},
    ]
    _, _, together = keep(rows, **{name: value for step in steps for name, value in step.items()})
    for step in steps:
        _, _, in_turn = keep(rows, **step)
        rows = in_turn[COLUMNS].to_csv(index=False, header=False)
    assert len(together) > 10
    pd.testing.assert_frame_equal(together[COLUMNS], in_turn[COLUMNS])


def labels_left(tmp_path):
    return read_label_map(tmp_path / "out/label_map.pbtxt").names


def test_the_label_map_that_is_left_follows_the_classes_asked_for(keep, tmp_path):
    keep(classes=["dog", "person"])
    assert labels_left(tmp_path) == {1: "dog", 2: "person"}


def test_the_label_map_that_is_left_follows_the_one_given_renamed_and_without_what_was_dropped(
    keep, tmp_path
):
    text = "".join(
        f"item {{ id: {i} name: '{name}' }}\n"
        for i, name in [(3, "person"), (7, "car"), (9, "motorbike"), (12, "dog"), (90, "cat")]
    )
    (tmp_path / "given.pbtxt").write_text(text)
    keep(label_map=tmp_path / "given.pbtxt", rename={"motorbike": "car"}, drop_classes=["dog"])
    assert labels_left(tmp_path) == {1: "person", 2: "car", 3: "cat"}


def test_without_a_label_map_the_one_that_is_left_has_the_names_of_the_table(keep, tmp_path):
    keep()
    assert labels_left(tmp_path) == {1: "car", 2: "dog", 3: "motorbike", 4: "person"}
