"""pose.train and pose.export: what they refuse, what they write, and that a network learns."""

import dataclasses
import json
import re
import time

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from odflow.errors import ConfigError, InputError
from odflow.formats.tfrecord import count_records, read_records, write_records
from odflow.graph.execute import run_alone
from odflow.heads.pose.settings import POSE
from odflow.heads.pose.stages.export import Export
from odflow.heads.pose.stages.importing import Import
from odflow.heads.pose.stages.records import Records
from odflow.heads.pose.stages.train import Train

SMALL = {"input_height": 64, "input_width": 64, "channels": 8, "order": 1}


@pytest.fixture(scope="module")
def skeleton(dots, tmp_path_factory):
    """The skeleton of `dots` as a file of one's own."""
    path = tmp_path_factory.mktemp("skeleton") / "dots.json"
    path.write_text(json.dumps(dataclasses.asdict(dots.skeleton)))
    return path


@pytest.fixture(scope="module")
def records(dots, skeleton, tmp_path_factory):
    """Ten people of dots, as pose.records writes them."""
    folder = tmp_path_factory.mktemp("dotted")
    chance, rows = np.random.default_rng(5), []
    for number in range(10):
        person = chance.integers(10, 70, (3, 2)).tolist()
        Image.fromarray(dots.picture(80, 80, person)).save(folder / f"{number}.png")
        rows.append([f"{number}.png", 0, dots.row(person)])
    table = dots.table(folder / "people.csv", *rows)
    out = tmp_path_factory.mktemp("records")
    run_alone(Records(keypoints=table, images=folder, skeleton=str(skeleton)), out)
    return out / "records"


