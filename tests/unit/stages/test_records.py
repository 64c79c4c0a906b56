import hashlib
import logging
import shutil
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import ConfigError, InputError, StageError, TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detections import read_detections
from odflow.formats.images import read_image
from odflow.formats.tfrecord import read_records
from odflow.graph.execute import execute, run_alone
from odflow.stages import records as stage_module
from odflow.stages.records import Records

LABEL_MAP = "item { id: 1 name: 'cat' } item { id: 300 name: '/m/2' display_name: 'dog' }"
ROWS = """\
b.png,60,40,dog,0.75,6,4,36,20
a.jpg,60,40,cat,1,0,0,60,40
b.png,60,40,cat,0.5,-5,10,70,50
"""


@pytest.fixture
def given(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for name in ("a.jpg", "b.png", "empty.jpg"):
        Image.fromarray(pixels).save(images / name)
    (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
    (tmp_path / "boxes.csv").write_text(",".join(COLUMNS) + "\n" + ROWS)
    return {"detections": tmp_path / "boxes.csv", "images": images, "label_map": tmp_path / "map.pbtxt"}


def parsed(path):
    """The examples as TensorFlow reads them, as training does."""
    import tensorflow as tf

    one = {"height": tf.int64, "width": tf.int64}
    one |= dict.fromkeys(("filename", "source_id", "key/sha256", "encoded", "format"), tf.string)
    many = {f"bbox/{side}": tf.float32 for side in ("xmin", "xmax", "ymin", "ymax")}
    many |= {"class/text": tf.string, "class/label": tf.int64, "area": tf.float32, "is_crowd": tf.int64}
    features = {f"image/{key}": tf.io.FixedLenFeature((), kind) for key, kind in one.items()}
    features |= {f"image/object/{key}": tf.io.VarLenFeature(kind) for key, kind in many.items()}
    examples = []
    for payload in tf.data.TFRecordDataset(str(path)):
        example = tf.io.parse_single_example(payload, features)
        dense = {
            key: tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value
            for key, value in example.items()
        }
        examples.append({key.removeprefix("image/"): value.numpy() for key, value in dense.items()})
    return examples


def test_tensorflow_reads_every_key(given, tmp_path):
    import tensorflow as tf

    job = run_alone(Records(**given), tmp_path / "out")
    first, second = parsed(tmp_path / "out/records/data.record")
    data = (given["images"] / "b.png").read_bytes()
    assert (first["filename"], second["filename"]) == (b"a.jpg", b"b.png")
    assert (first["format"], second["format"]) == (b"jpeg", b"png")
    assert (second["height"], second["width"], second["source_id"]) == (40, 60, b"b.png")
    assert second["encoded"] == data
    assert second["key/sha256"] == hashlib.sha256(data).hexdigest().encode()
    np.testing.assert_allclose(second["object/bbox/xmin"], [0.1, 0])
    np.testing.assert_allclose(second["object/bbox/xmax"], [0.6, 1])
    np.testing.assert_allclose(second["object/bbox/ymin"], [0.1, 0.25])
    np.testing.assert_allclose(second["object/bbox/ymax"], [0.5, 1])
    assert second["object/class/text"].tolist() == [b"dog", b"cat"]
    assert second["object/class/label"].tolist() == [300, 1]
    assert tf.io.decode_image(second["encoded"]).shape == (40, 60, 3)
    assert job.said == ["1 boxes clipped to their image (b.png).", "2 images, 3 boxes, 1 file(s)"]


def test_optional_columns_are_there_where_the_table_has_them(given, tmp_path):
    lines = given["detections"].read_text().splitlines()
    more = ["area,is_crowd,note", "480.5,1,x", "2400,0,y", "9,0,z"]
    given["detections"].write_text("\n".join(f"{line},{end}" for line, end in zip(lines, more, strict=True)))
    run_alone(Records(**given), tmp_path / "out")
    _, second = parsed(tmp_path / "out/records/data.record")
    assert second["object/area"].tolist() == [480.5, 9]
    assert second["object/is_crowd"].tolist() == [1, 0]
    given["detections"].write_text(given["detections"].read_text().replace("480.5", ""))
    with pytest.raises(TableError, match=r'b\.png: area is ""; wanted a number'):
        run_alone(Records(**given), tmp_path / "out")


def test_shards_take_turns_and_hold_all(given, tmp_path):
    run_alone(Records(**given, name="train.record", shards=2), tmp_path / "out")
    shards = sorted((tmp_path / "out/records").iterdir())
    assert [path.name for path in shards] == ["train.record-00000-of-00002", "train.record-00001-of-00002"]
    assert [[example["filename"] for example in parsed(path)] for path in shards] == [[b"a.jpg"], [b"b.png"]]


def test_a_list_names_exactly_the_images(given, tmp_path):
    (tmp_path / "list.txt").write_text("empty.jpg\nb.png\n")
    run_alone(Records(**given, image_list=tmp_path / "list.txt"), tmp_path / "out")
    second, empty = parsed(tmp_path / "out/records/data.record")
    assert (second["filename"], empty["filename"]) == (b"b.png", b"empty.jpg")
    assert empty["object/bbox/xmin"].size == empty["object/class/label"].size == 0


def test_the_same_input_gives_the_same_bytes(given, tmp_path):
    run_alone(Records(**given), tmp_path / "one")
    rows = given["detections"].read_text().splitlines()
    given["detections"].write_text("\n".join([rows[0], rows[2], rows[1], rows[3]]))
    run_alone(Records(**given), tmp_path / "two")
    one, two = ((tmp_path / run / "records/data.record").read_bytes() for run in ("one", "two"))
    assert one == two


def test_an_image_that_exif_turns_is_stored_upright(given, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 60), "red").save(given["images"] / "a.jpg", exif=exif)
    run_alone(Records(**given), tmp_path / "out")
    first, _ = parsed(tmp_path / "out/records/data.record")
    assert (first["height"], first["width"]) == (40, 60) == read_image(given["images"] / "a.jpg").shape[:2]


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        (
            "a.jpg,60,40,cta,1,0,0,1,1\n",
            TableError,
            r'records: a\.jpg has class "cta", which .*map\.pbtxt \(2 classes\) lacks\. Did you mean "cat"\?',
        ),
        (
            "none.jpg,60,40,cat,1,0,0,1,1\n",
            InputError,
            r"none\.jpg: no such image \(1 of 3 are missing: none\.jpg\)\. Add them, or set missing",
        ),
        (
            "a.jpg,40,60,cat,1,0,0,1,1\n",
            TableError,
            r"a\.jpg: the table has 40x60 pixels, the image is 60x40",
        ),
        ("a.jpg,60,40,cat,1,NaN,0,1,1\n", TableError, r"boxes\.csv:5: a\.jpg: xmin is NaN"),
        ("a.jpg,60,40,cat,1,3,0,1,1\n", TableError, r"boxes\.csv:5: a\.jpg: the box has a negative size"),
    ],
)
def test_a_wrong_row_is_refused_and_nothing_is_left(given, tmp_path, rows, kind, message):
    given["detections"].write_text(given["detections"].read_text() + rows)
    with pytest.raises(kind, match=message):
        run_alone(Records(**given), tmp_path / "out")
    assert not (tmp_path / "out/records").exists()


