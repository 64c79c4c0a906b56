"""Mask R-CNNs learn rectangles, go on after a stop, and their frozen graph finds them again."""

import numpy as np
import pytest

from odflow.formats.example import encode_example
from odflow.formats.tfrecord import write_records
from odflow.training.settings import Settings

tf = pytest.importorskip("tensorflow")

RED, BLUE = (200, 30, 30), (30, 30, 200)
TERMS = {
    "Loss/RPNLoss/localization_loss",
    "Loss/RPNLoss/objectness_loss",
    "Loss/BoxClassifierLoss/localization_loss",
    "Loss/BoxClassifierLoss/classification_loss",
    "Loss/BoxClassifierLoss/mask_loss",
    "Loss/total_loss",
}


def picture(seed):
    """A 96x128 image, the mask of the ellipse in it, its box in shares of the image and its class."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 130, (96, 128, 3)).astype(np.uint8)
    height, width = rng.integers(36, 60, 2)
    top, left = rng.integers(0, 96 - height), rng.integers(0, 128 - width)
    y, x = np.mgrid[:96, :128] + 0.5
    mask = ((y - top) / height * 2 - 1) ** 2 + ((x - left) / width * 2 - 1) ** 2 < 1
    kind = seed % 2
    image[mask] = (RED, BLUE)[kind]
    box = np.array([top / 96, left / 128, (top + height) / 96, (left + width) / 128], np.float32)
    return image, mask.astype(np.uint8), box, kind + 1


def example(seed):
    image, mask, box, kind = picture(seed)
    sides = dict(zip(("ymin", "xmin", "ymax", "xmax"), box.tolist(), strict=True))
    return encode_example(
        {
            "image/encoded": [tf.io.encode_png(image).numpy()],
            "image/object/class/label": np.array([kind]),
            "image/object/mask": [tf.io.encode_png(mask[..., None]).numpy()],
            **{f"image/object/bbox/{side}": np.float32([value]) for side, value in sides.items()},
        }
    )


@pytest.fixture
def records(tmp_path):
    write_records(tmp_path / "train.record", [example(seed) for seed in range(8)])
    return tmp_path / "train.record"


def mean(losses):
    return np.mean([one["Loss/total_loss"] for one in losses])


@pytest.mark.slow
def test_a_mask_rcnn_goes_on_after_a_stop_and_finds_what_it_was_trained_on(
    settings, records, few_units, tmp_path, numpy_iou
):
    from odflow.training.export.graphs import Detector, write_frozen_graph
    from odflow.training.loop.run_options import Options
    from odflow.training.loop.trainer import Trainer

    first = Trainer(settings, [str(records)], tmp_path / "scratch", Options())
    losses = first.train(40)
    assert set(losses[0]) == TERMS
    first.save()
    again = Trainer(settings, [str(records)], tmp_path / "scratch", Options())
    assert again.restore() == []
    assert again.step == 40
    later = again.train(80)
    assert mean(later[:10]) < 0.8 * mean(losses[:10])
    assert mean(later[-10:]) < 0.6 * mean(losses[:10])

    write_frozen_graph(Detector(again.network, again.kind), tmp_path / "graph.pb")
    graph = tf.compat.v1.GraphDef.FromString((tmp_path / "graph.pb").read_bytes())
    names = [f"detection_{name}:0" for name in ("boxes", "classes", "scores", "masks")]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        for seed in range(8):
            image, mask, box, kind = picture(seed)
            boxes, classes, scores, masks = session.run(names, {"image_tensor:0": image[None]})
            assert classes[0, 0] == kind
            assert scores[0, 0] > 0.4
            assert numpy_iou(boxes[0, :1], box[None])[0, 0] > 0.6
            assert masks.shape == (1, 10, 15, 13)
            share = tf.image.crop_and_resize(mask[None, ..., None], boxes[:1, 0], [0], [15, 13])
            assert ((masks[0, 0] > 0.5) == (share[0, ..., 0].eval(session=session) > 0.5)).mean() > 0.8


@pytest.mark.slow
def test_a_pyramid_learns(pyramid_model, settings, records, few_units):
    from odflow.training.architecture import architecture
    from odflow.training.loop.batches import training_batches
    from odflow.training.loop.optimizers import build_optimizer
    from odflow.training.loop.train_step import TrainStep

    tf.keras.utils.set_random_seed(1)
    kind = architecture(Settings(pyramid_model, settings.training))
    network = kind.build()
    variables = network.trainable_variables
    step = tf.function(TrainStep(kind, network, build_optimizer(settings.training.optimizer), variables, 2))
    before = [variable.numpy() for variable in variables]
    losses = [
        {name: float(value) for name, value in step(*batch).items()}
        for batch in training_batches([str(records)], kind, seed=1).take(50)
    ]
    assert mean(losses[-10:]) < 0.6 * mean(losses[:10])
    still = [v.name for v, old in zip(variables, before, strict=True) if np.array_equal(v, old)]
    # No object is as large as the anchors of the coarsest maps, so nothing is learnt of their offsets.
    assert all("BoxEncodingPredictor" in name for name in still)


def test_a_step_reaches_every_variable(settings, few_units):
    """Of each loss some gradient, so that nothing stands outside training."""
    from odflow.training.architecture import architecture
    from odflow.training.examples.augmentation import Sample

    kind = architecture(settings)
    network = kind.build()
    image, mask, box, label = picture(3)
    sample = Sample(*map(tf.constant, (image, box[None], [label], [1.0], mask[None])))
    inputs, labels = kind.targets(sample)
    labels = {name: value[tf.newaxis] for name, value in labels.items()}
    with tf.GradientTape() as tape:
        losses = kind.losses(kind.forward(network, inputs[tf.newaxis], labels), labels)
        total = tf.add_n(list(losses.values()))
    gradients = tape.gradient(total, network.trainable_variables)
    missing = [v.name for v, g in zip(network.trainable_variables, gradients, strict=True) if g is None]
    assert not missing
    assert float(kind.normalizer(labels)) == 1.0
