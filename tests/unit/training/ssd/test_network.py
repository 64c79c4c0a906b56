"""The network as a whole: it learns, in 16 bits too, and leaves what a config does not use."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.training.ssd.network import build_network  # noqa: E402
from odflow.training.ssd.settings import FpnShape  # noqa: E402


def test_encodings_and_logits_of_every_anchor_in_the_order_of_the_anchors(model):
    network = build_network(model)
    maps, encodings, logits = network(tf.zeros([2, 96, 128, 3]), training=False)
    count = len(model.anchor_boxes())
    assert count == sum(one.shape[1] * one.shape[2] for one in maps) * model.anchors.per_location
    assert encodings.shape == (2, count, 4)
    assert logits.shape == (2, count, model.class_slots)
    without = dataclasses.replace(model, background=False)
    assert build_network(without)(tf.zeros([1, 96, 128, 3]))[2].shape[-1] == model.num_classes


@pytest.mark.slow
def test_it_learns_one_batch(model):
    tf_keras.utils.set_random_seed(3)
    # A pyramid up to level 4 alone: the backbone's top is there, as in the API, and not reached.
    extractor = dataclasses.replace(model.extractor, pyramid=FpnShape(3, 4, 32))
    anchors = dataclasses.replace(model.anchors, max_level=4)
    network = build_network(dataclasses.replace(model, extractor=extractor, anchors=anchors))
    inputs = tf.random.normal([2, 96, 128, 3])
    wanted = tf.random.normal([2, *network(inputs)[1].shape[1:]])
    optimizer = tf_keras.optimizers.Adam(0.01)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            _, encodings, _ = network(inputs, training=True)
            loss = tf.reduce_mean(tf.square(encodings - wanted)) + tf.add_n(network.losses)
        weights = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    losses = [float(step()) for _ in range(12)]
    assert losses[-1] < 0.95 * losses[0]


def test_in_16_bits_variables_and_predictions_stay_in_32(model):
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = build_network(model)
        maps, encodings, logits = network(tf.random.normal([1, 96, 128, 3]), training=True)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert {one.dtype for one in maps} == {tf.bfloat16}
    assert encodings.dtype == logits.dtype == tf.float32
    assert {weight.dtype for weight in network.weights} == {tf.float32}


def test_frozen_batch_norms_keep_their_statistics_and_learn_the_rest(model):
    network = build_network(dataclasses.replace(model, freeze_batch_norm=True))
    before = [np.array(weight) for weight in network.non_trainable_weights]
    network(tf.random.normal([2, 96, 128, 3]), training=True)
    for weight, value in zip(network.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    learning = [weight.name for weight in network.trainable_weights if "gamma" in weight.name]
    assert len(learning) == len(before) // 2