def test_a_label_map_with_an_id_twice_is_refused(given, tmp_path):
    given["label_map"].write_text("item { id: 1 name: 'cat' } item { id: 1 name: 'dog' }")
    with pytest.raises(ConfigError, match=r"id 1 .*is taken"):
        run_alone(Records(**given), tmp_path / "out")


def test_unknown_classes_and_boxes_outside_can_be_left_out(given, tmp_path):
    more = "a.jpg,60,40,bird,1,0,0,1,1\na.jpg,60,40,cat,1,60,0,70,1\nempty.jpg,60,40,bird,1,0,0,1,1\n"
    given["detections"].write_text(given["detections"].read_text() + more)
    job = run_alone(Records(**given, unknown_classes="drop"), tmp_path / "out")
    assert job.said[0].startswith("2 boxes left out, of classes that ")
    assert job.said[1:] == [
        "1 boxes without area inside their image left out (a.jpg).",
        "1 boxes clipped to their image (b.png).",
        "2 images, 3 boxes, 1 file(s)",
    ]
    assert job.counts == {"boxes_unknown_class": 2, "boxes_without_area": 1, "boxes_clipped": 1}


def test_an_image_that_cannot_be_read_is_named_and_skipped(given, tmp_path, caplog):
    data = (given["images"] / "a.jpg").read_bytes()
    (given["images"] / "a.jpg").write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        job = run_alone(Records(**given), tmp_path / "out")
    assert [example["filename"] for example in parsed(tmp_path / "out/records/data.record")] == [b"b.png"]
    assert job.said[1:] == [
        "1 images left out, which are damaged or cannot be read (a.jpg).",
        "1 images, 2 boxes, 1 file(s)",
    ]
    assert "a.jpg: is cut off (Corrupt JPEG data: premature end" in caplog.text
    (given["images"] / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of 2 images can be read"):
        run_alone(Records(**given), tmp_path / "none")


def test_no_image_at_all_is_refused(given, tmp_path):
    given["detections"].write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(InputError, match="leaves no image to write"):
        run_alone(Records(**given), tmp_path / "out")


def test_a_file_that_reads_back_otherwise_is_not_published(given, tmp_path, monkeypatch):
    sums = (number.to_bytes(4, "little") for number in range(1000))
    monkeypatch.setattr("odflow.formats.tfrecord._masked_crc", lambda pieces: next(sums))
    with pytest.raises(StageError, match=r"data\.record does not read back: .*checksum"):
        run_alone(Records(**given), tmp_path / "out")
    assert not (tmp_path / "out/records").exists()


def test_a_name_stays_in_the_folder(given):
    for name in ("../a", "a/b", "/a", "", ".."):
        with pytest.raises(ValueError, match="pattern"):
            Records(**given, name=name)


IMAGES = 22


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run of four shards with three broken images: the stage, its staging folder, what it said."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "images").mkdir()
    (folder / "map.pbtxt").write_text(LABEL_MAP)
    chance = np.random.default_rng(3)
    rows = [",".join(COLUMNS)]
    for number in range(IMAGES):
        path = folder / f"images/{number:02}.png"
        Image.fromarray(chance.integers(0, 256, (9, 12, 3), np.uint8)).save(path)
        rows += [f"{path.name},12,9,cat,1,{number % 7},0,9,{number % 5 + 2}"] * (number % 3 + 1)
        if number in (5, 6, 13):
            path.write_bytes(path.read_bytes()[:-40])
    (folder / "boxes.csv").write_text("\n".join(rows))
    given = {"detections": folder / "boxes.csv", "images": folder / "images"}
    stage = Records(**given, label_map=folder / "map.pbtxt", shards=4)
    job = execute(stage, folder / "work", name="records", workers=Threads(2))
    return stage, folder / "work", job.said


@pytest.fixture(scope="module")
def made():
    """The names of the images that examples were made of, in any order."""
    names = []

    def make(task):
        names.append(task.name)
        return original(task)

    original = stage_module.make_example
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_module, "make_example", make)
        yield names


