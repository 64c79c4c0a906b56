"""The stage `detect`, on a tiny model and on the real one."""

import csv
import io
import itertools
import logging
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import InputError
from odflow.formats.detections import read_detections
from odflow.graph.execute import execute, run_alone
from odflow.stages import detect as stage_module
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
    assert job.said == [
        "2 of 4 detections have ids that label_map.pbtxt (1 to 2) lacks: 7. Is it the model's label map?",
        "4 detections in 2 images, 1 unreadable",
    ]
    assert job.counts == {"images_unreadable": 1, "detections_unknown_class": 2}
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


@pytest.mark.parametrize(
    ("most", "ok"), [(2_999, []), (3_000, ["c.bmp"]), (10_800, ["b/nested.png", "c.bmp"])]
)
def test_images_of_more_pixels_than_the_stage_says_are_counted_and_named(
    most, ok, bright_model, bright_image, images, tmp_path
):
    (images / "a.jpg").unlink()
    Image.fromarray(bright_image(10, 10, (1, 1, 9, 9))).save(images / "small.png")
    job, _, seen = detect(tmp_path / "out", model=bright_model.folder, images=images, max_pixels=most)
    assert [row["filename"] for row in seen if row["status"] == "ok"] == [*ok, "small.png"]
    assert job.counts.get("images_unreadable", 0) == 2 - len(ok)
    errors = {row["error"] for row in seen} - {""}
    assert all("pixels; wanted at most" in error and "set max_pixels" in error for error in errors)


