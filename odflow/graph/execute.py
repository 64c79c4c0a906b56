"""Run one stage so that its outputs appear whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from odflow.errors import StageError
from odflow.graph.job import Job, Workers
from odflow.graph.stage import Stage

A = TypeVar("A")
B = TypeVar("B")


class InProcess:
    """Workers that are this very process."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item, one after the other."""
        return map(function, items)


def run_alone(stage: Stage, out: Path, *, name: str = "", workers: Workers | None = None) -> Job:
    """Run one stage without store or cache; its outputs land in `out` under their declared names.

    Args:
        stage: the stage, its inputs existing paths.
        out: the folder for its outputs; made when absent.
        name: what messages call the stage; its class's name if left out.
        workers: where `Job.map` sends its items.

    Returns:
        The job, with the lines that the stage said.

    Raises:
        OdflowError: the stage failed; nothing in `out` was changed.
    """
    staging = out / f".staging-{name or type(stage).__name__.lower()}"
    if staging.exists() and not stage.resumes:
        shutil.rmtree(staging)
    staging.mkdir(parents=True, exist_ok=True)
    job = Job(name or type(stage).__name__.lower(), staging, workers or InProcess())
    staged = stage.model_copy(update={field: staging / getattr(stage, field) for field in stage.outputs()})
    staged.run(job)
    for field in stage.outputs():
        made, final = getattr(staged, field), out / getattr(stage, field)
        if not made.exists():
            raise StageError(f"{job.name}: did not write its output {field} ({getattr(stage, field)}).")
        if final.is_dir():
            shutil.rmtree(final)
        made.replace(final)
    shutil.rmtree(staging)
    return job
