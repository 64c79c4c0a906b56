"""Train in several processes of a Ray cluster, together as one, through Ray Train."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import ConfigError, OdflowError, StageError
from odflow.training.loop.replicas import replica_batch
from odflow.training.loop.run_options import Data, Folders, Options
from odflow.training.settings import Settings

if TYPE_CHECKING:
    from odflow.training.loop.fitting import Progress

FIRST = 0
"""The worker whose files count; the others' weights are the same."""

PATIENCE = 60.0
"""Seconds for the workers to notice that nobody listens any more."""


def fit_on_ray(settings: Settings, data: Data, folders: Folders, options: Options) -> Iterator[Progress]:
    """Train as `fitting.fit` does, in `options.workers` processes.

    The cluster that this process is part of, or that RAY_ADDRESS names, is used, else a Ray of
    this machine is started. Records and folders must be under the same path on all nodes. Where
    there are GPUs each worker takes one.

    Raises:
        ConfigError: Ray is not installed, or the batch cannot be shared out to the workers.
        OdflowError: as `fit`, whichever worker raised it.
    """
    try:
        import ray
        from ray.util.queue import Queue
    except ImportError as error:
        raise ConfigError(
            'train: strategy ray needs Ray, which is not installed. Use: pip install "odflow[ray]"'
        ) from error
    replica_batch(options.workers, settings.training.batch_size, options.accumulate)
    began_here = not ray.is_initialized()
    if began_here:
        _join_or_begin(options.workers)
    told = Queue()
    task = {"settings": settings, "data": data, "folders": folders, "options": options, "told": told}
    workers = threading.Thread(target=_train, args=(task, ray.cluster_resources()), daemon=True)
    workers.start()
    try:
        yield from _heard(told)
    finally:
        told.shutdown(force=True)
        workers.join(PATIENCE)  # a call to Ray after its end would start another
        if began_here:
            ray.shutdown()


def _join_or_begin(workers: int) -> None:
    """Join the cluster that RAY_ADDRESS names, or start a Ray of this machine with room for the workers."""
    import ray

    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
    else:
        # Ray has its workers at 15: they stand still beside anything else that computes.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init("local", num_cpus=workers + 1, include_dashboard=False, **quiet)


def _heard(told: Any) -> Iterator[Progress]:
    """What the first worker tells; in the end, the first thing that went wrong with any."""
    wrong = None
    while (one := told.get()) is not None:
        if isinstance(one, OdflowError | OSError):
            wrong = wrong or one
        else:
            yield one
    if wrong:
        raise wrong


def _train(task: dict[str, Any], resources: dict[str, float]) -> None:
    """Start the workers and wait; what goes wrong with them is told like the rest."""
    from ray.exceptions import RayError
    from ray.train import RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    scaling = ScalingConfig(num_workers=task["options"].workers, use_gpu=resources.get("GPU", 0) > 0)
    storage = str(task["folders"].scratch.absolute() / "ray")
    trainer = TensorflowTrainer(
        work, train_loop_config=task, scaling_config=scaling, run_config=RunConfig(storage_path=storage)
    )
    with suppress(RayError, SystemExit):  # when nobody listens any more: the training was stopped
        try:
            trainer.fit()
        except Exception as error:  # Ray Train has several kinds of them
            reason = str(error).strip().splitlines()[-1]
            task["told"].put(StageError(f"train: the workers on Ray failed: {reason}"))
        task["told"].put(None)


def work(task: dict[str, Any]) -> None:
    """What one worker does; Ray Train has told it of the others by TF_CONFIG."""
    from ray.train import get_context

    from odflow.training.loop.fitting import fit

    rank = get_context().get_world_rank()
    options = replace(task["options"], strategy="multi_worker_mirrored")
    try:
        for one in fit(task["settings"], task["data"], folders_of(task["folders"], rank), options):
            if rank == FIRST:
                task["told"].put(one)
    except (OdflowError, OSError) as error:
        task["told"].put(error)
        raise


def folders_of(folders: Folders, rank: int) -> Folders:
    """The first worker writes where the training's files go; the others aside, to go on after a kill."""
    if rank == FIRST:
        return folders
    aside = folders.scratch / f"worker-{rank}"
    trained = Path(aside) / "trained"
    trained.mkdir(parents=True, exist_ok=True)
    return Folders(aside, trained)
