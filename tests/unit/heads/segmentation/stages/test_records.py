import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import ConfigError, InputError
from odflow.formats.example import decode_example, encode_example
from odflow.formats.png_masks import read_mask
from odflow.formats.tfrecord import read_records
from odflow.graph.execute import run_alone
from odflow.heads.segmentation.stages.records import Records

NAMES = "names: {0: background, 1: person, 2: car, 5: bird}\n"
COUNT = 6


@pytest.fixture
def data(tmp_path):
    """Six photographs 0.jpg to 5.jpg of 12x8 pixels, their masks, and the fields to read them."""
    rng = np.random.default_rng(1)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(COUNT):
        image = Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8))
        image.save(tmp_path / f"images/{number}.jpg")
        mask = np.zeros((8, 12), np.uint8)
        mask[2:4, :number], mask[7] = 1, 255
        Image.fromarray(mask).save(tmp_path / f"masks/{number}.png")
    (tmp_path / "names.yaml").write_text(NAMES)
    return {
        "images": tmp_path / "images",
        "format": "index",
        "masks": tmp_path / "masks",
        "names": tmp_path / "names.yaml",
        "train_count": 4,
    }


def examples(folder):
    return [decode_example(record) for path in sorted(folder.iterdir()) for record in read_records(path)]


def names_of(folder):
    return [example["image/filename"][0].decode() for example in examples(folder)]


def everything(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def test_examples_hold_the_files_own_bytes_under_model_gardens_keys(data, tmp_path):
    run_alone(Records(**data), tmp_path / "out", name="records")
    train, valid = examples(tmp_path / "out/train"), examples(tmp_path / "out/valid")
    assert [one["image/filename"] for one in train] == [[f"{n}.jpg".encode()] for n in range(4)]
    assert [one["image/filename"] for one in valid] == [[b"4.jpg"], [b"5.jpg"]]
    for number, one in enumerate([*train, *valid]):
        assert one["image/encoded"] == [(data["images"] / f"{number}.jpg").read_bytes()]
        assert one["image/segmentation/class/encoded"] == [(data["masks"] / f"{number}.png").read_bytes()]
        assert one["image/format"] == [b"jpeg"]
        assert one["image/segmentation/class/format"] == [b"png"]
        assert (one["image/height"].tolist(), one["image/width"].tolist()) == ([8], [12])


def test_the_audit_is_told_and_kept(data, tmp_path, capsys):
    job = run_alone(Records(**data), tmp_path / "out", name="records")
    audit = json.loads((tmp_path / "out/audit.json").read_text())
    train = audit["train"]
    assert (train["images"], train["pixels"]) == (4, 4 * 96)
    assert train["ignored"] == {"pixels": 48, "share": 0.125, "images": 4}
    person = {"number": 1, "name": "person", "pixels": 12, "share": round(12 / (4 * 84), 6), "images": 3}
    assert train["classes"][1] == person
    assert train["never"] == ["car", "bird"]
    assert "train: 4 images, 12.5% of their pixels ignored" in job.said
    assert "train: person: 3.6% of pixels, in 3 images" in job.said
    assert "valid: 2 of 4 classes never occur: car, bird" in job.said
    names = json.loads((tmp_path / "out/classes.json").read_text())["names"]
    assert names == {"0": "background", "1": "person", "2": "car", "5": "bird"}


def test_one_class_against_the_rest(data, tmp_path):
    Image.fromarray(np.full((8, 12), 5, np.uint8)).save(data["masks"] / "0.png")
    fields = {**data, "classes": {"background": "ignore", "bird": "animal"}, "others": "rest"}
    run_alone(Records(**fields), tmp_path / "out", name="records")
    assert json.loads((tmp_path / "out/classes.json").read_text()) == {"names": {"0": "rest", "1": "animal"}}
    for number, one in enumerate(examples(tmp_path / "out/train")):
        (tmp_path / "m.png").write_bytes(one["image/segmentation/class/encoded"][0])
        source = read_mask(data["masks"] / f"{number}.png")
        expected = np.select([source == 5, source == 1], [1, 0], 255)
        np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), expected)


def test_equal_inputs_give_equal_bytes_whoever_works(data, tmp_path):
    fields = {**data, "classes": {"person": "person"}, "others": "background", "shards": 3}
    run_alone(Records(**fields), tmp_path / "one", name="records")
    run_alone(Records(**fields), tmp_path / "two", name="records", workers=Threads(4))
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one/train").iterdir())
    assert files == [f"data.record-0000{n}-of-00003" for n in range(3)]
    assert sorted(names_of(tmp_path / "one/train")) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


