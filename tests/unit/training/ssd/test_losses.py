"""The SSD losses against NumPy, term by term."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def case(model):
    """Random outputs and targets: two images, all anchors, a few positives and ignored ones."""
    rng = np.random.default_rng(5)
    sizes = {"3": (12, 16), "4": (6, 8), "5": (3, 4)}
    per = model.anchors.per_location
    count = sum(h * w for h, w in sizes.values()) * per
    encodings = rng.normal(size=(2, count, 4)).astype("f")
    logits = rng.normal(size=(2, count, 3)).astype("f")
    classes = rng.choice([-1, 1, 2], size=(2, count), p=[0.9, 0.05, 0.05])
    labels = {
        "classes": classes.astype(np.int64),
        "encodings": rng.normal(size=(2, count, 4)).astype("f"),
        "class_weights": (rng.random((2, count)) > 0.1).astype("f"),
        "box_weights": (classes > 0).astype("f"),
    }
    return encodings, logits, labels


def numpy_losses(encodings, logits, labels, losses):
    logits = logits.astype(float)
    wanted = (labels["classes"][..., None] == np.arange(3)).astype(float)
    p = 1 / (1 + np.exp(-logits))
    p_true = np.where(wanted == 1, p, 1 - p)
    alpha = 1.0
    if losses.focal_alpha is not None:
        alpha = np.where(wanted == 1, losses.focal_alpha, 1 - losses.focal_alpha)
    focal = alpha * (1 - p_true) ** losses.focal_gamma * -np.log(p_true)
    matches = max(labels["box_weights"].sum(), 1.0) if losses.by_matches else 1.0
    classification = (focal * labels["class_weights"][..., None]).sum() / matches
    e = np.abs(encodings - labels["encodings"]).astype(float)
    d = losses.smooth_l1_delta
    huber = np.where(e <= d, e**2 / 2, d * e - d**2 / 2) * labels["box_weights"][..., None]
    localization = huber.sum() / (matches * (4 if losses.by_code_size else 1))
    return (
        losses.classification_weight * classification,
        losses.localization_weight * localization,
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"focal_alpha": None},
        {"by_matches": False},
        {"by_code_size": False, "localization_weight": 2.0},
        {"smooth_l1_delta": 0.3, "classification_weight": 0.5},
    ],
    ids=str,
)
def test_losses_are_those_of_the_definition(model, case, change):
    from odflow.training.ssd.losses import ssd_losses

    encodings, logits, labels = case
    losses = dataclasses.replace(model.losses, **change)
    terms = ssd_losses(
        encodings, logits, {name: tf.constant(value) for name, value in labels.items()}, losses
    )
    found = [terms["classification_loss"], terms["localization_loss"]]
    np.testing.assert_allclose(found, numpy_losses(encodings, logits, labels, losses), rtol=1e-4)


def test_images_without_objects_are_divided_by_one_not_by_zero(model, case):
    from odflow.training.ssd.losses import ssd_losses

    encodings, logits, labels = case
    empty = labels | {
        "classes": np.full_like(labels["classes"], -1),
        "box_weights": np.zeros_like(labels["box_weights"]),
    }
    terms = ssd_losses(
        encodings, logits, {name: tf.constant(value) for name, value in empty.items()}, model.losses
    )
    assert all(np.isfinite(float(term)) for term in terms.values())
