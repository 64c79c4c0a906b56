"""The losses of the three stages against NumPy, term by term, under the API's names."""

import dataclasses

import numpy as np
import pytest

from odflow.training.settings import ClassificationLoss

tf = pytest.importorskip("tensorflow")


def softmax_entropy(logits, classes):
    logits = logits - logits.max(-1, keepdims=True)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(log, classes[..., None], -1)[..., 0]


def smooth_l1(error):
    error = np.abs(error)
    return np.where(error <= 1, error**2 / 2, error - 0.5).sum(-1)


def test_the_first_stage_sees_what_was_drawn_divided_by_its_number(model):
    from odflow.training.faster_rcnn.losses import proposal_losses

    rng = np.random.default_rng(1)
    codes, logits = rng.normal(size=(2, 50, 4)).astype("f"), rng.normal(size=(2, 50, 2)).astype("f")
    rows = np.stack([rng.permutation(50)[:8] for _ in range(2)]).astype(np.int32)
    drawn = np.ones((2, 8), "f")
    drawn[1, 5:] = 0
    classes = rng.integers(0, 2, (2, 8)).astype(np.int32)
    wanted = (rng.normal(size=(2, 8, 4)) * classes[..., None]).astype("f")
    weights = (classes * 0.5).astype("f")
    labels = {
        "anchor_rows": rows,
        "anchor_drawn": drawn,
        "anchor_classes": classes,
        "anchor_encodings": wanted,
        "anchor_weights": weights,
    }
    terms = proposal_losses(codes, logits, {k: tf.constant(v) for k, v in labels.items()}, model.first)
    location = objectness = 0.0
    for i, count in enumerate((8, 5)):
        location += (smooth_l1(codes[i, rows[i]] - wanted[i]) * drawn[i] * weights[i]).sum() / count / 2
        objectness += (softmax_entropy(logits[i, rows[i]], classes[i]) * drawn[i]).sum() / count / 2
    assert {k: pytest.approx(float(v), rel=1e-5) for k, v in terms.items()} == {
        "RPNLoss/localization_loss": 2.0 * location,
        "RPNLoss/objectness_loss": objectness,
    }


@pytest.fixture(scope="module")
def assigned():
    from odflow.training.faster_rcnn.proposals import Assigned

    rng = np.random.default_rng(3)
    used = np.ones((2, 6), "f")
    used[0, 4:] = 0
    classes = np.array([[1, 0, 2, 0, 1, 0], [0, 0, 0, 2, 2, 0]], np.int32)
    weights = np.where(classes > 0, 0.5, 1.0).astype("f")
    encodings = (rng.normal(size=(2, 6, 4)) * (classes > 0)[..., None]).astype("f")
    values = (np.zeros((2, 6, 4), "f"), used, np.zeros((2, 6), np.int32), classes, encodings, weights)
    return Assigned(*(tf.constant(value) for value in values))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", ["weighted_softmax", "weighted_sigmoid"])
def test_the_second_stage_looks_at_the_box_of_the_annotated_class(model, assigned, shared, kind):
    from odflow.training.faster_rcnn.losses import classifier_losses

    rng = np.random.default_rng(5)
    codes = rng.normal(size=(2, 6, 1 if shared else 2, 4)).astype("f")
    logits = rng.normal(size=(2, 6, 3)).astype("f")
    second = dataclasses.replace(model.second, loss=ClassificationLoss(kind), classification_weight=3.0)
    terms = classifier_losses(tf.constant(codes), tf.constant(logits), assigned, second)
    used, classes, wanted, weights = (
        value.numpy() for value in (assigned.used, assigned.classes, assigned.encodings, assigned.weights)
    )
    own = (
        codes[:, :, 0]
        if shared
        else np.take_along_axis(codes, (classes - 1).clip(0)[..., None, None], 2)[:, :, 0]
    )
    counts = used.sum(1, keepdims=True) * 2
    location = (smooth_l1(own - wanted) * used * weights * (classes > 0) / counts).sum()
    hot = np.eye(3)[classes]
    entropy = softmax_entropy(logits, classes)
    if kind == "weighted_sigmoid":
        entropy = (np.logaddexp(0, logits) - logits * hot).sum(-1)
    assert {k: pytest.approx(float(v), rel=1e-5) for k, v in terms.items()} == {
        "BoxClassifierLoss/localization_loss": 2.0 * location,
        "BoxClassifierLoss/classification_loss": 3.0 * (entropy * used * weights / counts).sum(),
    }


def test_the_third_stage_is_divided_by_the_cells_of_the_positives(model, assigned):
    from odflow.training.faster_rcnn.losses import mask_loss

    rng = np.random.default_rng(7)
    logits, wanted = rng.normal(size=(2, 6, 2, 15, 13)).astype("f"), rng.random((2, 6, 15, 13)).astype("f")
    ((name, value),) = mask_loss(tf.constant(logits), tf.constant(wanted), assigned, model.masks).items()
    classes, weights = assigned.classes.numpy(), (assigned.used * assigned.weights).numpy()
    weights = weights * (classes > 0)
    own = np.take_along_axis(logits, (classes - 1).clip(0)[..., None, None, None], 2)[:, :, 0]
    entropy = (np.logaddexp(0, own) - own * wanted).sum((2, 3))
    assert name == "BoxClassifierLoss/mask_loss"
    assert float(value) == pytest.approx(
        4.0 * (entropy * weights).sum() / (weights.sum() * 15 * 13), rel=1e-5
    )


def test_images_without_objects_give_numbers(model, assigned):
    from odflow.training.faster_rcnn.losses import classifier_losses, mask_loss

    empty = assigned._replace(classes=assigned.classes * 0, used=assigned.used * 0)
    terms = classifier_losses(tf.ones([2, 6, 2, 4]), tf.ones([2, 6, 3]), empty, model.second)
    terms |= mask_loss(tf.ones([2, 6, 2, 15, 13]), tf.ones([2, 6, 15, 13]), empty, model.masks)
    assert all(float(term) == 0.0 for term in terms.values())
