"""On which devices and machines a training runs."""

from __future__ import annotations

import tensorflow as tf

from odflow.training.loop.replicas import tf_config_workers


def build_strategy(kind: str) -> tf.distribute.Strategy:
    """Build a strategy; to be asked for before TensorFlow computes, or machines do not find together.

    Args:
        kind: `auto` (all GPUs of the machine, or its processors), `one_device`, `mirrored`
            or `multi_worker_mirrored` (each machine runs the same command, with the
            environment variable TF_CONFIG that names them all).

    Returns:
        The strategy.

    Raises:
        ConfigError: TF_CONFIG is needed and missing or wrong.
    """
    if kind == "multi_worker_mirrored":
        tf_config_workers()
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if kind == "mirrored" or (kind == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")


def least(strategy: tf.distribute.Strategy, value: float) -> float:
    """The least of the workers' values, so that all of them decide alike; the value itself of one alone."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    values = strategy.run(lambda: tf.constant([float(value)], tf.float64))
    return float(tf.reduce_min(strategy.gather(values, axis=0)))
