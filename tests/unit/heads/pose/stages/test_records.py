import hashlib
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import InputError, TableError
from odflow.formats.images import read_image
from odflow.formats.tfrecord import read_records
from odflow.graph.execute import execute, run_alone
from odflow.heads.pose.person import decode
from odflow.heads.pose.skeleton import read_skeleton
from odflow.heads.pose.stages.importing import Import
from odflow.heads.pose.stages.records import Records

JOINTS = read_skeleton("lsp").joints
HEADER = ",".join(["filename,person,width,height,split", *(f"{j}_x,{j}_y,{j}_v" for j in JOINTS)])
PERSON = ",".join(f"{4 * k - 2},{2 * k},{k % 3}" for k in range(14))

NO_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None  # importing it fails
from odflow.cli import main
sys.exit(main())
"""


@pytest.fixture
def given(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for name in ("a.jpg", "b.png", "c.bmp", "d.webp"):
        Image.fromarray(pixels).save(images / name)
    Image.fromarray(pixels).convert("CMYK").save(images / "e.jpg")
    Image.fromarray(pixels).convert("L").save(images / "f.png")
    return {"keypoints": tmp_path / "keypoints.csv", "images": images, "skeleton": "lsp"}


@pytest.fixture
def write(given):
    def rows(*rows):
        given["keypoints"].write_text("\n".join([HEADER, *rows]) + "\n")

    return rows


def examples(out, name="data.record"):
    return [decode(data) for data in read_records(out / "records" / name)]


def test_tensorflow_reads_every_key(given, write, tmp_path):
    import tensorflow as tf

    write(f"b.png,3,60,40,train,{PERSON}")
    run_alone(Records(**given), tmp_path / "out")
    (payload,) = tf.data.TFRecordDataset(str(tmp_path / "out/records/data.record"))
    one = tf.io.FixedLenFeature
    kinds = dict.fromkeys(("filename", "source_id", "key/sha256", "encoded", "format"), one((), tf.string))
    kinds |= dict.fromkeys(("height", "width", "object/person"), one((), tf.int64))
    kinds |= dict.fromkeys(("object/scale", "object/head_size"), one((), tf.float32))
    kinds |= dict.fromkeys(("object/center/x", "object/center/y"), one((), tf.float32))
    kinds |= dict.fromkeys((f"object/bbox/{side}" for side in ("xmin", "xmax")), one((1,), tf.float32))
    kinds |= dict.fromkeys((f"object/bbox/{side}" for side in ("ymin", "ymax")), one((1,), tf.float32))
    kinds |= {"object/class/text": one((1,), tf.string), "object/class/label": one((1,), tf.int64)}
    kinds |= {"object/keypoint/text": one((14,), tf.string)}
    kinds |= {"object/keypoint/visibility": one((14,), tf.int64)}
    kinds |= {"object/keypoint/x": one((14,), tf.float32), "object/keypoint/y": one((14,), tf.float32)}
    read = tf.io.parse_single_example(payload, {f"image/{key}": kind for key, kind in kinds.items()})
    found = {key.removeprefix("image/"): value.numpy() for key, value in read.items()}

    assert set(tf.train.Example.FromString(payload.numpy()).features.feature) == set(read)
    data = (given["images"] / "b.png").read_bytes()
    assert (found["encoded"], found["format"], found["filename"]) == (data, b"png", b"b.png")
    assert found["key/sha256"] == hashlib.sha256(data).hexdigest().encode()
    assert (found["height"], found["width"], found["object/person"]) == (40, 60, 3)
    assert (found["object/class/text"], found["object/class/label"]) == (b"person", 1)
    assert [joint.decode() for joint in found["object/keypoint/text"]] == list(JOINTS)
    k = np.arange(14)
    np.testing.assert_allclose(found["object/keypoint/x"], (4 * k - 2) / 60, rtol=1e-6)
    np.testing.assert_allclose(found["object/keypoint/y"], 2 * k / 40, rtol=1e-6)
    np.testing.assert_array_equal(found["object/keypoint/visibility"], k % 3)
    # Joints 1 to 13 are labelled: x 2 to 50, y 2 to 26.
    box = [found[f"object/bbox/{side}"].item() for side in ("xmin", "ymin", "xmax", "ymax")]
    np.testing.assert_allclose(box, [2 / 60, 2 / 40, 50 / 60, 26 / 40], rtol=1e-6)
    np.testing.assert_allclose(found["object/center/x"], 26 / 60, rtol=1e-6)
    np.testing.assert_allclose(found["object/center/y"], 14 / 40, rtol=1e-6)
    np.testing.assert_allclose(found["object/scale"], 48 / 200, rtol=1e-6)
    assert found["object/head_size"] == 0


def test_images_that_training_cannot_read_are_encoded_anew(given, write, tmp_path):
    names = ["a.jpg", "b.png", "c.bmp", "d.webp", "e.jpg", "f.png"]
    write(*(f"{name},0,60,40,,{PERSON}" for name in names))
    run_alone(Records(**given), tmp_path / "out")
    found = examples(tmp_path / "out")
    assert [person.filename for person, *_ in found] == names
    for (_, data, _), name in zip(found, names, strict=True):
        same = data == (given["images"] / name).read_bytes()
        assert same == (name in ("a.jpg", "b.png", "f.png"))
        (tmp_path / "again").write_bytes(data)
        assert data.startswith((b"\xff\xd8", b"\x89PNG"))
        difference = read_image(tmp_path / "again").astype(int) - read_image(given["images"] / name)
        assert np.abs(difference).mean() < 6


def test_a_negative_coordinate_stays_what_it_is(given, write, tmp_path):
    joints = PERSON.split(",")
    joints[:6] = ["-5", "7", "2", "9", "-11", "1"]
    write(f"a.jpg,0,,,,{','.join(joints)}")
    run_alone(Records(**given), tmp_path / "out")
    ((person, *_),) = examples(tmp_path / "out")
    np.testing.assert_allclose(person.joints[:2], [[-5, 7, 2], [9, -11, 1]], rtol=1e-6)


def test_shards_hold_every_nth_person_whoever_works(given, write, tmp_path):
    write(*(f"{name},{number},60,40,,{PERSON}" for number in range(5) for name in ("a.jpg", "b.png")))
    stage = Records(**given, name="train.record", shards=3)
    execute(stage, tmp_path / "three", name="pose.records", workers=Threads(3))
    run_alone(stage, tmp_path / "one")
    found = {}
    for n in range(3):
        name = f"train.record-0000{n}-of-00003"
        assert (tmp_path / "one/records" / name).read_bytes() == (
            tmp_path / "three/records" / name
        ).read_bytes()
        found[n] = [(person.number, person.filename) for person, *_ in examples(tmp_path / "one", name)]
    everyone = [(number, name) for number in range(5) for name in ("a.jpg", "b.png")]
    assert found == {n: everyone[n::3] for n in range(3)}


def test_bad_people_are_told_and_counted_and_the_others_written(given, write, tmp_path, caplog):
    (given["images"] / "damaged.jpg").write_bytes((given["images"] / "a.jpg").read_bytes()[:200])
    nobody = ",".join(["1,2,0"] * 14)
    point = ",".join(["5,5,2"] * 14)
    write(
        f"a.jpg,0,60,40,,{PERSON}",
        f"a.jpg,1,60,40,,{nobody}",
        f"a.jpg,2,60,40,,{point}",
        f"a.jpg,3,60,40,,nan,1,2,{PERSON.partition(',0,0,')[2]}",
        f"a.jpg,4,40,60,,{PERSON}",
        f"missing.jpg,0,60,40,,{PERSON}",
        f"damaged.jpg,0,60,40,,{PERSON}",
        f"../a.jpg,0,60,40,,{PERSON}",
    )
    with caplog.at_level(logging.WARNING):
        job = run_alone(Records(**given, shards=2), tmp_path / "out")
    assert sorted(job.said) == sorted(
        [
            "1 left out: no joint is labelled",
            "1 left out: the crop around the joints is smaller than a pixel",
            "1 left out: right_ankle is labelled and has no coordinates (NaN)",
            "1 left out: the table is of another size",
            "1 left out: the image is missing",
            "1 left out: the image cannot be read",
            "1 left out: filename is no name inside the images folder",
            "1 people, 2 file(s)",
        ]
    )
    for row, name in ((2, "a.jpg"), (5, "a.jpg"), (6, "missing.jpg"), (7, "damaged.jpg"), (8, "../a.jpg")):
        assert any(f"{given['keypoints']}: row {row} ({name}): " in line for line in caplog.messages)


@pytest.mark.parametrize(("after", "whole"), [(2, 0), (3, 1), (8, 2)])
def test_a_stopped_run_goes_on_from_its_last_whole_shard(
    given, write, stopping, tmp_path, caplog, after, whole
):
    (given["images"] / "damaged.jpg").write_bytes((given["images"] / "a.jpg").read_bytes()[:200])
    names = [
        "a.jpg",
        "damaged.jpg",
        "b.png",
        "missing.jpg",
        "a.jpg",
        "b.png",
        "damaged.jpg",
        "c.bmp",
        "a.jpg",
    ]
    write(*(f"{name},{number},60,40,,{PERSON}" for number, name in enumerate(names)), f"../x,0,,,,{PERSON}")
    stage = Records(**given, shards=3)
    undisturbed = run_alone(stage, tmp_path / "undisturbed", name="pose.records")
    left_out = [line for line in caplog.messages if line.startswith("left out: ")]
    assert len(left_out) == 4
    with pytest.raises(RuntimeError, match="stopped"):
        run_alone(stage, tmp_path / "out", name="pose.records", workers=stopping(after))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        job = run_alone(stage, tmp_path / "out", name="pose.records", workers=Threads(2))
    assert (f"goes on after {whole} of 3 files" in caplog.messages) == (whole > 0)
    assert [line for line in caplog.messages if line.startswith("left out: ")] == left_out
    assert job.said == undisturbed.said
    for path in (tmp_path / "undisturbed/records").iterdir():
        assert (tmp_path / "out/records" / path.name).read_bytes() == path.read_bytes()


def test_nobody_left_is_an_error(given, write, tmp_path):
    write(f"missing.jpg,0,60,40,,{PERSON}", f"gone.jpg,0,60,40,,{PERSON}")
    with pytest.raises(InputError, match=r"none of its 2 people can be used\. The first: .* row 1 \(missing"):
        run_alone(Records(**given), tmp_path / "out")


def test_only_one_split_is_written(given, write, tmp_path):
    write(*(f"a.jpg,{k},60,40,{split},{PERSON}" for k, split in enumerate(["train", "test", "train"])))
    job = run_alone(Records(**given, split="train"), tmp_path / "out")
    assert job.said == ["2 people, 1 file(s)"]
    with pytest.raises(TableError, match=r'nobody of the split "tset"\. Did you mean "test"\?'):
        run_alone(Records(**given, split="tset"), tmp_path / "out")


def test_only_people_of_listed_images_are_written(given, write, tmp_path):
    write(*(f"{name}.jpg,0,60,40,train,{PERSON}" for name in "ab"))
    shutil.copy(given["images"] / "a.jpg", given["images"] / "b.jpg")
    listed = tmp_path / "list.txt"
    listed.write_text("# of one image\n./b.jpg\nwithout_people.jpg\n")
    job = run_alone(Records(**given, image_list=listed), tmp_path / "out")
    assert job.said == ["1 people, 1 file(s)"]
    (payload,) = read_records(tmp_path / "out/records/data.record")
    assert decode(payload)[0].filename == "b.jpg"
    listed.write_text("c.jpg\n")
    with pytest.raises(TableError, match=r"nobody in the 1 images of .*list\.txt"):
        run_alone(Records(**given, image_list=listed), tmp_path / "no")


def test_a_table_of_another_skeleton_is_an_error(given, write, tmp_path):
    write(f"a.jpg,0,60,40,,{PERSON}")
    with pytest.raises(TableError, match="pelvis, thorax, upper_neck; it has neck"):
        run_alone(Records(**(given | {"skeleton": "mpii"})), tmp_path / "out")


def test_every_person_of_lsp_becomes_an_example(shared, tmp_path):
    lsp = {"annotations": shared / "data/lsp/joints.mat", "images": shared / "data/lsp/images"}
    run_alone(Import(format="lsp", **lsp, train_count=320), tmp_path / "table")
    stage = Records(
        keypoints=tmp_path / "table/keypoints.csv", images=lsp["images"], skeleton="lsp", split="test"
    )
    run_alone(stage, tmp_path / "out")
    found = examples(tmp_path / "out")
    assert [person.filename for person, *_ in found] == [f"im{n:05}.jpg" for n in range(321, 401)]
    assert all(person.scale > 0.1 for person, *_ in found)


def test_no_tensorflow_is_needed(given, write, tmp_path):
    write(f"a.jpg,0,60,40,,{PERSON}")
    command = [sys.executable, "-c", NO_TENSORFLOW, "pose.records", "--skeleton", "lsp"]
    command += ["--keypoints", given["keypoints"], "--images", given["images"], "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "pose.records: 1 people, 1 file(s)\n"), done.stderr
