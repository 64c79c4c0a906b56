"""Optimizers against their definitions, written out in NumPy."""

import dataclasses

import numpy as np
import pytest

from odflow.training.settings import LearningRate, Optimizer

tf = pytest.importorskip("tensorflow")

STAIRS = LearningRate("manual_step", 0.1, boundaries=(3,), rates=(0.02,))
RATES = (0.1, 0.1, 0.1, 0.02, 0.02, 0.02)
GRADIENTS = np.random.default_rng(4).normal(0, 1, (6, 5))


def trained(settings):
    """The weights after each step with the gradients above."""
    from odflow.training.loop.optimizers import build_optimizer

    optimizer = build_optimizer(settings)
    weights = tf.Variable(np.linspace(-1, 1, 5), dtype=tf.float32)
    found = []
    for gradient in GRADIENTS:
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weights)])
        found.append(weights.numpy())
    return found


def check(settings, update):
    weights = np.linspace(-1, 1, 5)
    for step, found in enumerate(trained(settings)):
        weights = weights + update(step, GRADIENTS[step], RATES[step])
        np.testing.assert_allclose(found, weights, rtol=1e-5, atol=1e-6)


def test_momentum_keeps_the_steps_themselves_as_the_apis_tf2_loop_does():
    """Not the gradients: what was gathered at a high rate goes on at that rate."""
    velocity = np.zeros(5)

    def update(step, gradient, rate):
        velocity[:] = 0.9 * velocity - rate * gradient
        return velocity

    check(Optimizer("momentum", STAIRS, momentum=0.9), update)


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_rms_prop_is_tensorflow_1s(momentum):
    """The mean of squares starts at 1, epsilon stands inside the root."""
    squares, velocity = np.ones(5), np.zeros(5)

    def update(step, gradient, rate):
        squares[:] = 0.8 * squares + 0.2 * gradient**2
        velocity[:] = momentum * velocity + rate * gradient / np.sqrt(squares + 0.5)
        return -velocity

    check(Optimizer("rms_prop", STAIRS, momentum=momentum, decay=0.8, epsilon=0.5), update)


def test_adam():
    mean, squares = np.zeros(5), np.zeros(5)

    def update(step, gradient, rate):
        mean[:] = 0.9 * mean + 0.1 * gradient
        squares[:] = 0.999 * squares + 0.001 * gradient**2
        unbiased = rate * np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        return -unbiased * mean / (np.sqrt(squares) + 0.01)

    check(Optimizer("adam", STAIRS, epsilon=0.01), update)


def test_rms_prop_goes_on_where_it_was():
    from odflow.training.loop.optimizers import build_optimizer

    settings = Optimizer("rms_prop", STAIRS, momentum=0.9, epsilon=1.0)
    expected = trained(settings)[-1]
    optimizer, weights = build_optimizer(settings), tf.Variable(np.linspace(-1, 1, 5), dtype=tf.float32)
    for step, gradient in enumerate(GRADIENTS):
        if step == 3:
            saved = tf.train.Checkpoint(optimizer=optimizer, weights=weights).save("ram://rms/ckpt")
            optimizer, weights = build_optimizer(settings), tf.Variable(tf.zeros(5))
            tf.train.Checkpoint(optimizer=optimizer, weights=weights).restore(saved)
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weights)])
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)


def test_an_average_stands_in_for_the_weights_only_for_a_while():
    from odflow.training.loop.optimizers import MovingAverage

    weight = tf.Variable([1.0, 2.0])
    average = MovingAverage([weight], 0.9)
    weight.assign([3.0, 8.0])
    average.update(tf.constant(1), tf.distribute.get_strategy())
    share = 1 - 2 / 11
    with average.applied():
        np.testing.assert_allclose(weight.numpy(), [1 + 2 * share, 2 + 6 * share], rtol=1e-6)
    assert weight.numpy().tolist() == [3.0, 8.0]
    average.restart()
    with average.applied():
        assert weight.numpy().tolist() == [3.0, 8.0]


def test_an_unknown_setting_is_no_silent_default():
    with pytest.raises(KeyError):
        trained(dataclasses.replace(Optimizer("adam", STAIRS), learning_rate=LearningRate("poly", 0.1)))