@pytest.fixture
def given(skeleton, records):
    return {"skeleton": str(skeleton), "train_records": records} | SMALL


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"schedule": "plateau"}, "plateau needs valid_records"),
        ({"patience": 3}, "patience needs valid_records"),
        ({"workers": 2}, "needs strategy: ray"),
        ({"drop_epochs": [50, 25]}, "rising"),
        ({"margin_range": (0.3, 0.1)}, "smaller number first"),
        ({"stride": 3}, "stride"),
        ({"stacks": 9}, "stacks"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(given, fields, told):
    with pytest.raises(ValidationError, match=told):
        Train(**given | fields)


def refuse(fields, out, kind):
    with pytest.raises(kind) as error:
        run_alone(Train(**fields), out)
    assert not out.exists(), "nothing is left behind, though train resumes when it is stopped"
    return str(error.value)


def test_records_of_another_skeleton_are_refused_before_training(given, tmp_path):
    told = refuse(given | {"skeleton": "lsp"}, tmp_path / "out", InputError)
    assert "data.record: record 0 (0.png): its joints are left_hip, right_hip, head; wanted" in told
    assert len(told.splitlines()) == 10


def test_more_records_that_cannot_be_used_than_are_told_are_counted(given, records, tmp_path):
    broken = [b"\x0a\x00"] * 12 + list(read_records(records / "data.record"))
    write_records(tmp_path / "broken.record", broken)
    told = refuse(given | {"train_records": tmp_path / "broken.record"}, tmp_path / "out", InputError)
    assert told.splitlines()[-1] == "... and 2 more problems of this kind in 22 records."
    assert "Give what pose.records wrote" in told
    told = refuse(given | {"valid_records": tmp_path / "broken.record"}, tmp_path / "out", InputError)
    assert "broken.record: record 11" not in told


def test_no_record_is_told(given, tmp_path):
    (tmp_path / "empty.record").write_bytes(b"")
    fields = given | {"train_records": tmp_path / "empty.record"}
    assert "no record" in refuse(fields, tmp_path / "out", InputError)


def test_a_network_that_cannot_be_is_told_with_the_largest_order(given, tmp_path):
    assert "from 1 to 4" in refuse(given | {"order": 5}, tmp_path / "out", ConfigError)
    assert "such as 16x16" in refuse(given | {"input_width": 66}, tmp_path / "out", ConfigError)


def test_epochs_become_steps(given, records):
    pytest.importorskip("tensorflow")
    stage = Train(**given | {"valid_records": records, "batch_size": 4, "learning_rate": 0.01})
    training = stage._training(1000)
    assert training.num_steps == 100 * 1000 / 4
    rate = training.optimizer.learning_rate
    assert (rate.base, rate.boundaries) == (0.01, [25 * 250, 50 * 250, 75 * 250])
    np.testing.assert_allclose(rate.rates, [1e-3, 1e-4, 1e-5])
    assert stage._options(1000).evaluate_every == 250
    plateau = Train(**given | {"valid_records": records, "schedule": "plateau", "evaluate_every": 0.5})
    optimizer = plateau._training(1000).optimizer
    assert (optimizer.plateau.metric, optimizer.plateau.patience) == ("loss", 20)
    assert (optimizer.learning_rate.base, optimizer.learning_rate.kind) == (7e-4, "constant")
    fixed = Train(**given | {"num_steps": 7, "schedule": "cosine"})
    assert fixed._training(1000).num_steps == 7
    rate = fixed._training(1000).optimizer.learning_rate
    assert (rate.kind, rate.total_steps) == ("cosine", 7)
    assert fixed._options(1000).evaluate_every == 0


def test_the_fields_become_the_model(given):
    fields = {"kernel": "binomial", "stride": 8, "whole": True, "flip": 0.5, "margin": 0.1, "stacks": 2}
    model = Train(**given | fields)._model()
    assert (model.crop.height, model.crop.width, model.crop.whole, model.crop.flip) == (64, 64, True, 0.5)
    assert (model.crop.margin, model.crop.margin_range) == (0.1, (0.1, 0.3))
    assert (model.heatmaps.height, model.heatmaps.width, model.heatmaps.kernel) == (8, 8, "binomial")
    assert (model.stacks, model.channels, model.order, model.foreground_weight) == (2, 8, 1, 81.0)


@pytest.mark.slow
def test_what_was_trained_can_be_exported_and_trained_on(given, records, tmp_path, capsys):
    fields = given | {"valid_records": records, "batch_size": 5, "epochs": 3, "schedule": "plateau"}
    run_alone(Train(**fields, flip=0.5, rotation=20, scale=0.1, accumulate=5), tmp_path / "out")
    trained = tmp_path / "out/trained"
    assert sorted(one.name for one in trained.iterdir()) == [
        "checkpoint",
        "evaluations.json",
        "pose.json",
        "tensorboard",
    ]
    evaluations = json.loads((trained / "evaluations.json").read_text())
    assert list(evaluations) == ["2", "4", "6"]
    assert {"loss", "PCK@0.2", "PCK@0.2/head"} <= set(evaluations["6"])
    told = capsys.readouterr().out
    assert re.search(r"step 6: PCK@0.2 \d\.\d+, loss \d+\.\d+, ", told)
    assert "6 steps of 5 people, loss " in told

    run_alone(Export(trained=trained), tmp_path / "out")
    exported = tmp_path / "out/exported"
    assert {one.name for one in exported.iterdir()} == {
        "checkpoint",
        "frozen_inference_graph.pb",
        "pose.json",
        "saved_model",
    }
    assert POSE.read_model(exported) == POSE.read_model(trained)
    assert "frozen_inference_graph.pb, " in capsys.readouterr().out

    again = {"fine_tune_checkpoint": exported, "num_steps": 1, "learning_rate": 1e-9}
    run_alone(Train(**given | again), tmp_path / "again")
    report = json.loads((tmp_path / "again/trained/fine_tune.json").read_text())
    assert report["left"] == {}
    assert not (tmp_path / "again/trained/evaluations.json").exists()


def test_a_folder_that_is_no_training_is_told(tmp_path):
    (tmp_path / "trained").mkdir()
    with pytest.raises(InputError, match=r"has no checkpoint; wanted: the folder that pose.train wrote"):
        run_alone(Export(trained=tmp_path / "trained"), tmp_path / "out")


@pytest.mark.slow
def test_sixteen_people_are_learnt_by_heart(shared, tmp_path):
    lsp = shared / "data/lsp"
    people = Import(format="lsp", annotations=lsp / "joints.mat", images=lsp / "images", train_count=16)
    run_alone(people, tmp_path)
    table = tmp_path / "keypoints.csv"
    run_alone(Records(keypoints=table, images=lsp / "images", skeleton="lsp", split="train"), tmp_path)
    records = tmp_path / "records"
    assert sum(count_records(file) for file in records.iterdir()) == 16
    began = time.process_time()
    stage = Train(
        skeleton="lsp",
        train_records=records,
        valid_records=records,
        input_height=128,
        input_width=128,
        channels=32,
        margin_range=(0.2, 0.2),
        batch_size=16,
        epochs=150,
        evaluate_every=150,
        learning_rate=0.003,
        schedule="constant",
    )
    run_alone(stage, tmp_path)
    (metrics,) = json.loads((tmp_path / "trained/evaluations.json").read_text()).values()
    print(f"PCK@0.2 {metrics['PCK@0.2']:.3f} in {time.process_time() - began:.0f} s of a processor")
    assert metrics["PCK@0.2"] >= 0.95