def shards_of(work):
    return {path.name: path.read_bytes() for path in (work / "records").iterdir()}


def in_shards(*numbers):
    return sorted(f"{image:02}.png" for image in range(IMAGES) if image % 4 in numbers)


@pytest.mark.parametrize(("after", "left"), [(0, 0), (5, 0), (6, 1), (13, 2), (21, 3)])
def test_a_stopped_run_goes_on_from_its_last_whole_shard(
    undisturbed, made, stopping, tmp_path, caplog, after, left
):
    stage, whole, said = undisturbed
    work = tmp_path / "work"
    with pytest.raises(RuntimeError, match="stopped"):
        execute(stage, work, name="records", workers=stopping(after))
    assert len(shards_of(work)) == left
    assert shards_of(work).items() <= shards_of(whole).items()
    caplog.clear()
    made.clear()
    with caplog.at_level(logging.INFO):
        job = execute(stage, work, name="records", workers=Threads(2))
    assert sorted(made) == in_shards(*range(left, 4))
    assert job.said == said
    assert said[0] == "3 images left out, which are damaged or cannot be read (05.png, 13.png, 06.png)."
    assert shards_of(work) == shards_of(whole)
    skipped = [message for message in caplog.messages if message.startswith("skipped: ")]
    assert [message.rpartition("/")[2][:6] for message in skipped] == ["05.png", "13.png", "06.png"]
    assert (f"goes on after {left} of 4 files" in caplog.messages) == (left > 0)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(data=st.data())