@pytest.mark.parametrize(("after", "whole"), [(1, 0), (2, 1), (4, 2), (5, 3)])
def test_a_stopped_run_goes_on_from_its_last_whole_shard(data, stopping, tmp_path, caplog, after, whole):
    (data["images"] / "3.jpg").write_bytes(b"\xff\xd8\xff nothing")
    stage = Records(**data, shards=2)
    undisturbed = run_alone(stage, tmp_path / "undisturbed", name="records")
    skipped = [line for line in caplog.messages if line.startswith("skipped: ")]
    with pytest.raises(RuntimeError, match="stopped"):
        run_alone(stage, tmp_path / "out", name="records", workers=stopping(after))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        job = run_alone(stage, tmp_path / "out", name="records", workers=Threads(2))
    assert (f"goes on after {whole} of 4 files" in caplog.messages) == (whole > 0)
    assert [line for line in caplog.messages if line.startswith("skipped: ")] == skipped
    assert len(skipped) == 1
    assert job.said == undisturbed.said
    assert everything(tmp_path / "out") == everything(tmp_path / "undisturbed")


def test_wrong_masks_of_a_stopped_run_are_told_with_the_others(data, stopping, tmp_path):
    for number in (0, 5):
        Image.new("L", (8, 12)).save(data["masks"] / f"{number}.png")
    stage = Records(**data, shards=2)
    with pytest.raises(RuntimeError, match="stopped"):
        run_alone(stage, tmp_path / "out", name="records", workers=stopping(5))
    with pytest.raises(InputError) as caught:
        run_alone(stage, tmp_path / "out", name="records")
    places = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert places == [str(data["masks"] / f"{number}.png") for number in (0, 5)]


def test_lists_say_which_images_and_which_validate(data, tmp_path):
    (tmp_path / "some.txt").write_text("5.jpg\n1.jpg\n3.jpg\n")
    (tmp_path / "held.txt").write_text("1.jpg\n2.jpg\n")
    del data["train_count"]
    fields = {**data, "image_list": tmp_path / "some.txt", "valid_images": tmp_path / "held.txt"}
    run_alone(Records(**fields), tmp_path / "out", name="records")
    assert names_of(tmp_path / "out/train") == ["3.jpg", "5.jpg"]
    assert names_of(tmp_path / "out/valid") == ["1.jpg"]


def test_the_side_of_an_image_is_that_of_the_stage_split(data, tmp_path):
    from odflow.ops.split import split_by_hash

    fields = {**data, "train_count": None, "valid_fraction": 0.5}
    run_alone(Records(**fields), tmp_path / "out", name="records")
    train, valid = split_by_hash([f"{n}.jpg" for n in range(COUNT)], 0.5)
    assert (names_of(tmp_path / "out/train"), names_of(tmp_path / "out/valid")) == (train, valid)


def test_copies_of_a_photograph_are_on_one_side(data, tmp_path):
    for folder in (data["images"], data["masks"]):
        for path in list(folder.iterdir()):
            number = int(path.stem)
            path.rename(path.with_stem(f"p{number // 2}_jpg.rf.{number:032x}"))
    job = run_alone(Records(**{**data, "train_count": 3}), tmp_path / "out", name="records")
    stems = [[name[:2] for name in names_of(tmp_path / f"out/{side}")] for side in ("train", "valid")]
    assert stems == [["p0", "p0", "p1", "p1"], ["p2", "p2"]]
    assert (
        "6 images are copies of 3 photographs by their names (.rf.); those of one are on one side" in job.said
    )
    assert job.counts == {"photographs_kept_together": 3, "images_of_photographs": 6}


def test_lonely_images_and_masks_are_counted_and_named(data, tmp_path):
    (data["masks"] / "0.png").unlink()
    (data["images"] / "5.jpg").unlink()
    job = run_alone(Records(**data), tmp_path / "out", name="records")
    assert "1 images without a mask left out: 0.jpg" in job.said
    assert f"1 masks without an image left out: {data['masks'] / '5.png'}" in job.said
    assert job.counts == {"images_without_mask": 1, "masks_without_image": 1}
    assert names_of(tmp_path / "out/train") == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    (tmp_path / "some.txt").write_text("0.jpg\n1.jpg\n")
    with pytest.raises(InputError, match=r"no mask for 0.jpg \(1 of 2 images lack theirs\).*1.png"):
        run_alone(Records(**data, image_list=tmp_path / "some.txt"), tmp_path / "out", name="records")


def test_silent_about_no_image_of_another_form(data, tmp_path):
    (data["images"] / "x.HEIC").write_bytes(b"")
    job = run_alone(Records(**data), tmp_path / "out", name="records")
    assert job.counts == {"images_of_other_forms": 1}
    assert "HEIC (x.HEIC). Convert them to JPEG or PNG." in job.said[0]


