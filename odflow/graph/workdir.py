"""The folder where a user finds the outputs of a run: copies of what the store holds."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from odflow.graph.content import Content
from odflow.graph.disk import copy_in_place
from odflow.graph.store import Result

_log = logging.getLogger("odflow.run")


def place_outputs(result: Result, folder: Path) -> None:
    """Copy the outputs of a result to `folder` under their declared names, unless they are there.

    A copy has the times of its original, so an edit is seen without reading it.

    Raises:
        StoreError: the disk is full or refuses.
    """
    for field, made in result.outputs.items():
        source, target = result.path(field), folder / made.name
        if _same(made.content, source, target):
            continue
        copy_in_place(source, target)


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
