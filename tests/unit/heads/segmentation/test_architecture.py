"""A segmentation network as the training loop, an evaluation and an export see it."""

from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.errors import InputError  # noqa: E402
from odflow.heads.segmentation.architecture import Segmentation  # noqa: E402
from odflow.odapi.checkpoint import read_checkpoint, weights_of  # noqa: E402
from odflow.training.architecture import architecture  # noqa: E402
from odflow.training.checkpoints import fill, save_weights, variables_by_name  # noqa: E402
from odflow.training.settings import LearningRate, Optimizer, Settings, Training  # noqa: E402

TRAINING = Training(4, 10, Optimizer("adam", LearningRate("constant", 0.001)))


@pytest.fixture(scope="module")
def kind(squares):
    return architecture(Settings(squares.model(), TRAINING))


def test_the_settings_lead_to_it(kind):
    assert isinstance(kind, Segmentation)
    assert (kind.goal.metric, kind.goal.rises) == ("mIoU", True)


def test_small_batches_count_by_their_pixels(kind):
    chance = np.random.default_rng(2)
    logits = chance.normal(size=(5, 4, 4, 3)).astype(np.float32)
    masks = chance.integers(0, 3, (5, 16, 16)).astype(np.uint8)
    masks[1:3, 5:] = 255
    masks[3:] = 255  # a small batch of nothing
    whole = kind.losses(tf.constant(logits), {"mask": tf.constant(masks)})["segmentation_loss"]
    parts = []
    for some in (slice(0, 2), slice(2, 3), slice(3, 5)):
        labels = {"mask": tf.constant(masks[some])}
        share = kind.normalizer(labels) / kind.normalizer({"mask": tf.constant(masks)})
        parts.append(kind.losses(tf.constant(logits[some]), labels)["segmentation_loss"] * share)
    np.testing.assert_allclose(parts[2] * 0, 0)
    np.testing.assert_allclose(sum(parts[:2]), whole, rtol=1e-5)


def test_nothing_but_ignored_pixels_gives_no_loss(kind):
    masks = tf.fill([2, 8, 8], tf.constant(255, tf.uint8))
    assert float(kind.losses(tf.ones([2, 2, 2, 3]), {"mask": masks})["segmentation_loss"]) == 0.0


@pytest.mark.parametrize("size", [(64, 64), (130, 97), (48, 200), (31, 29)])
def test_masks_are_of_the_images_own_size(kind, squares, size):
    """With a network that tells colours apart at every pixel nearly all of a picture is found."""
    pairs = [squares.painted(*size, seed) for seed in (1, 2)]
    network = lambda images, training: squares.by_colour(images)  # noqa: E731
    found = kind.predict(network, tf.constant(np.stack([image for image, _ in pairs])))
    assert (found.shape, found.dtype) == ((2, *size), tf.uint8)
    truth = np.stack([mask for _, mask in pairs])
    assert (found.numpy() == truth).mean() > 0.94


def test_any_size_goes_through_one_graph(kind, squares):
    network = lambda images, training: squares.by_colour(images)  # noqa: E731
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8)
    predict = tf.function(
        lambda images: kind.predict(network, images), input_signature=[spec], autograph=False
    )
    for size in ((1, 1), (2, 300), (65, 64)):
        assert predict(tf.zeros([1, *size, 3], tf.uint8)).shape == (1, *size)


@pytest.mark.slow  # builds networks
def test_weights_for_other_classes_fill_all_but_the_class_layer(kind, squares):
    more = replace(squares.model(), classes=(*squares.classes, "green"))
    more = replace(more, network=replace(more.network, num_classes=4))
    other = Segmentation(Settings(more, TRAINING)).build()
    values = {name: variable.numpy() + 1.0 for name, variable in variables_by_name(other).items()}
    network = kind.build()
    report = fill(network, weights_of(values, "more", "odflow"), kind.parts, "full")
    assert set(report.left) == {"model/head/_classifier/kernel", "model/head/_classifier/bias"}
    filled = variables_by_name(network)
    assert all((filled[name].numpy() == values[name]).all() for name in report.loaded)
    wide = replace(squares.model(), network=replace(squares.model().network, width=0.5))
    other = Segmentation(Settings(wide, TRAINING)).build()
    with pytest.raises(InputError, match="Misfits: "):
        fill(other, weights_of(values, "more", "odflow"), kind.parts, "full")


@pytest.mark.slow  # builds networks
@pytest.mark.parametrize("saved", ["model and parts", "backbone alone"])
def test_checkpoints_of_model_garden_fill_the_backbone(kind, saved, tmp_path):
    """What its own trainings write; the object graph of a network is what they save."""
    theirs = kind.build()
    for variable in theirs.variables:
        variable.assign(np.random.default_rng(3).uniform(0.5, 1.5, variable.shape))
    items = {"backbone": theirs.backbone}
    if saved == "model and parts":
        items |= {"model": theirs, "decoder": theirs.decoder, "head": theirs.head}
    tf.train.Checkpoint(**items).write(str(tmp_path / "ckpt"))
    network = kind.build()
    report = fill(network, read_checkpoint(tmp_path / "ckpt"), kind.parts, "full")
    loaded, source = (network.backbone, theirs.backbone) if "alone" in saved else (network, theirs)
    assert len(report.loaded) == len(loaded.variables)
    for ours, expected in zip(loaded.variables, source.variables, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.slow  # builds networks
def test_the_backbone_of_a_detector_fits(shared, squares):
    """Whatever wrote a MobileNet v2: here the Object Detection API, which has its layers in a row."""
    network = replace(squares.model().network, width=1.0)
    kind = Segmentation(Settings(replace(squares.model(), network=network), TRAINING))
    built, weights = kind.build(), read_checkpoint(shared / "models/ssd_mobilenet_v2_fpnlite_320/checkpoint")
    report = fill(built, weights, kind.parts, "full")
    backbone = [name for name in variables_by_name(built) if name.startswith(kind.parts.backbone)]
    assert set(report.loaded) == set(backbone)


@pytest.mark.slow  # builds networks
def test_saved_weights_are_the_whole_of_it(kind, tmp_path):
    from odflow.training.checkpoints import load_weights

    network, again = kind.build(), kind.build()
    save_weights(network, tmp_path / "checkpoint", 3)
    load_weights(again, tmp_path)
    image = tf.random.stateless_uniform([1, 64, 64, 3], [1, 2])
    np.testing.assert_array_equal(network(image), again(image))
