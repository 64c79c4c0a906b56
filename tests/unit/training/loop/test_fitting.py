"""The training loop, with an architecture of its own: what it does holds for any."""

import dataclasses
import errno
import importlib.util
import json
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from odflow.errors import ConfigError, InputError, StageError
from odflow.training.settings import LearningRate, Optimizer, Plateau

tf = pytest.importorskip("tensorflow")

PROGRAM = Path(__file__).with_name("tiny_detector.py")


def _load():
    spec = importlib.util.spec_from_file_location("tiny_detector", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_detector"] = module
    spec.loader.exec_module(module)
    return module


tiny = _load()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    file = tmp_path_factory.mktemp("records") / "train.record"
    tiny.write_records(file)
    return file


def fit(settings, records, folder, *, valid=None, start=None, **options):
    from odflow.training.loop.fitting import Data, Folders, Options, fit

    trained = folder / "trained"
    trained.mkdir(parents=True, exist_ok=True)
    data = Data([str(records)], valid, tiny.label_map(folder), start)
    return list(fit(settings, data, Folders(folder / "scratch", trained), Options(**options)))


def losses(progress):
    return [one.loss for one in progress if not one.notes]


def notes(progress):
    return [line for one in progress for line in one.notes]


def weights(folder):
    from odflow.odapi.checkpoint import read_checkpoint

    found = read_checkpoint(folder / "trained" / "checkpoint")
    return {name: found[name] for name in found}


def scalars(folder):
    """Tag to step to value, of all event files of a folder."""
    found = {}
    for file in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_it_learns_and_leaves_weights_and_curves(records, tmp_path):
    progress = fit(tiny.settings(30), records, tmp_path)
    assert [one.step for one in progress] == list(range(1, 31))
    assert np.mean(losses(progress)[-5:]) < 0.5 * np.mean(losses(progress)[:5])
    assert weights(tmp_path)["model/layer_with_weights-0/kernel"].shape == (3, 3, 3, 8)
    curves = scalars(tmp_path / "trained/tensorboard/train")
    parts = [f"Loss/{name}_loss" for name in ("classification", "localization", "regularization")]
    assert set(curves) == {*parts, "Loss/total_loss", "learning_rate", "steps_per_sec"}
    assert sorted(curves["Loss/total_loss"]) == [10, 20, 30]
    for step in (10, 20, 30):
        total = curves["Loss/total_loss"][step]
        assert total == pytest.approx(sum(curves[part][step] for part in parts), rel=1e-5)
        assert total == pytest.approx(np.mean(losses(progress)[step - 10 : step]), rel=1e-5)


def test_regularization_counts_only_where_the_config_adds_it(records, tmp_path):
    settings = tiny.settings(1)
    training = dataclasses.replace(settings.training, add_regularization_loss=False)
    fit(dataclasses.replace(settings, training=training), records, tmp_path)
    assert "Loss/regularization_loss" not in scalars(tmp_path / "trained/tensorboard/train")


def momentum(rate=0.02, **options):
    return Optimizer("momentum", LearningRate("constant", rate), momentum=0.9, **options)


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_small_batches_add_up_to_the_large_one(records, tmp_path, clip_norm):
    """Picture 7 holds nothing: the small batches divide their losses by different numbers."""
    settings = tiny.settings(6, batch_size=8, optimizer=momentum(clip_norm=clip_norm))
    whole = fit(settings, records, tmp_path / "whole")
    parts = fit(settings, records, tmp_path / "parts", accumulate=4)
    np.testing.assert_allclose(losses(parts), losses(whole), rtol=2e-5)
    for name, value in weights(tmp_path / "whole").items():
        np.testing.assert_allclose(weights(tmp_path / "parts")[name], value, atol=2e-6)


def test_a_batch_that_cannot_be_shared_out_is_refused(records, tmp_path):
    with pytest.raises(ConfigError, match=r"batch_size 4 cannot be shared out .* Give a multiple of 3"):
        fit(tiny.settings(1), records, tmp_path, accumulate=3)


def one_step(training, records, folder):
    """Weights after one step of plain gradient descent, and before."""
    rate = 1.0
    optimizer = Optimizer("momentum", LearningRate("constant", rate), momentum=0.0)
    before = tiny.settings(0, optimizer=optimizer)
    settings = dataclasses.replace(
        before, training=dataclasses.replace(before.training, num_steps=1, **training)
    )
    fit(before, records, folder / "before")
    return weights(folder / "before"), fit(settings, records, folder), weights(folder)


def test_frozen_variables_stand_still_and_are_counted(records, tmp_path):
    before, progress, after = one_step({"freeze_variables": ["stem"]}, records, tmp_path)
    moved = {name for name, value in after.items() if not np.array_equal(value, before[name])}
    assert moved == {"model/layer_with_weights-1/kernel", "model/layer_with_weights-1/bias"}
    assert notes(progress) == ["2 variables frozen, 2 trained"]


def test_biases_can_be_given_another_rate(records, tmp_path):
    before, _, plain = one_step({}, records, tmp_path / "plain")
    _, _, tripled = one_step({"bias_grad_multiplier": 3.0}, records, tmp_path / "tripled")
    for name, value in before.items():
        factor = 3.0 if name.endswith("bias") else 1.0
        np.testing.assert_allclose(tripled[name] - value, factor * (plain[name] - value), atol=1e-5)


def test_gradients_are_clipped_by_their_norm_together(records, tmp_path):
    training = tiny.settings(1, optimizer=momentum(1.0, clip_norm=0.01)).training
    before, _, after = one_step(
        {"optimizer": dataclasses.replace(training.optimizer, momentum=0.0)}, records, tmp_path
    )
    moved = math.sqrt(sum(float(((after[name] - value) ** 2).sum()) for name, value in before.items()))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_averaged_weights_are_what_is_kept_and_training_goes_on_without(records, tmp_path):
    """Against the same training with its weights told at every step."""
    steps = 5
    plain = fit(tiny.settings(steps, optimizer=momentum()), records, tmp_path / "plain")
    average = weights_after(0, records, tmp_path)
    for step in range(1, steps + 1):
        share = 1 - min(0.9, (1 + step) / (10 + step))
        for name, value in weights_after(step, records, tmp_path).items():
            average[name] = average[name] + share * (value - average[name])
    averaged = tiny.settings(steps, optimizer=momentum(average_decay=0.9))
    # Evaluating in the middle puts the averages in place and takes them out again.
    progress = fit(averaged, records, tmp_path / "averaged", valid=records, evaluate_every=2)
    assert losses(progress) == pytest.approx(losses(plain), rel=1e-5)
    fit(averaged, records, tmp_path / "averaged")
    for name, value in weights(tmp_path / "averaged").items():
        np.testing.assert_allclose(value, average[name], atol=1e-6)


def weights_after(step, records, folder):
    fit(tiny.settings(step, optimizer=momentum()), records, folder / str(step))
    return weights(folder / str(step))


def test_the_best_weights_are_kept_and_patience_ends_the_training(records, tmp_path):
    """A rate so high that after some steps of learning it only gets worse."""
    rate = LearningRate("manual_step", 0.02, boundaries=(30,), rates=(0.7,))
    settings = tiny.settings(200, optimizer=Optimizer("momentum", rate, momentum=0.5, clip_norm=1.0))
    progress = fit(settings, records, tmp_path, valid=records, evaluate_every=10, patience=3)
    history = json.loads((tmp_path / "trained/evaluations.json").read_text())
    maps = {int(step): metrics["DetectionBoxes_Precision/mAP"] for step, metrics in history.items()}
    best = max(sorted(maps), key=maps.get)
    last = progress[-1].step
    assert best + 30 == last < 200
    assert maps[best] > 0.1
    assert notes(progress)[-1].startswith(
        f"ended after step {last}: no better mAP in 3 evaluations; kept step {best}"
    )
    assert [path.stem for path in (tmp_path / "trained/checkpoint").glob("*.index")] == [f"ckpt-{best}"]
    assert {path.name for path in (tmp_path / "scratch").glob("weights-*")} == {f"weights-{best}"}
    curves = scalars(tmp_path / "trained/tensorboard/eval")
    assert curves["DetectionBoxes_Precision/mAP"] == pytest.approx(maps)
    assert "DetectionBoxes_Recall/AR@100" in curves


def test_the_rate_falls_when_evaluations_get_no_better_and_stays_low_after_a_stop(records, tmp_path):
    plateau = Plateau("DetectionBoxes_Precision/mAP", patience=2, factor=0.5)
    rate = LearningRate("constant", 1e-12)  # nothing changes, so nothing falls after the first evaluation
    for steps in (40, 70):
        settings = tiny.settings(steps, optimizer=Optimizer("momentum", rate, plateau=plateau))
        fit(settings, records, tmp_path, valid=records, evaluate_every=10)
    rates = scalars(tmp_path / "trained/tensorboard/train")["learning_rate"]
    halved = {10: 0, 20: 0, 30: 0, 40: 1, 50: 1, 60: 2, 70: 2}
    assert rates == {step: pytest.approx(1e-12 * 0.5**times) for step, times in halved.items()}


def test_what_is_measured_is_what_evaluate_would_measure(records, tmp_path):
    """The kept weights, detected with by another hand and scored by pycocotools alone."""
    fit(tiny.settings(40), records, tmp_path, valid=records, evaluate_every=20)
    history = json.loads((tmp_path / "trained/evaluations.json").read_text())
    best = max(history.values(), key=lambda metrics: metrics["DetectionBoxes_Precision/mAP"])
    assert best["DetectionBoxes_Precision/mAP@.50IOU"] > 0.3
    assert best["DetectionBoxes_Precision/mAP@.50IOU"] >= best["DetectionBoxes_Precision/mAP"]


def test_a_loss_that_is_no_number_names_the_images_and_ends_the_training_at_once(tmp_path):
    names = tiny.write_records(tmp_path / "train.record")
    with pytest.raises(StageError) as error:
        fit(
            tiny.settings(50, batch_size=2, poison=first_box(tmp_path / "train.record", 4)),
            tmp_path / "train.record",
            tmp_path,
        )
    message = str(error.value)
    assert names[4] in message
    assert sum(name in message for name in names) == 2
    assert "Loss/localization_loss nan" in message
    assert not list((tmp_path / "trained").glob("checkpoint*"))


def first_box(file, number):
    from odflow.formats.example import decode_example
    from odflow.formats.tfrecord import read_records

    return float(decode_example(list(read_records(file))[number])["image/object/bbox/ymin"][0])


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_it_learns_with_16_bit_floats_and_keeps_weights_of_32(records, tmp_path, precision):
    import tf_keras

    progress = fit(tiny.settings(30), records, tmp_path, precision=precision)
    assert np.mean(losses(progress)[-5:]) < 0.5 * np.mean(losses(progress)[:5])
    assert {value.dtype for value in weights(tmp_path).values()} == {np.dtype(np.float32)}
    assert tf_keras.mixed_precision.global_policy().name == "float32"


def test_it_starts_from_a_checkpoint_and_says_what_it_took(records, tmp_path):
    fit(tiny.settings(3), records, tmp_path / "first")
    start = tmp_path / "first/trained/checkpoint"
    progress = fit(tiny.settings(0), records, tmp_path / "second", start=start)
    assert "4 of 4 variables loaded" in notes(progress)[0]
    assert len(json.loads((tmp_path / "second/trained/fine_tune.json").read_text())["loaded"]) == 4
    for name, value in weights(tmp_path / "first").items():
        np.testing.assert_array_equal(weights(tmp_path / "second")[name], value)


def child(folder, records, environment=None, **given):
    given = {"folder": str(folder), "records": str(records), "settings": {}, "options": {}} | given
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), json.dumps(given)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def told(process):
    return [json.loads(line) for line in process.communicate()[0].splitlines()]


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_same_images_and_rate(records, tmp_path):
    given = {"settings": {"num_steps": 25, "batch_size": 3}, "options": {"checkpoint_steps": 4}}
    whole = told(child(tmp_path / "whole", records, **given))
    killed = child(tmp_path / "killed", records, die_after=10, **given)
    before = told(killed)
    assert killed.returncode == -signal.SIGKILL
    assert [step for step, _, _ in before] == list(range(1, 11))
    after = told(child(tmp_path / "killed", records, **given))
    note = next(notes for _, _, notes in after if notes)
    assert note[0].startswith("goes on after step 8")
    steps = {step: loss for step, loss, notes in after if not notes}
    assert all(math.isnan(steps[step]) for step in range(1, 9))
    expected = {step: loss for step, loss, _ in whole}
    # The images of a step decide its loss: after the kill each step has the one that it would have had.
    for step in range(9, 26):
        assert steps[step] == pytest.approx(expected[step], rel=1e-4)
    rates = [
        scalars(tmp_path / name / "trained/tensorboard/train")["learning_rate"]
        for name in ("whole", "killed")
    ]
    assert rates[0] == rates[1]


