"""Run one stage so that its outputs appear whole or not at all.

A stage writes into a staging folder. Only when it has returned and every output
is there do they move to their place. The staging of a stage that `resumes` is
kept when it is stopped, and given again to a run with the same key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from odflow.errors import InputError, OdflowError, StageError
from odflow.graph.disk import full_disk, held, make_folder, remove
from odflow.graph.job import Audience, Job, Workers
from odflow.graph.key import Recipe, combined, versions
from odflow.graph.listing import stamps
from odflow.graph.out_folder import OutFolder
from odflow.graph.outputs import own
from odflow.graph.stage import Stage

A = TypeVar("A")
B = TypeVar("B")


class InProcess:
    """Workers that are this very process."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item, one after the other."""
        return map(function, items)


def execute(
    stage: Stage, work: Path, *, name: str, workers: Workers, audience: Audience | None = None
) -> Job:
    """Run a stage in a staging folder; its outputs are left there under their declared names.

    Whoever calls it removes what a failed stage leaves, unless the stage resumes.

    Args:
        stage: the stage, its inputs existing paths.
        work: the staging folder. It is made when absent and emptied unless the stage resumes.
        name: what messages call the stage.
        workers: where `Job.map` sends its items.
        audience: hears what the stage says; the console if left out.

    Returns:
        The job, with the lines that the stage said.

    Raises:
        StoreError: the disk is full or refuses.
        StageError: an output is not there, or holds what is neither a file nor a folder.
        OdflowError: what the stage raised.
    """
    if not stage.resumes:
        remove(work)
    make_folder(work)
    job = Job(name, work, workers, audience)
    staged = stage.model_copy(update={field: work / getattr(stage, field) for field in stage.output_fields()})
    try:
        staged.run(job)
    except OSError as error:
        full = full_disk(error, work)
        if full:
            raise full from error
        raise
    _check_outputs(staged, stage, name)
    for field in stage.output_fields():
        own(getattr(staged, field), work, f"{name}: its output {field} ({getattr(stage, field)})")
    return job


def run_alone(
    stage: Stage,
    out: Path,
    *,
    name: str = "",
    workers: Workers | None = None,
    audience: Audience | None = None,
    overwrite: bool = False,
) -> Job:
    """Run one stage without store or cache; its outputs land in `out` under their declared names.

    Args:
        stage: the stage, its inputs existing paths.
        out: the folder for its outputs; made when absent.
        name: what messages call the stage; its class's name if left out.
        workers: where `Job.map` sends its items.
        audience: hears what the stage says; the console if left out.
        overwrite: replace what is at the outputs' places though the stage did not write it.

    Returns:
        The job, with the lines that the stage said.

    Raises:
        InputError: an output would replace an input, or what the stage did not write; nothing ran.
        OdflowError: the stage failed; the outputs that `out` held are unchanged.
    """
    name = name or type(stage).__name__.lower()
    target = OutFolder(stage, out, name, overwrite)
    target.check()
    made_here = not out.exists()
    make_folder(out)
    try:
        with held(_lock_file(out, name), name):
            staging = _staging(out, name)
            return _run_in(stage, target, staging, Job(name, staging, workers or InProcess(), audience))
    finally:
        if made_here:
            with suppress(OSError):  # it holds something
                out.rmdir()


def clear_staging(stage: type[Stage], out: Path, name: str) -> None:
    """Remove what a process that died in `run_alone` left in `out`, unless the stage resumes.

    Raises:
        StoreError: the disk refuses.
    """
    if not out.is_dir():
        return
    with held(_lock_file(out, name), name):
        if not stage.resumes:
            remove(_staging(out, name))


def _lock_file(out: Path, name: str) -> Path:
    return out / f".odflow-{name}.lock"


def _staging(out: Path, name: str) -> Path:
    return out / f".staging-{name}"


def _run_in(stage: Stage, target: OutFolder, staging: Path, given: Job) -> Job:
    work = staging / (_present_key(given.name, stage) if stage.resumes else "work")
    try:
        job = execute(stage, work, name=given.name, workers=given.workers, audience=given.audience)
        target.take(work)
    except BaseException as error:
        if not can_go_on(stage, error):
            remove(work)
        if staging.is_dir() and not any(staging.iterdir()):
            remove(staging)
        raise
    remove(staging)
    return job


def can_go_on(stage: Stage, error: BaseException) -> bool:
    """Whether what a stopped stage left is of use to a later run.

    Not where an input or the configuration was wrong: once that is mended, the key is another.
    """
    wrong_input = isinstance(error, OdflowError) and error.exit_code == InputError.exit_code
    return stage.resumes and not wrong_input


def _check_outputs(staged: Stage, stage: Stage, name: str) -> None:
    for field, mark in stage.output_fields().items():
        made, declared = getattr(staged, field), getattr(stage, field)
        if not os.path.lexists(made):
            raise StageError(f"{name}: did not write its output {field} ({declared}).")
        if made.exists() and mark.kind not in ("path", "folder" if made.is_dir() else "file"):
            raise StageError(f"{name}: its output {field} ({declared}) is not a {mark.kind}.")


def _present_key(name: str, stage: Stage) -> str:
    """Names the work that a killed run may have left: of the same inputs, none of them written to since.

    Stamps tell, not contents: without a store nothing remembers digests, and to read all records
    anew would cost more than what may be there to go on from.
    """
    inputs = {field: [_stamps(path) for path in paths] for field, paths in stage.input_paths().items()}
    parameters = stage.model_dump(mode="json", include=set(stage.parameters()))
    named = [_stamps(path) for path in stage.also_reads()]
    return Recipe(name, stage.version, parameters, inputs, named, versions(stage.packages)).key


def _stamps(path: Path) -> str:
    """The path of a file or folder, and what tells its present state from another."""
    try:
        listed = stamps(path)  # none of one that is named and missing, which is the stage's business
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}).") from error
    return combined([str(path), *listed])
