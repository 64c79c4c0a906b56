"""A CenterNet learns rectangles, and its frozen graph finds them again."""

import numpy as np
import pytest

from odflow.formats.example import encode_example
from odflow.formats.tfrecord import write_records

tf = pytest.importorskip("tensorflow")

RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(seed):
    """A 64x64 image with one rectangle, its box ymin xmin ymax xmax of the image and its class."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 130, (64, 64, 3)).astype(np.uint8)
    height, width = rng.integers(16, 36, 2)
    top, left = rng.integers(0, 64 - height), rng.integers(0, 64 - width)
    kind = seed % 2
    image[top : top + height, left : left + width] = (RED, BLUE)[kind]
    return image, np.float32([top, left, top + height, left + width]) / 64, kind + 1


def example(seed):
    image, box, kind = picture(seed)
    sides = dict(zip(("ymin", "xmin", "ymax", "xmax"), box.tolist(), strict=True))
    return encode_example(
        {
            "image/encoded": [tf.io.encode_png(image).numpy()],
            "image/object/class/label": np.array([kind]),
            **{f"image/object/bbox/{side}": np.float32([value]) for side, value in sides.items()},
        }
    )


def train(settings, file, steps):
    """The network, its architecture, and the losses of each step."""
    from odflow.training.architecture import architecture
    from odflow.training.loop.batches import training_batches
    from odflow.training.loop.optimizers import build_optimizer
    from odflow.training.loop.train_step import TrainStep

    tf.keras.utils.set_random_seed(1)
    kind = architecture(settings)
    network = kind.build()
    step = TrainStep(kind, network, build_optimizer(settings.training.optimizer), network.trainable_variables)
    run = tf.function(step)
    batches = training_batches([str(file)], kind, seed=1)
    return network, kind, [run(*batch) for batch in batches.take(steps)]


@pytest.mark.slow
def test_a_trained_center_net_finds_what_it_was_trained_on(settings, tmp_path):
    from odflow.training.export.graphs import Detector, write_frozen_graph

    write_records(tmp_path / "train.record", [example(seed) for seed in range(8)])
    network, kind, losses = train(settings, tmp_path / "train.record", 120)
    assert set(losses[0]) == {"Loss/object_center", "Loss/box/scale", "Loss/box/offset", "Loss/total_loss"}
    totals = [float(one["Loss/total_loss"]) for one in losses]
    assert np.mean(totals[-10:]) < 0.2 * np.mean(totals[:10])

    write_frozen_graph(Detector(network, kind), tmp_path / "graph.pb")
    graph = tf.compat.v1.GraphDef.FromString((tmp_path / "graph.pb").read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        for seed in range(8):
            image, box, kind = picture(seed)
            names = ("detection_boxes:0", "detection_classes:0", "detection_scores:0")
            boxes, classes, scores = session.run(names, {"image_tensor:0": image[None]})
            assert classes[0, 0] == kind
            assert scores[0, 0] > 0.3
            np.testing.assert_allclose(boxes[0, 0], box, atol=0.1)