@pytest.mark.slow
def test_two_devices_of_a_machine_train_as_one(tmp_path):
    """A batch of four is two and two: with a box in every picture the same losses and weights."""
    tiny.write_records(tmp_path / "records", count=6)
    given = {"settings": {"num_steps": 8, "batch_size": 4}}
    alone = told(child(tmp_path / "alone", tmp_path / "records", **given))
    options = {"strategy": "mirrored", "evaluate_every": 4}
    both = told(child(tmp_path / "both", tmp_path / "records", devices=2, options=options, **given))
    steps = [[(step, loss) for step, loss, notes in one if not notes] for one in (alone, both)]
    assert [step for step, _ in steps[1]] == list(range(1, 9))
    assert dict(steps[1]) == pytest.approx(dict(steps[0]), rel=1e-4)
    assert [notes[0][:7] for _, _, notes in both if notes] == ["step 4:", "step 8:", "kept st"]


@pytest.mark.slow
def test_two_machines_train_as_one(records, tmp_path):
    """Two processes on loopback: their losses, evaluations and weights agree."""
    given = {"settings": {"num_steps": 12, "batch_size": 4}}
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(
            child(
                tmp_path / str(index),
                records,
                {"TF_CONFIG": json.dumps(config)},
                options={"strategy": "multi_worker_mirrored", "evaluate_every": 6},
                **given,
            )
        )
    first, second = (told(process) for process in processes)
    assert [step for step, _, notes in first if not notes] == list(range(1, 13))
    losses = [[loss for _, loss, notes in told if not notes] for told in (first, second)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert [notes for _, _, notes in first if notes] == [notes for _, _, notes in second if notes]
    for name, value in weights(tmp_path / "0").items():
        np.testing.assert_allclose(weights(tmp_path / "1")[name], value, atol=1e-6)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"index": 3}}'])