def test_wrong_inputs(bright_model, images, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for fields, says in (
        ({"model": bright_model.folder, "images": empty}, "holds no image"),
        ({"model": bright_model.frozen, "images": images}, "Give label_map"),
        (
            {"model": bright_model.label_map, "images": images, "label_map": bright_model.label_map},
            "a label map",
        ),
    ):
        with pytest.raises(InputError, match=says):
            run_alone(Detect(**fields), tmp_path / "out")


@pytest.fixture(scope="module")
def undisturbed(bright_model, tmp_path_factory):
    """A run over 37 images, three of them broken: the stage, and what its staging folder then holds."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "images").mkdir()
    chance = np.random.default_rng(5)
    for number in range(37):
        path = folder / f"images/{number:02}.png"
        if number % 15 == 4:
            path.write_bytes(f"no image, {number}".encode())
            continue
        height, width = chance.integers(20, 50, 2)
        image = np.full((height, width, 3), 20, np.uint8)
        image[chance.integers(0, 10) : -1, chance.integers(0, 10) : -3, chance.integers(0, 2)] = 250
        Image.fromarray(image).save(path)
    stage = Detect(model=bright_model.folder, images=folder / "images", min_score=0.2)
    job = execute(stage, folder / "work", name="detect", workers=Threads(2))
    return stage, folder / "work", job.said


@pytest.fixture(scope="module")
def looked_at():
    """The names of the images that were read, in any order."""
    names = []

    def read(image, most_pixels):
        names.append(image.name)
        return original(image, most_pixels)

    original = stage_module._read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_module, "_read", read)
        yield names


TABLES = ("detections.csv", "images.csv")


class Stopping(Threads):
    """Gives so many results of `map`, then fails as a machine does."""

    def __init__(self, after):
        super().__init__(2)
        self.after = after

    def map(self, function, items):
        yield from itertools.islice(super().map(function, items), self.after)
        raise RuntimeError("stopped")


def test_a_stopped_run_goes_on_where_it_was(undisturbed, looked_at, tmp_path, monkeypatch, caplog):
    stage, whole, said = undisturbed
    monkeypatch.setattr("odflow.inference.chunks.CHUNK", 5)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="stopped"):
            execute(stage, tmp_path / "work", name="detect", workers=Stopping(2))
    caplog.clear()
    looked_at.clear()
    job = execute(stage, tmp_path / "work", name="detect", workers=Threads(3))
    assert sorted(looked_at) == [f"{number:02}.png" for number in range(20, 37)]
    assert job.said == said
    assert len(said) == 2
    for name in TABLES:
        assert (tmp_path / "work" / name).read_bytes() == (whole / name).read_bytes()
    assert "goes on after 20 of 37 images" in caplog.messages
    assert [message[:17] for message in caplog.messages if "unreadable" in message] == [
        f"unreadable: {number:02}.pn" for number in (4, 19, 34)
    ]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_killed_in_the_middle_of_any_write(undisturbed, looked_at, tmp_path, data):
    stage, whole, said = undisturbed
    journal = (whole / "journal").read_bytes()
    end = data.draw(st.integers(0, len(journal)))
    work = tmp_path / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "journal").write_bytes(journal[:end])
    for name in TABLES:
        table = (whole / name).read_bytes()
        (work / name).write_bytes(table[: data.draw(st.integers(0, len(table)))] + b"torn")
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).hardlink_to(work / name)  # were it written to, it would be seen here
    looked_at.clear()
    job = execute(stage, work, name="detect", workers=Threads(2))
    assert len(looked_at) == 37 - journal[:end].count(b"\n")
    assert job.said == said
    assert all((tmp_path / name).read_bytes().endswith(b"torn") for name in TABLES)
    for name in (*TABLES, "journal"):
        assert (work / name).read_bytes() == (whole / name).read_bytes()


def test_chunks_of_any_size_give_the_same_bytes(undisturbed, tmp_path, monkeypatch):
    stage, whole, _ = undisturbed
    for size, jobs in ((1, 4), (7, 1), (36, 2), (37, 2), (100, 2)):
        monkeypatch.setattr("odflow.inference.chunks.CHUNK", size)
        execute(stage, tmp_path / str(size), name="detect", workers=Threads(jobs))
        for name in TABLES:
            assert (tmp_path / str(size) / name).read_bytes() == (whole / name).read_bytes()


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


@pytest.fixture(scope="module")
def small_graph(bright_model, tmp_path_factory):
    """The bright model, for images of 64x48 alone."""
    import tensorflow as tf

    path = tmp_path_factory.mktemp("small") / "graph.pb"
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [1, 48, 64, 3], name="image_tensor")
        for name, value in bright_model.outputs(image).items():
            tf.identity(value, name)
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_silent_about_no_resizing_image_left_out_or_link(bright_model, small_graph, images, tmp_path):
    (images / "b/IMG_1.HEIC").write_bytes(b"")
    (images / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    fields = {"model": small_graph, "label_map": bright_model.label_map, "images": images}
    job, found, seen = detect(tmp_path / "out", **fields)
    assert job.said[0] == (
        "1 images left out, of forms that are not read: HEIC (b/IMG_1.HEIC). Convert them to JPEG or PNG."
    )
    assert [line for line in job.said if "64x48" in line] == [
        "the model takes images of 64x48 pixels alone: each is resized to that, its boxes back"
    ]
    assert job.counts == {"images_of_other_forms": 1, "links_broken": 1, "images_unreadable": 1}
    assert [row["filename"] for row in seen] == ["a.jpg", "b/nested.png", "c.bmp"]
    assert (found["width"].tolist(), found["class"].tolist()) == ([120, 60], ["red", "green"])
    assert np.abs(found.loc[0, ["xmin", "ymin", "xmax", "ymax"]].to_numpy(int) - [10, 9, 110, 80]).max() <= 3


def test_a_run_that_goes_on_says_the_same_of_the_size(bright_model, small_graph, images, tmp_path):
    stage = Detect(model=small_graph, label_map=bright_model.label_map, images=images)
    first = execute(stage, tmp_path / "work", name="detect", workers=Threads(1))
    again = execute(stage, tmp_path / "work", name="detect", workers=Threads(1))
    assert first.said == again.said
    assert first.counts == again.counts


def test_outputs_are_named_as_fields_and_unknown_names_are_refused(bright_model, images):
    with pytest.raises(ValueError, match="detection_boxes"):
        Detect(model=bright_model.folder, images=images, outputs={"boxes": "Identity:0"})
    stage = Detect(model=bright_model.folder, images=images, outputs={"detection_boxes": "Identity:0"})
    assert stage.tensors().outputs == (("detection_boxes", "Identity:0"),)
    assert set(Detect.output_fields()) == {"detections", "images_seen"}
