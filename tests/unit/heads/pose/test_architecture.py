"""A pose network as the training loop and an export see it."""

from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.errors import ConfigError, InputError  # noqa: E402
from odflow.heads.pose.architecture import Pose  # noqa: E402
from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel, PoseSettings  # noqa: E402
from odflow.heads.pose.skeleton import read_skeleton  # noqa: E402
from odflow.odapi.checkpoint import weights_of  # noqa: E402
from odflow.training.architecture import architecture  # noqa: E402
from odflow.training.checkpoints import fill, variables_by_name  # noqa: E402
from odflow.training.settings import LearningRate, Optimizer, Settings, Training  # noqa: E402

TRAINING = Training(4, 10, Optimizer("adam", LearningRate("constant", 0.001)))
SMALL = PoseModel(read_skeleton("lsp"), Crop(64, 64), Heatmaps(16, 16), stacks=2, channels=8, order=2)


def drawn(model: PoseModel, examples: int):
    rng = np.random.default_rng(examples)
    shape = (examples, model.heatmaps.height, model.heatmaps.width, len(model.skeleton.joints))
    labels = {
        "heatmaps": (rng.uniform(0, 12, shape) * (rng.uniform(size=shape) < 0.1)).astype(np.float32),
        "labelled": (rng.uniform(size=(shape[0], shape[3])) < 0.5).astype(np.float32),
    }
    outputs = [rng.normal(size=shape).astype(np.float32) for _ in range(model.stacks)]
    return outputs, {name: tf.constant(value) for name, value in labels.items()}


def test_the_settings_lead_to_it():
    assert isinstance(architecture(Settings(SMALL, TRAINING)), Pose)
    with pytest.raises(ConfigError, match="halved 4 times"):
        architecture(Settings(replace(SMALL, order=9), TRAINING))


def test_the_loss_is_the_mean_of_the_examples_whatever_the_batch():
    kind = Pose(Settings(SMALL, TRAINING))
    outputs, labels = drawn(SMALL, 7)
    whole = kind.losses(outputs, labels)["heatmap_loss"].numpy()
    np.testing.assert_allclose(whole, np.mean(kind.example_losses(outputs, labels)), rtol=1e-6)
    parts = []
    for some in (slice(0, 4), slice(4, 7)):  # as small batches of a large one are put together
        part = {name: value[some] for name, value in labels.items()}
        share = kind.normalizer(part) / kind.normalizer(labels)
        parts.append(kind.losses([maps[some] for maps in outputs], part)["heatmap_loss"] * share)
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-6)


def test_unlabelled_joints_count_where_the_skeleton_says_so():
    outputs, labels = drawn(SMALL, 2)
    everyone = replace(SMALL, skeleton=replace(SMALL.skeleton, masked=False))
    masked, unmasked = (
        Pose(Settings(model, TRAINING)).losses(outputs, labels) for model in (SMALL, everyone)
    )
    assert masked["heatmap_loss"] < unmasked["heatmap_loss"]
    all_labelled = labels | {"labelled": tf.ones_like(labels["labelled"])}
    same = Pose(Settings(SMALL, TRAINING)).losses(outputs, all_labelled)
    np.testing.assert_allclose(same["heatmap_loss"], unmasked["heatmap_loss"], rtol=1e-6)


@pytest.mark.parametrize(("keep", "metric", "rises"), [("pck", "PCK@0.2", True), ("loss", "loss", False)])
def test_what_is_kept_is_best_at_what_was_asked_for(keep, metric, rises):
    goal = Pose(PoseSettings(SMALL, TRAINING, keep)).goal
    assert (goal.metric, goal.rises) == (metric, rises)


def test_joints_are_shares_of_the_image_that_was_given():
    kind = Pose(Settings(SMALL, TRAINING))
    maps = np.zeros((2, 16, 16, 14), np.float32)
    maps[:, 6, 3] = 12.0  # its middle is at 6.5 / 16 and 3.5 / 16 of the input
    found = kind.predict(lambda images, training: [maps * 0, maps], tf.zeros([2, 32, 64, 3], tf.uint8))
    assert found.shape == (2, 14, 3)
    # The image is half as high as wide, and so fills the middle half of the input's height.
    wanted = [(6.5 / 16 - 0.25) * 2, 3.5 / 16, 1.0]
    np.testing.assert_allclose(found[1, 5], wanted, atol=1e-6)


def test_weights_for_other_joints_fill_all_but_the_last_layers():
    network = Pose(Settings(SMALL, TRAINING)).build()
    others = Pose(Settings(replace(SMALL, skeleton=read_skeleton("mpii")), TRAINING))
    values = {name: value.numpy() + 1.0 for name, value in variables_by_name(others.build()).items()}
    kind = Pose(Settings(SMALL, TRAINING))
    report = fill(network, weights_of(values, "mpii", "odflow"), kind.parts, "full")
    last = {f"model/{layer}/maps/{part}" for layer in ("stacks/0", "stacks/1") for part in ("kernel", "bias")}
    last |= {"model/remaps/0/maps/kernel", "model/remaps/0/maps/bias"}
    assert set(report.left) == last
    assert {reason.partition(":")[0] for reason in report.left.values()} == {
        "of a class layer for another number of classes"
    }
    filled = variables_by_name(network)
    assert all((filled[name].numpy() == values[name]).all() for name in report.loaded)


def test_weights_of_another_width_are_refused():
    kind = Pose(Settings(SMALL, TRAINING))
    wide = Pose(Settings(replace(SMALL, channels=16), TRAINING)).build()
    weights = weights_of(
        {name: value.numpy() for name, value in variables_by_name(wide).items()}, "wide", "odflow"
    )
    with pytest.raises(InputError, match="Misfits: "):
        fill(kind.build(), weights, kind.parts, "full")
