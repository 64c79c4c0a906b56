"""Loss and metrics of weights, against NumPy and another order of the same images."""

import numpy as np
import pytest

from odflow.errors import InputError
from odflow.formats.tfrecord import read_records, write_records
from odflow.heads.visibility.settings import Look, VisibilityModel
from odflow.training.settings import LearningRate, Optimizer, Settings, Training

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.heads.visibility.architecture import Visibility  # noqa: E402
from odflow.heads.visibility.evaluation import VisibilityEvaluator  # noqa: E402
from odflow.training.checkpoints import save_weights  # noqa: E402


@pytest.fixture(scope="module")
def kind(shapes):
    nothing = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0)))
    model = VisibilityModel(shapes.label_map.labels, Look(64, 64), width=0.25)
    return Visibility(Settings(model, nothing))


@pytest.fixture(scope="module")
def weights(kind, tmp_path_factory):
    tf_keras.utils.set_random_seed(4)
    network, folder = kind.build(), tmp_path_factory.mktemp("weights")
    save_weights(network, folder, 1)
    return network, folder


def test_the_figures_are_those_of_all_images_alike(kind, weights, shapes):
    network, folder = weights
    metrics = VisibilityEvaluator(kind, shapes.records).measure(folder)
    payloads = [payload for file in shapes.records.iterdir() for payload in read_records(file)]
    made = [kind.inputs(tf.constant(one), tf.zeros([2], tf.int64), training=False) for one in payloads]
    cells = network(tf.stack([image for image, _ in made]), training=False).numpy()
    logits = cells.max((1, 2)).astype(np.float64)
    truth = np.stack([labels["visible"] for _, labels in made])
    entropies = np.log1p(np.exp(np.where(truth > 0, -logits, logits)))
    assert metrics["loss"] == pytest.approx(entropies.mean(), rel=1e-4)
    assert list(metrics) == ["loss", "mAP", "AP/square", "AP/disc", "AP/cross", "AP/ghost"]
    sklearn = pytest.importorskip("sklearn.metrics")
    for place, name in enumerate(("square", "disc", "cross")):
        wanted = sklearn.average_precision_score(truth[:, place], logits[:, place])
        assert metrics[f"AP/{name}"] == pytest.approx(wanted)
    assert metrics["AP/ghost"] is None
    assert metrics["mAP"] == pytest.approx(
        np.mean([metrics[f"AP/{name}"] for name in ("square", "disc", "cross")])
    )


def test_records_that_cannot_be_measured(kind, weights, shapes, tmp_path):
    payloads = [payload for file in shapes.records.iterdir() for payload in read_records(file)]
    for name, records, says in (
        ("empty", [], "no record; nothing to measure"),
        ("torn", [*payloads[:3], b"no example"], "an example cannot be used"),
    ):
        write_records(tmp_path / name, records)
        with pytest.raises(InputError, match=says):
            VisibilityEvaluator(kind, tmp_path / name).measure(weights[1])
