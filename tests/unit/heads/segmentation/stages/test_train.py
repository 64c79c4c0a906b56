"""segmentation.train: what it refuses, what it freezes, and that a network learns."""

import json
import re

import numpy as np
import pytest
from pydantic import ValidationError

from odflow.errors import ConfigError, InputError
from odflow.formats.example import decode_example, encode_example
from odflow.formats.mask_classes import write_mask_classes
from odflow.formats.tfrecord import read_records, write_records
from odflow.graph.execute import run_alone
from odflow.heads.segmentation.settings import SEGMENTATION
from odflow.heads.segmentation.stages.train import Train

SMALL = {"input_height": 64, "input_width": 64, "width": 0.25, "filters": 8, "batch_size": 4}


@pytest.fixture(scope="module")
def data(squares, tmp_path_factory):
    """Eight pictures of odd sizes as records, and their classes."""
    folder = tmp_path_factory.mktemp("squares")
    sizes = [(64, 64), (51, 77), (90, 33), (64, 64), (47, 47), (120, 64), (33, 90), (64, 65)]
    squares.records(folder / "data.record", *(squares.painted(*size, i) for i, size in enumerate(sizes)))
    write_mask_classes(folder / "classes.json", dict(enumerate(squares.classes)))
    return folder


@pytest.fixture
def given(data):
    return {"class_names": data / "classes.json", "train_records": data / "data.record"} | SMALL


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"train_only": "head"}, "train_only: head needs fine_tune_checkpoint"),
        ({"scale": (2.0, 1.0)}, "smaller number first"),
        ({"backbone": "dilated_resnet/50"}, "width is of MobileNets only"),
        ({"class_weights": {"red": -1.0}}, "class_weights"),
        ({"output_stride": 4}, "output_stride"),
        ({"patience": 2}, "patience needs valid_records"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(given, fields, told):
    with pytest.raises(ValidationError, match=told):
        Train(**given | fields)


def test_the_fields_become_the_model(given, squares):
    fields = {"plus": True, "output_stride": 8, "scale": (1.0, 1.5), "class_weights": {"red": 2.0}}
    model = Train(**given | fields)._model()
    assert model.classes == squares.classes
    assert (model.network.num_classes, model.network.plus, model.network.output_stride) == (3, True, 8)
    assert (model.view.height, model.view.scale, model.class_weights) == (64, (1.0, 1.5), {"red": 2.0})
    resnet = {"backbone": "dilated_resnet/50", "width": 1.0}
    rates = [
        Train(**given | fields)._model().network.dilation_rates
        for fields in ({}, resnet, resnet | {"output_stride": 8}, resnet | {"dilation_rates": [3]})
    ]
    assert rates == [(), (6, 12, 18), (12, 24, 36), (3,)]


def refuse(fields, out, kind):
    with pytest.raises(kind) as error:
        run_alone(Train(**fields), out)
    assert not out.exists(), "nothing is left behind, though train resumes when it is stopped"
    return str(error.value)


def test_a_weight_for_an_unknown_class_is_refused(given, tmp_path):
    told = refuse(given | {"class_weights": {"read": 2.0}}, tmp_path / "out", ConfigError)
    assert told == 'class_weights: there is no class "read". Did you mean "red"?'


def test_an_empty_side_is_told(given, tmp_path):
    (tmp_path / "empty.record").write_bytes(b"")
    for side in ("train_records", "valid_records"):
        told = refuse(given | {side: tmp_path / "empty.record"}, tmp_path / "out", InputError)
        assert told == f"{tmp_path}/empty.record: no record. Did segmentation.records leave nothing?"


def changed(data, tmp_path, **features):
    """The first record with other features; None takes one out."""
    example = decode_example(next(read_records(data / "data.record")))
    for key, value in features.items():
        name = {"image": "image/encoded", "mask": "image/segmentation/class/encoded"}[key]
        example[name] = [value]
        if value is None:
            del example[name]
    write_records(tmp_path / "changed.record", [encode_example(example)] * 12)
    return tmp_path / "changed.record"


def test_records_that_training_cannot_use_are_told(given, data, squares, tmp_path):
    _, mask = squares.painted(64, 64, 0)
    colours = squares.png(np.zeros((64, 64, 3), np.uint8))
    for features, told in (
        ({"mask": None}, "(0.png): no image with a mask ("),
        ({"mask": squares.png(mask[:60])}, "(0.png): its mask has 64x60 pixels, the image 64x64."),
        ({"mask": squares.png(mask + 2)}, "(0.png): its mask has the class numbers 3, 4; wanted: 0 to 2."),
        ({"mask": colours}, "(0.png): its mask is no PNG of 8-bit grey."),
        ({"image": b"\xff\xd8 but no more"}, "(0.png): an image that cannot be read ("),
    ):
        fields = given | {"train_records": changed(data, tmp_path, **features)}
        lines = refuse(fields, tmp_path / "out", InputError).splitlines()
        assert lines[0].startswith(f"{tmp_path}/changed.record: record 0 {told}"), lines[0]
        assert lines[-1] == "... and 2 more problems of this kind in 12 records."


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A network trained for two steps."""
    out = tmp_path_factory.mktemp("trained")
    fields = {"class_names": data / "classes.json", "train_records": data / "data.record"} | SMALL
    run_alone(Train(**fields, valid_records=data / "data.record", plus=True, num_steps=2), out)
    return out / "trained"


def weights_in(trained):
    from odflow.odapi.checkpoint import read_checkpoint

    return dict(read_checkpoint(trained))


@pytest.mark.slow
def test_a_trained_folder_holds_what_it_says(trained):
    assert {one.name for one in trained.iterdir()} == {
        "checkpoint",
        "evaluations.json",
        "segmentation.json",
        "tensorboard",
    }
    assert SEGMENTATION.read_model(trained).network.plus
    (metrics,) = json.loads((trained / "evaluations.json").read_text()).values()
    assert set(metrics) == {"loss", "mIoU", "pixel_accuracy", "IoU/background", "IoU/red", "IoU/blue"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "moving"),
    [
        ("last_layer", ("model/head/_classifier/",)),
        ("head", ("model/head/", "model/decoder/")),
        ("all", ("model/",)),
    ],
)
def test_what_is_frozen_does_not_change_by_one_bit(given, trained, part, moving, tmp_path, capsys):
    fields = given | {"fine_tune_checkpoint": trained, "plus": True, "train_only": part, "num_steps": 2}
    run_alone(Train(**fields, weight_decay=0.1, dropout=0.5), tmp_path)
    before, after = weights_in(trained), weights_in(tmp_path / "trained")
    assert before.keys() == after.keys()
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    # Model Garden's MobileNetV2 ends with a convolution that no DeepLab looks at: it decays, and that is all.
    idle = {f"model/backbone/layer_with_weights-18/_norm0/{name}" for name in ("gamma", "beta")}
    assert moved == {name for name in before if name.startswith(moving)} - idle
    assert any("moving_variance" in name for name in moved) == (part != "last_layer")
    told = re.search(r"(\d+) variables frozen, (\d+) trained", capsys.readouterr().out)
    assert bool(told) == (part != "all")
    if part == "last_layer":
        assert told[2] == "2"


@pytest.mark.slow
def test_another_number_of_classes_leaves_the_class_layer_alone(given, trained, tmp_path):
    write_mask_classes(tmp_path / "classes.json", dict(enumerate(("background", "red", "blue", "green"))))
    fields = given | {"class_names": tmp_path / "classes.json", "fine_tune_checkpoint": trained, "plus": True}
    run_alone(Train(**fields | {"train_only": "last_layer", "num_steps": 1}), tmp_path)
    report = json.loads((tmp_path / "trained/fine_tune.json").read_text())
    assert set(report["left"]) == {"model/head/_classifier/kernel", "model/head/_classifier/bias"}
    assert weights_in(tmp_path / "trained")["model/head/_classifier/bias"].shape == (4,)


@pytest.mark.slow
def test_four_pictures_are_learnt_by_heart(squares, data, tmp_path):
    squares.records(tmp_path / "four.record", *(squares.painted(64, 64, seed) for seed in range(4)))
    stage = Train(
        class_names=data / "classes.json",
        train_records=tmp_path / "four.record",
        valid_records=tmp_path / "four.record",
        **SMALL | {"filters": 32},
        plus=True,
        scale=(1.0, 1.0),
        flip=0.0,
        learning_rate=0.003,
        epochs=120,
        evaluate_every=120,
        strategy="one_device",
    )
    run_alone(stage, tmp_path)
    (metrics,) = json.loads((tmp_path / "trained/evaluations.json").read_text()).values()
    assert metrics["mIoU"] > 0.9
