"""The losses against NumPy, by their definitions; the miner against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.training.settings import ClassificationLoss, HardExampleMiner, LocalizationLoss

tf = pytest.importorskip("tensorflow")

N, A, SLOTS = 2, 40, 4


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(5)
    logits = (4 * rng.normal(size=(N, A, SLOTS))).astype("f")
    classes = rng.integers(-1, SLOTS, (N, A))
    targets = (classes[..., None] == np.arange(SLOTS)).astype("f")
    return logits, targets, rng.random((N, A)).astype("f")


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(float)))


def softmax(x):
    e = np.exp(x.astype(float) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def entropy(t, p):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def focal(x, t, gamma, alpha):
    p = sigmoid(x)
    p_t = t * p + (1 - t) * (1 - p)
    weight = 1.0 if alpha is None else t * alpha + (1 - t) * (1 - alpha)
    return (weight * (1 - p_t) ** gamma * -np.log(p_t)).sum(-1)


def bootstrapped(x, t, alpha, hard):
    p = sigmoid(x)
    return entropy(alpha * t + (1 - alpha) * ((p > 0.5) if hard else p), p).sum(-1)


CLASSIFICATION = [
    (ClassificationLoss("weighted_sigmoid"), lambda x, t: entropy(t, sigmoid(x)).sum(-1)),
    (
        ClassificationLoss("weighted_sigmoid_focal", alpha=0.25, gamma=2.0),
        lambda x, t: focal(x, t, 2.0, 0.25),
    ),
    (
        ClassificationLoss("weighted_sigmoid_focal", alpha=0.75, gamma=1.5),
        lambda x, t: focal(x, t, 1.5, 0.75),
    ),
    (ClassificationLoss("weighted_sigmoid_focal", gamma=0.0), lambda x, t: focal(x, t, 0.0, None)),
    (
        ClassificationLoss("weighted_softmax", logit_scale=2.0),
        lambda x, t: -(t * np.log(softmax(x / 2))).sum(-1),
    ),
    (
        ClassificationLoss("weighted_logits_softmax", logit_scale=3.0),
        lambda x, t: -(softmax(t / 3) * np.log(softmax(x / 3))).sum(-1),
    ),
    (
        ClassificationLoss("bootstrapped_sigmoid", alpha=0.6),
        lambda x, t: bootstrapped(x, t, 0.6, False),
    ),
    (
        ClassificationLoss("bootstrapped_sigmoid", alpha=0.6, hard_bootstrap=True),
        lambda x, t: bootstrapped(x, t, 0.6, True),
    ),
]


@pytest.mark.parametrize(("loss", "definition"), CLASSIFICATION, ids=lambda value: getattr(value, "kind", ""))
def test_classification_losses_are_those_of_their_definitions(case, loss, definition):
    from odflow.training.detection.losses import classification_loss

    logits, targets, weights = case
    found = classification_loss(logits, targets, weights, loss)
    np.testing.assert_allclose(found, definition(logits, targets) * weights, rtol=2e-5, atol=1e-6)


def test_the_focal_loss_and_its_gradient_stay_finite_for_extreme_logits():
    from odflow.training.detection.losses import classification_loss

    logits = tf.constant([[[-200.0, 200.0], [200.0, -200.0], [0.0, 0.0]]])
    targets = tf.constant([[[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = classification_loss(
            logits,
            targets,
            tf.ones([1, 3]),
            ClassificationLoss("weighted_sigmoid_focal", alpha=0.25, gamma=0.5),
        )
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, logits)).all()


@pytest.fixture(scope="module")
def boxes():
    rng = np.random.default_rng(6)
    corners = np.sort(rng.random((2, N, A, 2, 2)), axis=3).reshape(2, N, A, 4).astype("f")
    corners[0, 0, 0] = corners[1, 0, 0]  # one that fits
    corners[:, 0, 1] = 0.5  # two without area
    return corners[0], corners[1], rng.random((N, A)).astype("f")


def overlap(p, t, generalized):
    height = np.maximum(np.minimum(p[..., 2], t[..., 2]) - np.maximum(p[..., 0], t[..., 0]), 0)
    width = np.maximum(np.minimum(p[..., 3], t[..., 3]) - np.maximum(p[..., 1], t[..., 1]), 0)
    shared = height * width
    union = sum((b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1]) for b in (p, t)) - shared
    hull = (np.maximum(p[..., 2], t[..., 2]) - np.minimum(p[..., 0], t[..., 0])) * (
        np.maximum(p[..., 3], t[..., 3]) - np.minimum(p[..., 1], t[..., 1])
    )
    iou = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    rest = np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)
    return iou - rest if generalized else iou


def huber(e, delta):
    return np.where(e <= delta, e**2 / 2, delta * e - delta**2 / 2).sum(-1)


LOCALIZATION = [
    (LocalizationLoss("l2"), lambda p, t, w: ((w[..., None] * (p - t)) ** 2 / 2).sum(-1)),
    (LocalizationLoss("l1"), lambda p, t, w: np.abs(p - t).sum(-1) * w),
    (LocalizationLoss("smooth_l1", 0.2), lambda p, t, w: huber(np.abs(p - t), 0.2) * w),
    (LocalizationLoss("smooth_l1"), lambda p, t, w: huber(np.abs(p - t), 1.0) * w),
    (LocalizationLoss("iou"), lambda p, t, w: (1 - overlap(p, t, False)) * w),
    (LocalizationLoss("giou"), lambda p, t, w: (1 - overlap(p, t, True)) * w),
]


@pytest.mark.parametrize(("loss", "definition"), LOCALIZATION, ids=lambda value: getattr(value, "kind", ""))
def test_localization_losses_are_those_of_their_definitions(boxes, loss, definition):
    from odflow.training.detection.losses import localization_loss

    predicted, wanted, weights = boxes
    found = localization_loss(predicted, wanted, weights, loss, decode=lambda codes: codes)
    np.testing.assert_allclose(found, definition(predicted, wanted, weights), rtol=1e-5, atol=1e-6)


def mined(losses, boxes, matches, miner):
    """The API's rule, box by box."""
    chosen = []
    for i in np.argsort(-losses, kind="stable"):
        if len(chosen) == (miner.examples or len(losses)):
            break
        if all(overlap(boxes[i], boxes[j], False) <= miner.iou_threshold for j in chosen):
            chosen.append(i)
    if miner.max_negatives_per_positive:
        positives = sum(matches[i] >= 0 for i in chosen)
        most = max(miner.min_negatives_per_image, int(miner.max_negatives_per_positive * positives))
        kept, negatives = [], 0
        for i in chosen:
            negatives += matches[i] == -1
            if matches[i] >= 0 or negatives <= most:
                kept.append(i)
        chosen = kept
    return np.isin(np.arange(len(losses)), chosen)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0, 3, 64]),
    st.sampled_from([0.3, 0.7, 1.0]),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([0, 2]),
)
def test_hard_examples_are_those_of_the_rule(seed, examples, iou_threshold, ratio, least):
    from odflow.training.detection.losses import hard_examples

    rng = np.random.default_rng(seed)
    losses = rng.random((N, A)).astype("f")
    boxes = np.sort(rng.random((N, A, 2, 2)), axis=2).reshape(N, A, 4).astype("f")
    matches = rng.choice([-2, -1, -1, -1, 0, 3], (N, A)).astype("i")
    miner = HardExampleMiner(examples, iou_threshold, "both", ratio, least)
    found = hard_examples(tf.constant(losses), tf.constant(boxes), tf.constant(matches), miner).numpy()
    for i in range(N):
        np.testing.assert_array_equal(found[i] > 0, mined(losses[i], boxes[i], matches[i], miner))
