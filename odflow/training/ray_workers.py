"""Train in several processes of a Ray cluster, together as one, through Ray Train."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import ConfigError, OdflowError, StageError
from odflow.training.run_options import Data, Folders, Options
from odflow.training.settings import Settings

if TYPE_CHECKING:
    from odflow.training.fitting import Progress

FIRST = 0
"""The worker whose files count; the others' weights are the same."""


def fit_on_ray(settings: Settings, data: Data, folders: Folders, options: Options) -> Iterator[Progress]:
    """Train as `fitting.fit` does, in `options.workers` processes.

    A Ray that runs is used, else one of this machine is started. Records and folders
    must be under the same path on all nodes. Of a GPU cluster each worker takes one GPU.

    Raises:
        ConfigError: Ray is not installed.
        OdflowError: as `fit`, whichever worker raised it.
    """
    try:
        import ray
        from ray.util.queue import Queue
    except ImportError as error:
        raise ConfigError(
            'train: strategy ray needs Ray, which is not installed. Use: pip install "odflow[ray]"'
        ) from error
    began_here = not ray.is_initialized()
    if began_here:
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=options.workers + 1)
    told = Queue()
    task = {"settings": settings, "data": data, "folders": folders, "options": options, "told": told}
    try:
        thread = threading.Thread(target=_train, args=(task, ray.cluster_resources(), told), daemon=True)
        thread.start()
        yield from _heard(told)
        thread.join()
    finally:
        told.shutdown(force=True)
        if began_here:
            ray.shutdown()


def _heard(told: Any) -> Iterator[Progress]:
    """What the workers tell, until the first of them is done or one has failed."""
    while True:
        one = told.get()
        if isinstance(one, OdflowError):
            raise one
        if one is None:
            return
        yield one


def _train(task: dict[str, Any], resources: dict[str, float], told: Any) -> None:
    """Start the workers and wait; what goes wrong with them is told like the rest."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    scaling = ScalingConfig(num_workers=task["options"].workers, use_gpu=resources.get("GPU", 0) > 0)
    storage = str(task["folders"].scratch.absolute() / "ray")
    trainer = TensorflowTrainer(
        work, train_loop_config=task, scaling_config=scaling, run_config=RunConfig(storage_path=storage)
    )
    try:
        trainer.fit()
        told.put(None)
    except Exception as error:
        told.put(StageError(f"train: the workers on Ray failed: {str(error).strip().splitlines()[-1]}"))


def work(task: dict[str, Any]) -> None:
    """What one worker does; Ray Train has told it of the others by TF_CONFIG."""
    from ray.train import get_context

    from odflow.training.fitting import fit

    rank = get_context().get_world_rank()
    options = replace(task["options"], strategy="multi_worker_mirrored")
    try:
        for one in fit(task["settings"], task["data"], folders_of(task["folders"], rank), options):
            if rank == FIRST:
                task["told"].put(one)
    except OdflowError as error:
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
