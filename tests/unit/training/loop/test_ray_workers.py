"""Training on a Ray of this machine, with a real detector."""

import dataclasses
import math

import numpy as np
import pytest

from odflow.errors import ConfigError, InputError
from odflow.formats.example import encode_example
from odflow.formats.tfrecord import write_records
from odflow.training.loop.run_options import Data, Folders, Options

tf = pytest.importorskip("tensorflow")
ray = pytest.importorskip("ray")


def example(number):
    image = np.random.default_rng(number).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    return encode_example(
        {
            "image/encoded": [tf.io.encode_png(image).numpy()],
            "image/filename": [f"{number}.png".encode()],
            "image/object/class/label": np.array([1 + number % 2]),
            **{
                f"image/object/bbox/{side}": np.float32([at])
                for side, at in {"ymin": 0.2, "xmin": 0.1, "ymax": 0.7, "xmax": 0.6}.items()
            },
        }
    )


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "trained").mkdir()
    write_records(tmp_path / "train.record", [example(number) for number in range(8)])
    return Folders(tmp_path / "scratch", tmp_path / "trained")


def weights(folder):
    from odflow.odapi.checkpoint import read_checkpoint

    found = read_checkpoint(folder / "checkpoint")
    return {name: found[name] for name in found}


def fit(settings, folders, **options):
    from odflow.training.loop.fitting import fit

    data = Data([str(folders.trained.parent / "train.record")])
    return list(fit(settings, data, folders, Options(strategy="ray", workers=2, **options)))


@pytest.mark.slow
def test_two_workers_train_the_same_weights_and_go_on_together(settings, folders):
    def steps(count):
        training = dataclasses.replace(settings.training, num_steps=count)
        return fit(dataclasses.replace(settings, training=training), folders, checkpoint_steps=2)

    first = steps(2)
    assert [one.step for one in first] == [1, 2]
    assert all(math.isfinite(one.loss) for one in first)
    rest = steps(4)
    assert [one.step for one in rest if not one.notes] == [1, 2, 3, 4]
    assert math.isnan(rest[0].loss)
    assert next(line for one in rest for line in one.notes).startswith("goes on after step 2")
    others = weights(folders.scratch / "worker-1" / "trained")
    found = weights(folders.trained)
    assert found.keys() == others.keys()
    for name, value in found.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-5, atol=1e-6)
    assert list((folders.trained / "tensorboard/train").glob("events*"))
    assert not ray.is_initialized()


def test_a_batch_that_the_workers_cannot_share_is_told_before_they_start(settings, folders):
    training = dataclasses.replace(settings.training, batch_size=3)
    with pytest.raises(ConfigError, match="cannot be shared out to 2 replicas"):
        fit(dataclasses.replace(settings, training=training), folders)
    assert not ray.is_initialized()


@pytest.mark.slow
def test_what_goes_wrong_in_a_worker_is_told_in_one_line(settings, folders):
    write_records(folders.trained.parent / "train.record", [])
    with pytest.raises(InputError, match="no record to train on"):
        fit(settings, folders)
    assert not ray.is_initialized()
