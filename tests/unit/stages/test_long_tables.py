"""Tables longer than a chunk: `filter` and `split` give what the whole table gives, in as much memory."""

import os
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.formats.detection_rows import COLUMNS, NUMBERS
from odflow.formats.detections import read_detections
from odflow.graph.execute import run_alone
from odflow.ops.boxes import sides
from odflow.ops.nms import suppress
from odflow.stages.filter import Filter
from odflow.stages.split import Split

BOX = ["xmin", "ymin", "xmax", "ymax"]
PAIR = st.tuples(st.integers(0, 9), st.sampled_from([1, 5, 5.5, 40])).map(lambda pair: (pair[0], sum(pair)))
ROW = st.tuples(
    st.sampled_from(["a.jpg", "b.jpg", "c/d.jpg", "e.jpg"]),
    st.sampled_from(["cat", "dog", "kitten"]),
    st.sampled_from([0, 0.25, 0.5, 0.5, 1]),
    PAIR,
    PAIR,
    st.sampled_from(["1", "2.5", "x"]),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "rename": st.just({"kitten": "cat"}),
        "classes": st.just(["cat"]),
        "min_score": st.just(0.25),
        "min_side": st.just(5),
        "nms_iou": st.sampled_from([0.0, 0.3]),
        "nms_iou_across": st.just(0.5),
        "max_per_image": st.integers(1, 3),
    },
)


@pytest.fixture(params=[1, 3, 1000], scope="module")
def chunk_rows(request):
    """Short chunks, and parts of few images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odflow.formats.detections.CHUNK_ROWS", request.param)
        patch.setattr("odflow.formats.by_image._PART_BYTES", 150 * request.param)
        yield


def _plain_filter(boxes, fields):
    """The rules on a whole table."""
    boxes = boxes.assign(**{"class": boxes["class"].replace(fields.get("rename", {}))})
    boxes = boxes[boxes["class"].isin(fields.get("classes", ["cat", "dog", "kitten"]))]
    boxes = boxes[boxes["score"] >= fields.get("min_score", 0)]
    boxes = boxes[np.min(sides(boxes[BOX].to_numpy()), axis=0) >= fields.get("min_side", 0)]
    for rule, kinds in (("nms_iou", boxes["class"]), ("nms_iou_across", None)):
        kept = []
        for rows in boxes.groupby("filename").groups.values() if rule in fields else ():
            here = boxes.loc[rows]
            classes = None if kinds is None else here["class"].to_numpy()
            stay = suppress(here[BOX].to_numpy(), here["score"].to_numpy(), fields[rule], classes)
            kept += here.index[stay].to_list()
        boxes = boxes.loc[sorted(kept)] if rule in fields else boxes
    if "max_per_image" in fields:
        best = boxes.sort_values("score", ascending=False, kind="stable").groupby("filename")
        boxes = boxes.loc[sorted(best.head(fields["max_per_image"]).index)]
    return boxes


def _plain_text(boxes):
    whole = [name for name in NUMBERS if (boxes[name] % 1 == 0).all()]
    return boxes.astype(dict.fromkeys(whole, "int64")).to_csv(index=False, lineterminator="\n")


def _write(folder, rows):
    lines = [
        f"{row[0]},64,48,{row[1]},{row[2]},{row[3][0]},{row[4][0]},{row[3][1]},{row[4][1]},{row[5]}"
        for row in rows
    ]
    (folder / "in.csv").write_text("\n".join([f"{','.join(COLUMNS)},note", *lines]) + "\n")
    types = dict.fromkeys(["score", *BOX], "float64")
    return pd.read_csv(folder / "in.csv", keep_default_na=False, float_precision="round_trip").astype(types)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=25), fields=FIELDS)
def test_filter_gives_what_the_whole_table_gives(tmp_path_factory, chunk_rows, rows, fields):
    folder = tmp_path_factory.mktemp("filter")
    whole = _write(
        folder,
        [*rows, ("e.jpg", "cat", 1, (0, 50.5), (0, 50), "x"), ("e.jpg", "kitten", 0, (0, 1), (0, 1), "3")],
    )
    job = run_alone(Filter(detections=folder / "in.csv", **fields), folder / "out", name="keep")
    kept = _plain_filter(whole, fields)
    assert (folder / "out/detections.csv").read_text() == _plain_text(kept)
    found = (
        f"kept {len(kept)} boxes of {kept['class'].nunique()} classes in {kept['filename'].nunique()} images"
    )
    assert job.said[-1] == found


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(ROW, max_size=25), count=st.integers(0, 4))
def test_split_gives_what_the_whole_table_gives(tmp_path_factory, chunk_rows, rows, count):
    folder = tmp_path_factory.mktemp("split")
    whole = _write(folder, rows)
    run_alone(Split(detections=folder / "in.csv", train_count=count), folder / "out", name="split")
    train = sorted(set(whole["filename"]))[:count]
    assert (folder / "out/train_images.txt").read_text().split() == train
    for side, stay in (("train", whole["filename"].isin(train)), ("valid", ~whole["filename"].isin(train))):
        assert (folder / f"out/{side}.csv").read_text() == _plain_text(whole[stay])


PEAK = """\
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "odflow", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""  # a small process: one that pytest starts itself begins with pytest's own peak


def _peak(*arguments):
    """Mebibytes that a command takes at its peak."""
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=os.environ)
    return int(done.stdout) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.parametrize(
    "command", [("filter", "--min-score", "0.6", "--max-per-image", "3"), ("split",)], ids=["filter", "split"]
)
def test_memory_does_not_grow_with_the_rows(tmp_path, command):
    peaks = []
    for rows in (80_000, 320_000):  # with the rows in memory: 100 MiB more and over
        path, numbers = tmp_path / f"{rows}.csv", random.Random(0)
        row = "frames/of/video_{:03d}.jpg,640,480,traffic light,{:.8f},10,20,310.25,400,some text\n".format
        with path.open("w") as file:
            file.write(f"{','.join(COLUMNS)},note\n")
            file.writelines(row(numbers.randrange(1000), numbers.random()) for _ in range(rows))
        name, *flags = command
        peaks.append(_peak(name, "--detections", path, "--out", tmp_path / f"out{rows}", *flags))
    assert peaks[1] - peaks[0] < 40


def test_a_wrong_row_beyond_the_first_chunk_is_told_by_line_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("odflow.formats.detections.CHUNK_ROWS", 2)
    rows = [f"{i}.jpg,64,48,cat,{0.5 if i != 5 else 2},1,2,3,4" for i in range(7)]
    (tmp_path / "in.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    for stage in (Filter(detections=tmp_path / "in.csv"), Split(detections=tmp_path / "in.csv")):
        with pytest.raises(Exception, match=r"in\.csv:7: 5\.jpg: score is 2; wanted 0 to 1"):
            run_alone(stage, tmp_path / "out", name="stage")
    with pytest.raises(Exception, match=r"in\.csv:7"):
        read_detections(tmp_path / "in.csv")
