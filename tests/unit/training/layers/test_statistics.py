"""Batch norms get the statistics of what passes them, and compute what they did."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def network():
    """Two convolutions, each with a batch norm that was folded: mean 0, variance 1, a slope and an offset."""
    import tf_keras

    from odflow.training.layers.convolutions import FreezableBatchNorm

    tf_keras.utils.set_random_seed(3)
    layers = []
    for _ in range(2):
        norm = FreezableBatchNorm(False, epsilon=0.001, momentum=0.9)
        layers += [tf_keras.layers.Conv2D(5, 3), norm, tf_keras.layers.ReLU()]
    made = tf_keras.Sequential(layers)
    made(tf.zeros([1, 16, 16, 3]))
    rng = np.random.default_rng(4)
    for norm in made.layers[1::3]:
        norm.gamma.assign(rng.uniform(0.5, 2.0, 5))
        norm.beta.assign(rng.normal(size=5))
    return made


@pytest.fixture
def pictures():
    return np.random.default_rng(5).normal(1.0, 3.0, (6, 16, 16, 3)).astype(np.float32)


def test_the_network_computes_what_it_did_and_training_starts_there(network, pictures):
    from odflow.training.layers.statistics import lacks_statistics, measure_statistics

    before = network(pictures, training=False).numpy()
    folded = network(pictures, training=True).numpy()
    for norm in network.layers[1::3]:  # that call has moved them
        norm.moving_mean.assign(np.zeros(5))
        norm.moving_variance.assign(np.ones(5))
    assert lacks_statistics(network)

    def run():
        for picture in pictures:
            network(picture[None], training=False)

    assert measure_statistics(network, run) == 2
    assert not lacks_statistics(network)
    np.testing.assert_allclose(network(pictures, training=False), before, atol=1e-4)
    first = tf.nn.conv2d(pictures, network.layers[0].kernel, 1, "VALID") + network.layers[0].bias
    np.testing.assert_allclose(
        network.layers[1].moving_mean, np.mean(first, axis=(0, 1, 2)), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(network.layers[1].moving_variance, np.var(first, axis=(0, 1, 2)), rtol=1e-4)
    # While it trains, the statistics are those of the batch: now the same, before far off.
    np.testing.assert_allclose(network(pictures, training=True), before, atol=1e-2)
    assert np.abs(folded - before).max() > 1.0


def test_what_is_not_run_keeps_its_statistics(network, pictures):
    from odflow.training.layers.statistics import measure_statistics

    weights = network.get_weights()
    assert measure_statistics(network, lambda: None) == 0
    for kept, old in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(kept, old)
    assert all(norm.observer is None for norm in network.layers[1::3])