def test_several_machines_need_a_tf_config(records, tmp_path, monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="needs the environment variable TF_CONFIG"):
        fit(tiny.settings(1), records, tmp_path, strategy="multi_worker_mirrored")


def test_a_picture_that_does_not_decode_is_named(tmp_path):
    from odflow.formats.tfrecord import read_records, write_records

    tiny.write_records(tmp_path / "whole.record")
    payloads = list(read_records(tmp_path / "whole.record"))
    payloads[2] = payloads[2].replace(b"IHDR", b"IHDX")
    write_records(tmp_path / "train.record", payloads)
    with pytest.raises(InputError, match=r"picture_2\.png"):
        fit(tiny.settings(20), tmp_path / "train.record", tmp_path)


def halfway(records, folder):
    """A training of 12 steps that ended after 8, evaluated at 4 and 8, with its checkpoints."""
    fit(tiny.settings(8), records, folder, valid=records, evaluate_every=4)
    return folder / "scratch"


def test_torn_checkpoints_are_told_in_one_line_and_the_same_steps_are_done_again(records, tmp_path):
    expected = losses(fit(tiny.settings(12), records, tmp_path / "whole"))
    scratch = halfway(records, tmp_path / "torn")
    os.truncate(scratch / "steps/ckpt-8.data-00000-of-00001", 100)
    progress = fit(tiny.settings(12), records, tmp_path / "torn")
    assert notes(progress) == [
        f"{scratch}/steps: ckpt-8 is damaged, so training goes on after step 4",
        "goes on after step 4, with the rate and the images that are due there",
    ]
    assert losses(progress)[4:] == pytest.approx(expected[4:], rel=1e-4)

    for file in (scratch / "steps").glob("ckpt-*"):
        os.truncate(file, 0)
    progress = fit(tiny.settings(12), records, tmp_path / "torn")
    assert notes(progress) == [
        f"{scratch}/steps: ckpt-12 is damaged, ckpt-4 is damaged, so training begins anew"
    ]
    assert losses(progress) == pytest.approx(expected, rel=1e-4)


