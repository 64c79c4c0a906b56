"""On which devices and machines a training runs."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from odflow.errors import ConfigError


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
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if kind == "mirrored" or (kind == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")


def replica_batch(replicas: int, batch_size: int, accumulate: int) -> int:
    """Images that one replica takes in a step.

    Args:
        replicas: that train together.
        batch_size: images of all replicas together, as the config has it.
        accumulate: small batches that a replica makes of its part.

    Returns:
        The images of one replica, all its small batches together.

    Raises:
        ConfigError: the batch cannot be shared out evenly.
    """
    shares = replicas * accumulate
    if batch_size % shares:
        raise ConfigError(
            f"train: batch_size {batch_size} cannot be shared out to {replicas} "
            f"replicas of {accumulate} small batches each. Give a multiple of {shares}."
        )
    return batch_size // replicas


def least(strategy: tf.distribute.Strategy, value: float) -> float:
    """The least of the workers' values, so that all of them decide alike; the value itself of one alone."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    values = strategy.run(lambda: tf.constant([value], tf.float64))
    return float(tf.reduce_min(strategy.gather(values, axis=0)))


def _check_tf_config() -> None:
    try:
        found = json.loads(os.environ.get("TF_CONFIG", ""))
        workers, index = found["cluster"]["worker"], found["task"]["index"]
        if not 0 <= index < len(workers):
            raise ValueError(f"task {index} of {len(workers)} workers")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"train: strategy multi_worker_mirrored needs the environment variable TF_CONFIG ({error!r}); "
            'wanted: {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}.'
        ) from error
