"""How a batch is shared out, as far as it is known without TensorFlow."""

from __future__ import annotations

import json
import os

from odflow.errors import ConfigError


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


def tf_config_workers() -> int:
    """Machines that the environment variable TF_CONFIG names.

    Raises:
        ConfigError: it is missing or wrong.
    """
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
    return len(workers)
