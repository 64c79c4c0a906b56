"""visibility.train, export and evaluate: what they refuse, what they write, and that a network learns."""

import json
import logging

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from odflow.errors import ConfigError, InputError, StageError
from odflow.formats.label_map import Label
from odflow.formats.tfrecord import read_records, write_records
from odflow.graph.execute import run_alone
from odflow.heads.visibility.settings import VISIBILITY, Look
from odflow.heads.visibility.stages.evaluate import Evaluate
from odflow.heads.visibility.stages.export import Export
from odflow.heads.visibility.stages.train import Train

SMALL = {"input_height": 64, "input_width": 96, "width": 0.5}


@pytest.fixture
def given(shapes):
    return {"label_map": shapes.label_map_file, "train_records": shapes.records} | SMALL


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"crop": 0}, "crop"),
        ({"input_width": 16}, "input_width"),
        ({"dropout": 1}, "dropout"),
        ({"patience": 3}, "patience needs valid_records"),
        ({"workers": 2}, "needs strategy: ray"),
    ],
)
def test_fields_that_cannot_be_are_refused(given, fields, told):
    with pytest.raises(ValidationError, match=told):
        Train(**given | fields)


def refuse(fields, out, kind):
    with pytest.raises(kind) as error:
        run_alone(Train(**fields), out)
    assert not out.exists(), "nothing is left behind, though train resumes when it is stopped"
    return str(error.value)


def test_the_fields_become_the_model(given):
    model = Train(**given | {"crop": 0.5, "colour": 0, "flip": 0, "dropout": 0.1})._model()
    assert model.look == Look(64, 96, flip=0, crop=0.5, colour=0)
    assert model.names == ("square", "disc", "cross", "ghost")
    assert model.classes[1] == Label(1, "disc", "a disc")
    assert (model.backbone, model.width, model.dropout) == ("small_cnn", 0.5, 0.1)


def test_settings_come_back_from_their_file(given, tmp_path):
    model = Train(**given)._model()
    VISIBILITY.write_model(model, tmp_path)
    assert VISIBILITY.read_model(tmp_path) == model
    assert VISIBILITY.read_model(tmp_path).label_map.ids["a disc"] == 1


def test_records_that_cannot_be_learnt_from_are_refused(given, shapes, tmp_path):
    payloads = [payload for file in shapes.records.iterdir() for payload in read_records(file)]
    for name, records, says in (
        ("empty", [], "no record"),
        ("torn", [*payloads, b"\x0a\x00"], "record 20"),
        ("nothing", payloads[:1], "none of 1 examples has an object to learn"),
    ):
        write_records(tmp_path / name, records)
        for side in ("train_records", "valid_records"):
            assert says in refuse(given | {side: tmp_path / name}, tmp_path / "out", InputError)


def test_a_backbone_that_there_is_not_is_told(given, tmp_path):
    pytest.importorskip("tensorflow")
    told = refuse(given | {"backbone": "mobilnet/MobileNetV2"}, tmp_path / "out", ConfigError)
    assert 'Did you mean "mobilenet/MobileNetV2"?' in told


def test_another_head_s_folder_is_told(given, tmp_path):
    pose = tmp_path / "pose"
    pose.mkdir()
    (pose / "pose.json").write_text("{}")
    for stage in (Evaluate(model=pose, records=given["train_records"]), Export(trained=pose)):
        with pytest.raises(InputError, match="visibility"):
            run_alone(stage, tmp_path / "out")


