"""The stage `segmentation.evaluate`, on a network that finds red and green."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from odflow.engines.threads import Threads
from odflow.errors import InputError
from odflow.formats.encoding import read_encoded
from odflow.formats.masks import EncodedMask, encode_mask
from odflow.formats.tfrecord import write_records
from odflow.graph.execute import run_alone
from odflow.heads.segmentation.example import decode, encode
from odflow.heads.segmentation.stages.evaluate import Evaluate

SIZES = [(7, 13), (31, 5), (40, 60), (1, 1), (24, 24)]


def example(tmp_path, name, picture, mask):
    Image.fromarray(picture).save(tmp_path / "picture.png")
    return encode(name, read_encoded(tmp_path / "picture.png"), encode_mask(mask))


def disturbed(mask, seed, numbers):
    """A true mask: what is found, but for some pixels, and some ignored."""
    rng = np.random.default_rng(seed)
    truth = mask.copy()
    wrong = rng.random(mask.shape) < 0.2
    truth[wrong] = rng.choice(numbers, int(wrong.sum()))
    return truth


def written(painter, folder, numbers=(0, 1, 2, 255)):
    """Records of pictures, and their pairs of true and found masks."""
    pairs, examples = [], []
    (folder / "records").mkdir()
    for seed, size in enumerate(SIZES):
        picture = painter.picture(*size, seed)
        found = painter.expected(picture)
        truth = disturbed(found, seed, numbers)
        if set(numbers) == {0, 1}:
            truth = np.where(truth == 2, 0, truth).astype(np.uint8)
        pairs.append((truth, found))
        examples.append(example(folder, f"{seed}.png", picture, truth))
    for number in (0, 1):
        write_records(folder / f"records/data.record-{number}", examples[number * 3 : number * 3 + 3])
    return folder / "records", pairs


def measured(pairs, number):
    """IoU of a class by a loop over pixels; None where the truth never has it."""
    both = either = there = 0
    for truth, found in pairs:
        for true, said in zip(truth.flat, found.flat, strict=True):
            if true == 255:
                continue
            both += true == number and said == number
            either += number in (true, said)
            there += true == number
    return both / either if there else None


def evaluate(out, **fields):
    job = run_alone(Evaluate(**fields), out)
    return job, json.loads((out / "metrics.json").read_text())


def test_the_figures_are_those_of_a_loop(painter, tmp_path):
    records, pairs = written(painter, tmp_path)
    job, metrics = evaluate(tmp_path / "out", model=painter.folder, records=records)
    ious = [measured(pairs, number) for number in range(3)]
    for name, iou in zip(painter.classes, ious, strict=True):
        assert metrics[f"IoU/{name}"] == pytest.approx(iou)
    assert metrics["mIoU"] == pytest.approx(np.mean(ious))
    both = [np.concatenate([mask.ravel() for mask in masks]) for masks in zip(*pairs, strict=True)]
    counted = [(true, said) for true, said in zip(*both, strict=True) if true != 255]
    assert metrics["pixel_accuracy"] == pytest.approx(np.mean([true == said for true, said in counted]))
    nothing = [(truth, np.zeros_like(found)) for truth, found in pairs]
    assert metrics["baseline/mIoU"] == pytest.approx(np.mean([measured(nothing, n) for n in range(3)]))
    assert "thresholded_IoU" not in metrics
    with (tmp_path / "out/confusion.csv").open() as file:
        rows = list(csv.DictReader(file))
    for true, row in enumerate(rows):
        assert row["truth"] == painter.classes[true]
        for said, name in enumerate(painter.classes):
            assert int(row[name]) == counted.count((true, said))
    assert job.said[0].startswith(
        f"mIoU {metrics['mIoU']:.4f} (all background {metrics['baseline/mIoU']:.4f})"
    )


def test_a_class_that_never_occurs_is_absent(painter, tmp_path):
    records, pairs = written(painter, tmp_path, (0, 1))
    job, metrics = evaluate(tmp_path / "out", model=painter.folder, records=records)
    assert metrics["IoU/green"] is None
    assert metrics["mIoU"] == pytest.approx(np.mean([measured(pairs, n) for n in (0, 1)]))
    assert job.said[-1] == "never there, and not measured: green"


def test_the_score_of_two_classes_is_the_mean_of_the_images(painter, tmp_path):
    model = painter.export(tmp_path / "exported", ("red", "background"))
    (tmp_path / "records").mkdir()
    red, dark = np.full((10, 10, 3), (0, 0, 0), np.uint8), np.zeros((10, 10, 3), np.uint8)
    red[:8, :, 0] = 250  # found as number 1, which is background here; red is what stays dark
    truths = [np.where(np.arange(100).reshape(10, 10) < 80 - extra, 1, 0) for extra in (0, 4, 40)]
    pictures = [(red, truth.astype(np.uint8)) for truth in truths]
    bright = np.full((10, 10, 3), (250, 0, 0), np.uint8)
    pictures.append((bright, np.ones((10, 10), np.uint8)))  # nothing to find, nothing found
    pictures.append((bright, np.zeros((10, 10), np.uint8)))  # all of it missed
    pictures.append((dark, np.full((10, 10), 255, np.uint8)))
    examples = [example(tmp_path, f"{n}.png", *pair) for n, pair in enumerate(pictures)]
    write_records(tmp_path / "records/data.record", examples)
    _, metrics = evaluate(tmp_path / "out", model=model, records=tmp_path / "records")
    ious = [20 / 20, 20 / 24, 20 / 60, 1, 0, 1]
    scores = [np.ceil(np.clip(20 * (iou - 0.5), 0, 10)) / 10 for iou in ious]
    assert metrics["thresholded_IoU"] == pytest.approx(np.mean(scores))
    assert metrics["baseline/thresholded_IoU"] == pytest.approx(2 / 6)  # right where there is nothing


def test_any_number_of_workers_gives_the_same_bytes(painter, tmp_path, monkeypatch):
    monkeypatch.setattr("odflow.inference.chunks.CHUNK", 2)
    records, _ = written(painter, tmp_path)
    stage = Evaluate(model=painter.folder, records=records, count=3)
    made = []
    for jobs in (1, 3):
        out = tmp_path / str(jobs)
        run_alone(stage, out, workers=Threads(jobs))
        made.append({path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()})
    assert made[0] == made[1]
    assert set(made[0]) == {"metrics.json", "confusion.csv", "contact_sheet.png", ".odflow-evaluate.json"}


def test_the_contact_sheet_and_the_curves(painter, tmp_path):
    records, _ = written(painter, tmp_path)
    (tmp_path / "trained").mkdir()
    evaluations = {
        "10": {"mIoU": 0.2, "loss": 0.9, "IoU/red": None},
        "2": {"mIoU": 0.1, "loss": 1.2, "IoU/red": 0.1},
    }
    (tmp_path / "trained/evaluations.json").write_text(json.dumps(evaluations))
    fields = {"records": records, "trained": tmp_path / "trained", "count": 2, "width": 120}
    evaluate(tmp_path / "out", model=painter.folder, **fields)
    with Image.open(tmp_path / "out/pictures/contact_sheet.png") as sheet:
        assert sheet.width == 3 * 130 + 10
        colours = {colour for _, colour in sheet.getcolors(1 << 20)}
    assert {(250, 0, 0), (0, 250, 0)} & colours  # a picture as it is
    with Image.open(tmp_path / "out/pictures/training.png") as curves:
        assert curves.size == (1600, 500)
        assert len(curves.convert("RGB").getcolors(1 << 20)) > 5
    evaluate(tmp_path / "bare", model=painter.folder, records=records, count=0)
    assert [path.name for path in (tmp_path / "bare/pictures").iterdir()] == ["contact_sheet.png"]


def test_what_cannot_be_measured(painter, tmp_path):
    picture = painter.picture(8, 9, 0)
    mask = painter.expected(picture)

    def records(name, *examples):
        write_records(tmp_path / name, examples)
        return tmp_path / name

    def holding(mask_image):
        mask_image.save(tmp_path / "mask.png")
        data = (tmp_path / "mask.png").read_bytes()
        Image.fromarray(picture).save(tmp_path / "picture.png")
        counts = np.zeros(256, np.int64)
        return encode("a.png", read_encoded(tmp_path / "picture.png"), EncodedMask(data, 9, 8, counts))

    good = example(tmp_path, "good.png", picture, mask)
    cases = {
        "empty": ([], "holds no record"),
        "ignored": ([example(tmp_path, "a.png", picture, mask * 0 + 255)], "every pixel is ignored"),
        "seven": (
            [good, example(tmp_path, "a.png", picture, mask * 0 + 7)],
            r"seven: record 1 \(a\.png\): its mask has the class number 7; the model has 3 classes",
        ),
        "deep": (
            [holding(Image.fromarray(mask.astype(np.uint16)))],
            r"record 0 \(a\.png\): its mask is .*16",
        ),
        "small": ([holding(Image.fromarray(mask[1:]))], r"its mask is uint8 \(7, 9\), its image \(8, 9, 3\)"),
        "nothing": ([b""], r"nothing: record 0: has no image/"),
        "noise": ([b"\xff\xff\xff"], r"noise"),
    }
    for name, (examples, says) in cases.items():
        with pytest.raises(InputError, match=says):
            evaluate(tmp_path / "out", model=painter.folder, records=records(name, *examples))
    (tmp_path / "trained").mkdir()
    with pytest.raises(InputError, match=r"evaluations\.json: does not exist.* Leave out trained"):
        evaluate(
            tmp_path / "out",
            model=painter.folder,
            records=records("good", good),
            trained=tmp_path / "trained",
        )


def test_an_example_is_read_as_it_was_written(painter, tmp_path):
    picture = painter.picture(11, 6, 3)
    mask = painter.expected(picture)
    labelled = decode(b"".join(example(tmp_path, "ä/b.png", picture, mask)), "place")
    assert labelled.name == "ä/b.png"
    np.testing.assert_array_equal(labelled.image, picture)
    np.testing.assert_array_equal(labelled.mask, mask)