def test_best_weights_that_are_torn_are_told_and_never_published(records, tmp_path):
    scratch = halfway(records, tmp_path)
    (kept,) = scratch.glob("weights-*")
    (index,) = kept.glob("*.index")
    os.truncate(index, 20)
    progress = fit(tiny.settings(8), records, tmp_path, valid=records, evaluate_every=4)
    told = next(note for note in notes(progress) if "weights-" in note)
    assert told.startswith(f"{kept}: {index.stem} is damaged; those were the best weights")
    assert "kept step 8" in notes(progress)[-1]
    assert len(weights(tmp_path)) == 4
    assert len(list((tmp_path / "trained/checkpoint").iterdir())) == 3


def test_a_damaged_history_is_told_and_begun_anew(records, tmp_path):
    scratch = halfway(records, tmp_path)
    os.truncate(scratch / "evaluations.json", 5)
    progress = fit(tiny.settings(12), records, tmp_path, valid=records, evaluate_every=4)
    assert sum("evaluations.json: is damaged" in note for note in notes(progress)) == 1
    assert list(json.loads((tmp_path / "trained/evaluations.json").read_text())) == ["12"]


def test_a_disk_that_fills_in_training_is_told_as_that(records, tmp_path, small_disk):
    """By the operating system's number and a file on that disk, whatever TensorFlow was writing."""
    (small_disk / "fill").write_bytes(bytes(2**20 - 2**16))
    with pytest.raises(OSError, match="No space left on device") as error:
        fit(tiny.settings(8), records, small_disk, checkpoint_steps=2)
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename.startswith(str(small_disk))
    (small_disk / "fill").unlink()
    fit(tiny.settings(8), records, small_disk, checkpoint_steps=2)
    assert len(weights(small_disk)) == 4