@pytest.mark.slow
def test_twenty_images_are_learnt_by_heart_exported_and_measured(given, shapes, tmp_path, capsys, caplog):
    caplog.set_level(logging.WARNING)
    fields = given | {"valid_records": shapes.records, "batch_size": 10, "epochs": 60, "evaluate_every": 15}
    run_alone(Train(**fields, colour=0, crop=1, learning_rate=0.005), tmp_path)
    assert "no image shows ghost, which cannot be learnt" in caplog.text
    trained = tmp_path / "trained"
    evaluations = json.loads((trained / "evaluations.json").read_text())
    assert list(evaluations) == ["30", "60", "90", "120"]
    assert evaluations["120"]["AP/ghost"] is None
    assert max(one["mAP"] for one in evaluations.values()) > 0.99

    run_alone(Export(trained=trained, check_images=shapes.images), tmp_path)
    exported = tmp_path / "exported"
    assert {one.name for one in exported.iterdir()} == {
        "checkpoint",
        "frozen_inference_graph.pb",
        "saved_model",
        "visibility.json",
    }
    assert VISIBILITY.read_model(exported) == VISIBILITY.read_model(trained)
    assert "80 of 80 scores in 20 images are the checkpoint's" in capsys.readouterr().out

    run_alone(Evaluate(model=exported, records=shapes.records), tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    best = max(evaluations.values(), key=lambda one: one["mAP"])
    for name in ("mAP", "AP/square", "AP/disc", "AP/cross", "AP/ghost"):
        assert metrics[name] == pytest.approx(best[name], abs=0.01)
    assert metrics["F1/ghost"] is None
    counts = [metrics[f"{one}/ghost"] for one in ("true_positives", "false_negatives")]
    assert counts == [0, 0]
    shows = sum("disc" in shown for shown in shapes.shown.values())
    assert metrics["true_positives/disc"] + metrics["false_negatives/disc"] == shows
    with Image.open(tmp_path / "precision_recall.png") as picture:
        assert picture.size == (800, 500)
    told = capsys.readouterr().out
    assert "mAP 1.0000, F1 " in told
    assert "ghost: no image shows it; right 0 seen and 20 not" in told

    again = {"fine_tune_checkpoint": exported, "num_steps": 1, "learning_rate": 1e-9}
    run_alone(Train(**given | again), tmp_path / "again")
    report = json.loads((tmp_path / "again/trained/fine_tune.json").read_text())
    assert report["left"] == {}


def export_brightness(folder):
    """An exported folder whose scores are the means of red, green and blue, and 0."""
    import tensorflow as tf

    folder.mkdir()
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        means = tf.reduce_mean(tf.cast(image, tf.float32), [1, 2]) / 255
        tf.pad(means, [[0, 0], [0, 1]], name="scores")
        (folder / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())


@pytest.fixture
def brightness(shapes, given, tmp_path):
    pytest.importorskip("tensorflow")
    export_brightness(tmp_path / "exported")
    VISIBILITY.write_model(Train(**given)._model(), tmp_path / "exported")
    return tmp_path / "exported"


def test_the_figures_are_those_of_the_scores(brightness, shapes, tmp_path):
    pytest.importorskip("sklearn")
    from sklearn.metrics import average_precision_score, f1_score

    stage = Evaluate(model=brightness, records=shapes.records, threshold=0.42)
    run_alone(stage, tmp_path / "out")
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    scores = np.stack([np.asarray(Image.open(shapes.images / name)).mean((0, 1)) for name in shapes.shown])
    scores /= 255
    for place, name in enumerate(("square", "disc", "cross")):
        truth = np.array([name in shown for shown in shapes.shown.values()])
        assert metrics[f"AP/{name}"] == pytest.approx(average_precision_score(truth, scores[:, place]))
        said = scores[:, place] >= 0.42
        assert metrics[f"F1/{name}"] == pytest.approx(f1_score(truth, said))
        assert metrics[f"false_positives/{name}"] == (said & ~truth).sum()
        assert metrics[f"false_negatives/{name}"] == (~said & truth).sum()


def test_the_same_scores_give_the_same_files(brightness, shapes, tmp_path):
    for out in ("one", "two"):
        run_alone(Evaluate(model=brightness, records=shapes.records), tmp_path / out)
    for name in ("metrics.json", "precision_recall.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_records_that_cannot_be_measured(brightness, shapes, tmp_path):
    payloads = [payload for file in shapes.records.iterdir() for payload in read_records(file)]
    for name, records, says in (
        ("empty", [], "the ground truth holds no box"),
        ("nothing", payloads[:1], "the ground truth holds no box"),
    ):
        write_records(tmp_path / name, records)
        with pytest.raises(InputError, match=says):
            run_alone(Evaluate(model=brightness, records=tmp_path / name), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_graph_of_other_weights_is_told(given, tmp_path):
    pytest.importorskip("tensorflow")
    from odflow.heads.visibility.sameness import SAME_SCORES
    from odflow.training.export.head_graph import HeadModule, check, write_frozen_graph
    from odflow.training.settings import LearningRate, Optimizer, Settings, Training

    model = Train(**given)._model()
    kind = model.architecture(
        Settings(model, Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0))))
    )
    one, other = (HeadModule(kind, kind.build(), VISIBILITY.output) for _ in range(2))
    write_frozen_graph(one, tmp_path / "frozen.pb")
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    assert "4 of 4 scores" in check(VISIBILITY, tmp_path / "frozen.pb", one, [image], SAME_SCORES)
    with pytest.raises(StageError, match="does not find what the checkpoint does"):
        check(VISIBILITY, tmp_path / "frozen.pb", other, [image], SAME_SCORES)