def test_masks_of_other_names_are_told_with_an_example(data, tmp_path):
    for path in list(data["masks"].iterdir()):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    with pytest.raises(InputError, match=r"no mask for 0.jpg \(6 of 6 .*0_mask.png"):
        run_alone(Records(**data), tmp_path / "out", name="records")


def test_all_wrong_masks_are_told_at_once_and_nothing_is_left(data, tmp_path):
    Image.new("L", (8, 12)).save(data["masks"] / "0.png")
    Image.new("L", (12, 8), 4).save(data["masks"] / "2.png")
    Image.new("RGBA", (12, 8)).save(data["masks"] / "3.png")
    Image.fromarray(np.full((8, 12), 700, np.uint16)).save(data["masks"] / "5.png")
    with pytest.raises(InputError) as caught:
        run_alone(Records(**data), tmp_path / "out", name="records")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(data["masks"] / f"{n}.png") for n in (0, 2, 3, 5)]
    for line, told in zip(lines, ("8x12", "4 (96 pixels)", "RGBA", "16 bits"), strict=True):
        assert told in line
    assert not (tmp_path / "out").exists()


def test_ten_wrong_masks_are_named_and_the_others_counted(data, tmp_path):
    for number in range(10, 23):
        Image.new("RGB", (12, 8)).save(data["images"] / f"{number}.png")
        Image.new("L", (12, 8), 9).save(data["masks"] / f"{number}.png")
    with pytest.raises(InputError) as caught:
        run_alone(Records(**data), tmp_path / "out", name="records")
    assert len(str(caught.value).splitlines()) == 11
    assert str(caught.value).endswith("and 3 more like these.")


def test_damaged_files_are_skipped_and_counted(data, tmp_path, caplog):
    (data["images"] / "1.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (data["masks"] / "2.png").write_bytes((data["masks"] / "2.png").read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        job = run_alone(Records(**data), tmp_path / "out", name="records")
    assert names_of(tmp_path / "out/train") == ["0.jpg", "3.jpg"]
    assert "train: 2 images skipped, which or whose masks cannot be read" in job.said
    assert job.counts == {"images_unreadable": 2}
    assert "1.jpg" in caplog.text
    assert "2.png" in caplog.text


def test_an_empty_side_is_told(data, tmp_path, caplog):
    with pytest.raises(InputError, match=r"no image is left to train \(6 have masks\).*train_count"):
        run_alone(Records(**{**data, "train_count": 0}), tmp_path / "out", name="records")
    with caplog.at_level(logging.WARNING):
        run_alone(Records(**{**data, "train_count": 6}), tmp_path / "out", name="records")
    assert "the valid side is empty" in caplog.text
    assert names_of(tmp_path / "out/valid") == []


def test_fields_that_do_not_fit_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="index needs names"):
        Records(**{**data, "names": None})
    with pytest.raises(ValueError, match="leave one out"):
        Records(**data, valid_images=data["names"])
    with pytest.raises(InputError, match=r"names\.yaml: is a file"):
        run_alone(Records(**{**data, "masks": data["names"]}), tmp_path / "out", name="records")
    with pytest.raises(ConfigError, match='Did you mean "person"'):
        run_alone(Records(**data, classes={"persn": "a"}), tmp_path / "out", name="records")


def test_a_turned_photograph_is_compared_upright(data, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 12)).save(data["images"] / "0.jpg", exif=exif)
    run_alone(Records(**data), tmp_path / "out", name="records")
    assert examples(tmp_path / "out/train")[0]["image/width"].tolist() == [12]


