"""How the anchors' losses become the loss of a batch; the losses themselves are tested apart."""

import dataclasses

import numpy as np
import pytest

from odflow.training.settings import ClassificationLoss, HardExampleMiner

tf = pytest.importorskip("tensorflow")

COUNT, SLOTS = 60, 3
SIGMOID = ClassificationLoss("weighted_sigmoid")


@pytest.fixture(scope="module")
def case():
    """Random outputs and targets: two images, a few positives, some ignored anchors."""
    rng = np.random.default_rng(5)
    matches = rng.choice([-2, -1, 0, 1], size=(2, COUNT), p=[0.1, 0.7, 0.1, 0.1])
    weights = rng.random((2, COUNT)).astype("f")
    labels = {
        "matches": matches.astype("i"),
        "classes": np.where(matches >= 0, matches + 1, -1).astype("i"),
        "encodings": rng.normal(size=(2, COUNT, 4)).astype("f"),
        "class_weights": np.where(matches == -1, 1, np.where(matches >= 0, weights, 0)).astype("f"),
        "box_weights": np.where(matches >= 0, weights, 0).astype("f"),
    }
    return rng.normal(size=(2, COUNT, 4)).astype("f"), rng.normal(size=(2, COUNT, SLOTS)).astype("f"), labels


def computed(case, losses, decode=lambda codes: codes):
    from odflow.training.ssd.losses import ssd_losses

    encodings, logits, labels = case
    tensors = {name: tf.constant(value) for name, value in labels.items()}
    terms = ssd_losses(tf.constant(encodings), tf.constant(logits), tensors, losses, decode)
    return float(terms["classification_loss"]), float(terms["localization_loss"])


def expected(case, losses, kept=1.0):
    encodings, logits, labels = case
    slots = labels["classes"] if losses.background_as_zeros else np.maximum(labels["classes"], 0)
    t, p = slots[..., None] == np.arange(SLOTS), 1 / (1 + np.exp(-logits.astype(float)))
    if losses.classification.kind == "weighted_sigmoid":
        classification = -np.log(np.where(t, p, 1 - p))
    else:
        p_t = np.where(t, p, 1 - p)
        alpha = np.where(t, losses.classification.alpha, 1 - losses.classification.alpha)
        classification = -alpha * (1 - p_t) ** losses.classification.gamma * np.log(p_t)
    classification = classification.sum(-1) * labels["class_weights"] * kept
    e = np.abs(encodings - labels["encodings"]).astype(float)
    localization = np.where(e <= 1, e**2 / 2, e - 0.5).sum(-1) * labels["box_weights"] * kept
    matches = max(labels["box_weights"].sum(), 1.0) if losses.by_matches else 1.0
    return (
        losses.classification_weight * classification.sum() / matches,
        losses.localization_weight * localization.sum() / matches / (4 if losses.by_code_size else 1),
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"by_matches": False},
        {"by_code_size": False, "localization_weight": 2.0},
        {"classification_weight": 0.5},
        {"classification": SIGMOID, "background_as_zeros": False},
    ],
    ids=str,
)
def test_losses_are_weighted_and_divided_as_the_config_says(model, case, change):
    losses = dataclasses.replace(model.losses, **change)
    np.testing.assert_allclose(computed(case, losses), expected(case, losses), rtol=1e-4)


@pytest.mark.parametrize("by", ["both", "classification", "localization"])
def test_only_mined_anchors_count_and_all_matches_divide(model, case, by):
    """With an overlap of 1 allowed, the hardest 20 of each image are kept."""
    miner = HardExampleMiner(20, 1.0, by)
    losses = dataclasses.replace(model.losses, classification=SIGMOID, miner=miner, localization_weight=3.0)
    encodings, logits, labels = case
    t = labels["classes"][..., None] == np.arange(SLOTS)
    p = 1 / (1 + np.exp(-logits.astype(float)))
    classification = -np.log(np.where(t, p, 1 - p)).sum(-1) * labels["class_weights"]
    e = np.abs(encodings - labels["encodings"])
    localization = np.where(e <= 1, e**2 / 2, e - 0.5).sum(-1) * labels["box_weights"]
    decides = {"classification": classification, "localization": localization}
    decides["both"] = classification + 3.0 * localization
    # Ties of anchors that lose nothing do not matter to the sums.
    kept = np.zeros((2, COUNT))
    np.put_along_axis(kept, np.argsort(-decides[by], 1, kind="stable")[:, :20], 1.0, 1)
    boxes = tf.constant(np.random.default_rng(1).random((2, COUNT, 4)), tf.float32)
    found = computed(case, losses, decode=lambda codes: boxes)
    if by == "localization":  # zeros tie, and any of them may be kept
        np.testing.assert_allclose(found[1], expected(case, losses, kept)[1], rtol=1e-4)
    else:
        np.testing.assert_allclose(found, expected(case, losses, kept), rtol=1e-4)


def test_images_without_objects_are_divided_by_one_not_by_zero(model, case):
    encodings, logits, labels = case
    empty = labels | {
        "matches": np.full_like(labels["matches"], -1),
        "classes": np.full_like(labels["classes"], -1),
        "class_weights": np.ones_like(labels["class_weights"]),
        "box_weights": np.zeros_like(labels["box_weights"]),
    }
    found = computed((encodings, logits, empty), model.losses)
    np.testing.assert_allclose(found, expected((encodings, logits, empty), model.losses), rtol=1e-4)
    assert found[1] == 0.0