def test_killed_or_without_power_in_the_middle_of_any_write(undisturbed, made, tmp_path, data):
    """The journal torn anywhere, and any shard torn, changed or not there, and the next one begun."""
    stage, whole, said = undisturbed
    work = tmp_path / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(whole, work)
    journal = (whole / "shards.journal").read_bytes()
    end = data.draw(st.just(len(journal)) | st.integers(0, len(journal)))
    (work / "shards.journal").write_bytes(journal[:end])
    known = set(range(journal[:end].count(b"\n")))
    for number, (name, content) in enumerate(sorted(shards_of(whole).items())):
        spoiled = bytearray(content)
        how = data.draw(st.sampled_from(["whole", "cut", "changed", "gone"]))
        at = data.draw(st.integers(0, len(content) - 1))
        if how == "changed":
            spoiled[at] ^= data.draw(st.integers(1, 255))
        (work / "records" / name).write_bytes(spoiled[:at] if how == "cut" else spoiled)
        if how == "gone":
            (work / "records" / name).unlink()
        if how != "whole":
            known.discard(number)
        (work / f"{name}.partial").write_bytes(content[:at])
    made.clear()
    job = execute(stage, work, name="records", workers=Threads(2))
    assert sorted(made) == in_shards(*({0, 1, 2, 3} - known))
    assert job.said == said
    assert shards_of(work) == shards_of(whole)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(shared, project, tmp_path):
    peaks = [_peak_memory(project, _copies(shared, tmp_path / str(count), count)) for count in (128, 1280)]
    assert peaks[1] < 1.1 * peaks[0]


def _copies(shared, folder, count):
    photos = sorted((shared / "data/coco128/images/val2017").iterdir())[:128]
    (folder / "images").mkdir(parents=True)
    rows = [",".join(COLUMNS)]
    for number in range(count):
        photo = photos[number % len(photos)]
        (folder / f"images/{number}.jpg").symlink_to(photo)
        width, height = Image.open(photo).size
        rows += [f"{number}.jpg,{width},{height},person,1,0,0,{side},9" for side in range(7)]
    (folder / "boxes.csv").write_text("\n".join(rows))
    return folder


def _peak_memory(project, folder):
    """In KiB, as the process itself sees it: rusage would count the process that started it too."""
    code = (
        "import sys; from pathlib import Path; from odflow.cli import main; assert main(sys.argv[1:]) == 0; "
        "status = Path('/proc/self/status').read_text(); print(status.split('VmHWM:')[1].split()[0])"
    )
    command = ["records", "--detections", folder / "boxes.csv", "--images", folder / "images"]
    command += ["--label-map", project / "label_maps/mscoco_label_map.pbtxt", "--out", folder / "out"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    shutil.rmtree(folder)
    return int(done.stdout.split()[-1])


def test_tensorflow_is_not_imported(given, tmp_path):
    code = (
        "import sys; from pathlib import Path; from odflow.graph.execute import run_alone; "
        "from odflow.stages.records import Records; "
        "table, images, label_map, out = sys.argv[1:]; "
        "run_alone(Records(detections=table, images=images, label_map=label_map), Path(out)); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *given.values(), tmp_path / "out"], check=True)


def test_real_photographs_come_back_whole(shared, tmp_path, project):
    from odflow.stages.importing import Import

    data = shared / "data/coco128"
    run_alone(
        Import(
            format="yolo",
            annotations=data / "object_detection/labels/val2017",
            images=data / "images/val2017",
            names=data / "object_detection/config.yaml",
        ),
        tmp_path / "in",
    )
    run_alone(
        Records(
            detections=tmp_path / "in/annotations.csv",
            images=data / "images/val2017",
            label_map=project / "label_maps/mscoco_label_map.pbtxt",
            image_list=tmp_path / "in/images.txt",
            shards=3,
        ),
        tmp_path,
    )
    shards = sorted((tmp_path / "records").iterdir())
    assert sum(1 for path in shards for _ in read_records(path)) == 128
    examples = {example["filename"].decode(): example for path in shards for example in parsed(path)}
    table = read_detections(tmp_path / "in/annotations.csv")
    for name, example in examples.items():
        assert example["encoded"] == (data / "images/val2017" / name).read_bytes()
        rows = table[table["filename"] == name]
        np.testing.assert_allclose(example["object/bbox/xmax"] * example["width"], rows["xmax"], atol=1e-3)
        assert [text.decode() for text in example["object/class/text"]] == rows["class"].to_list()
