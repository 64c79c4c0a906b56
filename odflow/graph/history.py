"""What the store remembers of runs: the keys that each used, and what input folders held.

.odflow/runs/STARTED-PROCESS.json   the pipeline and the keys of a run
.odflow/trees/DIGEST                files of an input folder, a line each: SHA-256 and path
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from odflow.graph.bookkeeping import Digest, Key, parse_json, read_json, understood
from odflow.graph.content import Content, Entry
from odflow.graph.disk import make_folder, remove, write_whole

_SHA256 = re.compile("[0-9a-f]{64}")
_log = logging.getLogger("odflow.store")


def keep_tree(store: Path, content: Content) -> None:
    """Remember what a folder held, so that a later plan can tell what changed in it.

    Raises:
        StoreError: the disk is full or refuses.
    """
    path = _tree_file(store, content.digest)
    if content.folder and read_tree(store, content.digest) is None:
        make_folder(path.parent)
        if path.is_dir():
            remove(path)
        write_whole(
            path,
            "".join(f"{entry.sha256} {json.dumps(entry.path)}\n" for entry in content.entries),
            shared=True,
        )


def read_tree(store: Path, digest: str) -> list[Entry] | None:
    """What a folder held; None when that is not known. The entries have no sizes."""
    try:
        lines = _tree_file(store, digest).read_text(encoding="utf-8").splitlines()
        return [_entry(line) for line in lines]
    except (OSError, ValueError):
        return None


def _entry(line: str) -> Entry:
    path = parse_json(line[65:])
    if not isinstance(path, str) or not _SHA256.fullmatch(line[:64]):
        raise ValueError("is no file of a folder")
    return Entry(path, 0, line[:64])


@dataclass(frozen=True)
class Used:
    """What runs made use of: keys of results, and digests of input folders."""

    keys: frozenset[str]
    trees: frozenset[str]


@dataclass(frozen=True)
class _Told:
    """What `keep_run` writes."""

    workdir: str
    keys: list[Key]
    trees: list[Digest]


def keep_run(store: Path, name: str, workdir: Path, used: Used) -> None:
    """Remember what a run uses.

    Args:
        store: its folder.
        name: of the run; names sort by time.
        workdir: of the run.
        used: by all stages that have a result or are being made.

    Raises:
        StoreError: the disk is full or refuses.
    """
    make_folder(store / "runs")
    told = {"workdir": str(workdir.resolve()), "keys": sorted(used.keys), "trees": sorted(used.trees)}
    write_whole(store / "runs" / f"{name}.json", json.dumps(told, indent=1) + "\n")


def last_runs(store: Path, keep_runs: int) -> tuple[Used, list[Path]]:
    """What the last runs used.

    Args:
        store: its folder.
        keep_runs: how many runs of each work folder count.

    Returns:
        What they used, and the files that tell of older runs.
    """
    seen: Counter[str] = Counter()
    keys: set[str] = set()
    trees: set[str] = set()
    older = []
    for path in sorted((store / "runs").glob("[0-9]*T[0-9]*-[0-9]*-[0-9]*.json"), reverse=True):
        try:
            told = understood(TypeAdapter(_Told), read_json(path))
            seen[told.workdir] += 1
            if seen[told.workdir] <= keep_runs:
                keys.update(told.keys)
                trees.update(told.trees)
                continue
        except (OSError, ValueError) as error:
            _log.warning("%s: cannot be understood (%s), so it keeps no result.", path, error)
        older.append(path)
    return Used(frozenset(keys), frozenset(trees)), older


def tree_files(store: Path, trees: Iterable[str]) -> set[Path]:
    """Where what is remembered of input folders lies."""
    return {_tree_file(store, digest) for digest in trees}


def _tree_file(store: Path, digest: str) -> Path:
    return store / "trees" / digest.removeprefix("tree:")
