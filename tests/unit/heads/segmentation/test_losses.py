"""The loss of masks, against NumPy and Model Garden's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

tf = pytest.importorskip("tensorflow")

from odflow.heads.segmentation.losses import counted_pixels, pixel_losses  # noqa: E402


def made(seed, ignored, classes=3, size=(5, 7)):
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 3, (2, *size, classes)).astype(np.float32)
    masks = chance.integers(0, classes, (2, *size)).astype(np.uint8)
    masks[chance.uniform(size=masks.shape) < ignored] = 255
    return logits, masks


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.lists(st.floats(0, 9), min_size=3, max_size=3),
)
def test_it_is_the_weighted_log_of_the_true_class(seed, ignored, weights):
    logits, masks = made(seed, ignored)
    found = pixel_losses(tf.constant(logits), tf.constant(masks), weights).numpy()
    for place in np.ndindex(masks.shape):
        one, number = logits[place].astype(np.float64), masks[place]
        wanted = 0.0 if number == 255 else weights[number] * (np.log(np.exp(one).sum()) - one[number])
        assert found[place] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert counted_pixels(tf.constant(masks)).numpy() == (masks != 255).sum()


def test_ignored_pixels_give_neither_loss_nor_gradient():
    logits, masks = made(1, 0.4)
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = pixel_losses(logits, tf.constant(masks), [1.0, 2.0, 3.0])
    gradients = tape.gradient(losses, logits).numpy()
    ignored = masks == 255
    assert not losses.numpy()[ignored].any()
    assert not gradients[ignored].any()
    assert np.abs(gradients[~ignored]).sum(-1).all()


@pytest.mark.slow  # imports Model Garden
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 1.0, 4.0]])
def test_the_mean_is_model_gardens(weights):
    from official.vision.losses.segmentation_losses import SegmentationLoss

    _, masks = made(3, 0.2, size=(40, 56))
    logits = np.random.default_rng(5).normal(size=(2, 10, 14, 3)).astype(np.float32)
    theirs = SegmentationLoss(0.0, weights, 255, use_groundtruth_dimension=True)
    wanted = theirs(tf.constant(logits), tf.constant(masks[..., None]))
    losses = pixel_losses(tf.constant(logits), tf.constant(masks), weights)
    np.testing.assert_allclose(tf.reduce_sum(losses) / counted_pixels(tf.constant(masks)), wanted, rtol=1e-5)
