"""What an evaluation during training measures, with a network whose answers are known."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

from odflow.errors import InputError  # noqa: E402
from odflow.heads.segmentation.architecture import Segmentation  # noqa: E402
from odflow.ops.segmentation_metrics import confusion_matrix, mask_metrics  # noqa: E402
from odflow.training.checkpoints import save_weights  # noqa: E402
from odflow.training.settings import LearningRate, Optimizer, Settings, Training  # noqa: E402

TRAINING = Training(4, 10, Optimizer("adam", LearningRate("constant", 0.001)))


@pytest.fixture
def kind(squares, monkeypatch):
    """Tells colours apart, but for a bias that is its only weight."""

    class ByColour(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.bias = tf.Variable(tf.zeros([3]), name="bias")

        def call(self, images, training=None):
            return squares.by_colour(images) + self.bias

    made = Segmentation(Settings(squares.model(), TRAINING))
    monkeypatch.setattr(made, "build", ByColour)
    return made


@pytest.fixture
def weights(kind, tmp_path):
    def saved(bias):
        network = kind.build()
        network.bias.assign(bias)
        save_weights(network, tmp_path / "checkpoint", 1)
        return tmp_path / "checkpoint"

    return saved


def test_what_is_measured_is_what_predict_finds_at_the_images_own_size(kind, squares, weights, tmp_path):
    pairs = [squares.painted(90, 50, 1), squares.painted(41, 67, 2), squares.painted(64, 64, 3)]
    pairs[1][1][:5] = 255
    evaluator = kind.evaluator(squares.records(tmp_path / "valid.record", *pairs), None)
    found = evaluator.measure(weights([0.0, 0.0, 0.0]))
    confusion = sum(
        confusion_matrix(mask, kind.predict(kind.build(), tf.constant(image[None])).numpy()[0], 3)
        for image, mask in pairs
    )
    assert found.pop("loss") < 0.2
    assert found == mask_metrics(confusion, squares.classes)
    assert found["mIoU"] > 0.9
    blind = evaluator.measure(weights([1e6, 0.0, 0.0]))  # all is background
    assert blind["IoU/red"] == blind["IoU/blue"] == 0.0
    assert blind["loss"] > 1e4


def test_a_class_that_never_occurs_is_absent(kind, squares, weights, tmp_path):
    pairs = [squares.painted(50, 50, seed, classes=(1,)) for seed in (1, 2)]
    found = kind.evaluator(squares.records(tmp_path / "valid.record", *pairs), None).measure(
        weights(np.zeros(3))
    )
    assert found["IoU/blue"] is None
    assert found["mIoU"] == pytest.approx((found["IoU/background"] + found["IoU/red"]) / 2)


def test_masks_of_one_class_alone_can_be_measured(kind, squares, weights, tmp_path):
    pairs = [squares.painted(50, 40, seed, classes=()) for seed in (1, 2)]
    found = kind.evaluator(squares.records(tmp_path / "valid.record", *pairs), None).measure(
        weights(np.zeros(3))
    )
    assert (found["mIoU"], found["IoU/red"], found["pixel_accuracy"]) == (1.0, None, 1.0)


def test_nothing_to_measure_is_told(kind, squares, weights, tmp_path):
    image, mask = squares.painted(20, 20, 1)
    path = squares.records(tmp_path / "valid.record", (image, np.full_like(mask, 255)))
    with pytest.raises(InputError, match="nothing to measure"):
        kind.evaluator(path, None).measure(weights(np.zeros(3)))
    path = squares.records(tmp_path / "other.record", (image, mask[1:]))
    with pytest.raises(InputError, match=r"other\.record: an example cannot be used .*different sizes"):
        kind.evaluator(path, None).measure(weights(np.zeros(3)))
