"""The folder where a user finds the outputs of a run: copies of what the store holds."""

from __future__ import annotations

import os
from pathlib import Path

from odflow.graph.content import Content
from odflow.graph.disk import copy_in_place
from odflow.graph.result import Result

LOG = "stage.log"


def place_outputs(result: Result, folder: Path) -> list[Path]:
    """Copy the outputs and the log of a result to `folder`, unless they are there.

    A copy has the times of its original, so an edit is seen without reading it.

    Returns:
        What was there and differed.

    Raises:
        StoreError: the disk is full or refuses.
    """
    replaced = []
    for field, made in result.outputs.items():
        source, target = result.path(field), folder / made.name
        if _same(made.content, source, target):
            continue
        if target.exists():
            replaced.append(target)
        copy_in_place(source, target)
    log = result.home / LOG
    if _stamp(log) not in (None, _stamp(folder / LOG)):
        copy_in_place(log, folder / LOG)
    return replaced


def _same(content: Content, source: Path, target: Path) -> bool:
    if content.folder != target.is_dir():
        return False
    if content.folder and sum(len(names) for _, _, names in os.walk(target)) != len(content.entries):
        return False
    return all(_stamp(source / entry.path) == _stamp(target / entry.path) for entry in content.entries)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
