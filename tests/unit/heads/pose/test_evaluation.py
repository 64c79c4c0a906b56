"""Measuring pose weights during training, against one large batch and a plain loop."""

import numpy as np
import pytest
from PIL import Image

from odflow.errors import InputError
from odflow.formats.tfrecord import write_records
from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel
from odflow.training.settings import LearningRate, Optimizer, Settings, Training

tf = pytest.importorskip("tensorflow")

COUNT = 19
"""People: one batch and a part of one."""


@pytest.fixture(scope="module")
def model(dots):
    return PoseModel(dots.skeleton, Crop(64, 64), Heatmaps(16, 16), stacks=1, channels=8, order=1)


@pytest.fixture(scope="module")
def people():
    """(19, 3, 3) x y v of one person in an image of 120 x 160 each; some joints are not labelled."""
    chance = np.random.default_rng(7)
    xy = chance.integers(20, 100, (COUNT, 3, 2))
    xy[:, :2, 1] += 50  # hips below, heads above: no short torso
    xy[:, 2, 1] //= 2
    v = np.where(np.arange(COUNT * 3).reshape(COUNT, 3) % 5 == 3, 0, 2)
    return np.concatenate([xy + 0.5, v[..., None]], axis=-1)


@pytest.fixture(scope="module")
def payloads(dots, people, tmp_path_factory):
    """The people as examples, each in a picture with dots at its joints."""
    from odflow.formats.encoding import EncodedImage
    from odflow.formats.keypoints import read_keypoints
    from odflow.heads.pose.person import encode, people_of_table

    folder = tmp_path_factory.mktemp("people")
    rows = [[f"{number}.png", 0, joints.ravel()] for number, joints in enumerate(people)]
    table = read_keypoints(dots.table(folder / "truth.csv", *rows), dots.skeleton.joints)
    made = []
    for person, joints in zip(people_of_table(table, dots.skeleton.joints), people, strict=True):
        path = folder / person.filename
        Image.fromarray(dots.picture(160, 120, joints[:, :2].astype(int).tolist())).save(path)
        image = EncodedImage(path.read_bytes(), "png", 120, 160)
        made.append(b"".join(encode(person, image, dots.skeleton.joints)))
    return made


def architecture(model):
    from odflow.heads.pose.architecture import Pose

    nothing = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0)))
    return Pose(Settings(model, nothing))


def saved(network, folder):
    from odflow.training.checkpoints import save_weights

    save_weights(network, folder, 1)
    return folder


def dot_kind(model):
    """An architecture whose network has the picture's colours for maps, and weights of it."""
    import tf_keras

    class Dots(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.gain = self.add_weight("gain", [], initializer="ones")

        def call(self, images, training=False):
            return [self.gain * 12 / 255 * tf.nn.avg_pool2d(tf.cast(images, tf.float32), 4, 4, "SAME")]

    kind = architecture(model)
    kind.build = Dots
    network = Dots()
    network(np.zeros((1, 64, 64, 3), np.uint8))
    return kind, network


def test_the_figures_are_those_of_all_people_alike(model, payloads, people, tmp_path):
    from odflow.heads.pose.evaluation import PoseEvaluator

    kind = architecture(model)
    network = kind.build()
    weights = saved(network, tmp_path / "weights")
    write_records(tmp_path / "valid.record", payloads)
    metrics = PoseEvaluator(kind, tmp_path / "valid.record").measure(weights)

    made = [kind.inputs(tf.constant(one), tf.zeros([2], tf.int64), training=False) for one in payloads]
    images = tf.stack([image for image, _ in made])
    labels = {name: tf.stack([one[name] for _, one in made]) for name in made[0][1]}
    loss = kind.losses(network(images, training=False), labels)["heatmap_loss"]  # of one batch of them all
    found = kind.predict(network, images).numpy()
    right, labelled = np.zeros(3), np.zeros(3)
    for person, affine, truth in zip(found, labels["to_image"].numpy(), people, strict=True):
        hip = 1 if truth[1, 2] else 0  # the torso is that of the other hip where one is not labelled
        if not truth[hip, 2] or not truth[2, 2]:
            continue
        for joint in range(3):
            place = affine @ (person[joint, 1] * 64, person[joint, 0] * 64, 1)
            near = np.hypot(*(place - truth[joint, :2])) <= 0.2 * np.hypot(*(truth[hip] - truth[2])[:2])
            labelled[joint] += truth[joint, 2] > 0
            right[joint] += truth[joint, 2] > 0 and near
    assert 0 < right.sum() < labelled.sum()
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert metrics["PCK@0.2"] == pytest.approx(right.sum() / labelled.sum())
    for joint, name in enumerate(("left_hip", "right_hip", "head")):
        assert metrics[f"PCK@0.2/{name}"] == pytest.approx(right[joint] / labelled[joint])
    assert len(metrics) == 5


def test_a_network_that_sees_the_dots_finds_the_joints(model, payloads, tmp_path):
    """All of it in one: crop, cells, quarter offsets and the way back must agree to a pixel or so."""
    from odflow.heads.pose.evaluation import PoseEvaluator

    kind, network = dot_kind(model)
    weights = saved(network, tmp_path / "weights")
    write_records(tmp_path / "valid.record", payloads)
    evaluator = PoseEvaluator(kind, tmp_path / "valid.record")
    assert evaluator.measure(weights)["PCK@0.2"] == 1
    away = []
    for inputs, labels in evaluator._batches:
        found, truth, _ = (value.numpy() for value in evaluator._look(inputs, labels))
        away.append((found - truth)[truth[..., 2] > 0][:, :2])
    away = np.concatenate(away)
    assert np.abs(away.mean(axis=0)).max() < 0.5  # no bias: half a cell would be above 2 pixels here
    assert np.abs(away).max() < 4


def test_records_that_cannot_be_measured(model, payloads, tmp_path):
    from odflow.heads.pose.evaluation import PoseEvaluator

    kind, network = dot_kind(model)
    weights = saved(network, tmp_path / "weights")
    for name, records, says in (
        ("empty", [], "no record; nothing to measure"),
        ("torn", [*payloads[:3], b"no example"], "an example cannot be used"),
    ):
        write_records(tmp_path / name, records)
        with pytest.raises(InputError, match=says):
            PoseEvaluator(kind, tmp_path / name).measure(weights)