def test_it_needs_no_tensorflow(data, tmp_path):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in data.items()]
    code = (
        "import sys; from odflow.cli import main; "
        f"code = main({['segmentation.records', *words, '--out', str(tmp_path / 'out')]!r}); "
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(names_of(tmp_path / "out/train")) == 4


def coco128(shared, **more):
    data = shared / "data/coco128"
    return {
        "images": data / "images",
        "format": "index",
        "masks": data / "semantic_segmentation/masks",
        "names": data / "semantic_segmentation/config.yaml",
        **more,
    }


def test_real_masks_pass_unchanged(shared, tmp_path):
    job = run_alone(Records(**coco128(shared, train_count=100)), tmp_path / "out", name="records")
    assert sum("56 images without a mask left out" in line for line in job.said) == 1
    assert len(names_of(tmp_path / "out/train")) == len(names_of(tmp_path / "out/valid")) == 100
    masks = shared / "data/coco128/semantic_segmentation/masks"
    counts = np.zeros(256, np.int64)
    for one in examples(tmp_path / "out/train"):
        name = one["image/filename"][0].decode()
        mask = (masks / name).with_suffix(".png")
        assert one["image/segmentation/class/encoded"] == [mask.read_bytes()]
        with Image.open(mask) as image:
            counts += np.bincount(np.asarray(image).ravel(), minlength=256)
    audit = json.loads((tmp_path / "out/audit.json").read_text())["train"]
    assert {one["number"]: one["pixels"] for one in audit["classes"]} == {
        one["number"]: counts[one["number"]] for one in audit["classes"]
    }


def test_polygons_show_what_the_masks_show(shared, tmp_path):
    """The two annotations of COCO's people, drawn apart, agree as far as outlines do."""
    person = {"classes": {"person": "person"}, "others": "background", "train_count": 20}
    listed = tmp_path / "some.txt"
    names = sorted(path.name for path in (shared / "data/coco128/images/val2017").iterdir())[:40]
    listed.write_text("".join(f"val2017/{name}\n" for name in names))
    polygons = shared / "data/coco128/instance_segmentation"
    forms = {
        "index": coco128(shared, **person, image_list=listed),
        "yolo": {
            **coco128(shared, **person, image_list=listed),
            "format": "yolo",
            "masks": polygons / "labels",
            "names": polygons / "config.yaml",
        },
    }
    masks = {}
    for form, fields in forms.items():
        run_alone(Records(**fields), tmp_path / form, name="records")
        found = examples(tmp_path / form / "train")
        masks[form] = [one["image/segmentation/class/encoded"][0] for one in found]
    both = either = 0
    for pair in zip(masks["index"], masks["yolo"], strict=True):
        drawn = []
        for data in pair:
            (tmp_path / "m.png").write_bytes(data)
            drawn.append(read_mask(tmp_path / "m.png") == 1)
        both += (drawn[0] & drawn[1]).sum()
        either += (drawn[0] | drawn[1]).sum()
    assert both / either > 0.85


@pytest.mark.slow
def test_model_gardens_own_decoder_reads_the_same_numbers(data, tmp_path):
    """Palettes and few bits too, which TensorFlow would read otherwise if they passed unchanged."""
    import tensorflow as tf
    from official.vision.dataloaders.segmentation_input import Decoder, Parser

    pixels = np.arange(96).reshape(8, 12) % 3
    palette = Image.fromarray(pixels.astype(np.uint8), "P")
    palette.putpalette([9, 9, 9, 200, 0, 0, 0, 0, 77])
    palette.save(data["masks"] / "0.png")
    Image.fromarray(pixels == 1).save(data["masks"] / "1.png")
    clear = Image.fromarray(pixels.astype(np.uint8))
    clear.save(data["masks"] / "2.png", transparency=1)
    run_alone(Records(**data), tmp_path / "out", name="records")
    parser = Parser(output_size=[8, 12], resize_eval_groundtruth=True)
    records = tf.data.TFRecordDataset(str(tmp_path / "out/train/data.record"))
    for number, record in enumerate(records):
        image, labels = parser.parse_fn(is_training=False)(Decoder().decode(record))
        expected = read_mask(data["masks"] / f"{number}.png")
        np.testing.assert_array_equal(labels["masks"][..., 0], expected)
        np.testing.assert_array_equal(labels["valid_masks"][..., 0], expected != 255)
        assert image.shape == (8, 12, 3)
    assert number == 3


def test_silent_masks_of_0_and_255_alone_are_refused(data, tmp_path):
    for path in data["masks"].iterdir():
        Image.fromarray(np.where(np.asarray(Image.open(path)) == 1, 255, 0).astype(np.uint8)).save(path)
    Image.fromarray(np.full((8, 12), 255, np.uint8)).save(data["masks"] / "0.png")
    with pytest.raises(InputError, match=r"the numbers 0 \(\d+ pixels\) and 255 \(\d+ pixels\) alone"):
        run_alone(Records(**data), tmp_path / "out", name="records")


def test_silent_an_example_is_read_as_it_is_stored_not_turned(data, tmp_path):
    from odflow.heads.segmentation.example import decode

    exif = Image.Exif()
    exif[0x0112] = 3
    pixels = Image.open(data["images"] / "0.jpg")
    payload = {"image/encoded": [], "image/filename": [b"0.jpg"]}
    for turn in (1, exif):
        pixels.save(tmp_path / "a.png", **({} if turn == 1 else {"exif": exif}))
        payload["image/encoded"].append((tmp_path / "a.png").read_bytes())
    mask = (data["masks"] / "0.png").read_bytes()
    plain, turned = (
        decode(
            encode_example({**payload, "image/encoded": [data_], "image/segmentation/class/encoded": [mask]}),
            "a",
        )
        for data_ in payload["image/encoded"]
    )
    np.testing.assert_array_equal(plain.image, turned.image)
