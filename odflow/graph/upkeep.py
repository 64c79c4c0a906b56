"""Looking after a store: what nobody uses is removed, what is damaged is found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from odflow.graph.content import Digests
from odflow.graph.disk import remove
from odflow.graph.history import last_runs, tree_files
from odflow.graph.result import read_result
from odflow.graph.store import Store

_KEY = re.compile(r"[0-9a-f]{64}(\..*)?")


@dataclass(frozen=True)
class Removed:
    """What `collect` took away.

    Attributes:
        results: how many results and unfinished stages.
        size: bytes of their files.
    """

    results: int
    size: int


def collect(store: Store, keep_runs: int) -> Removed:
    """Remove every result that the last runs did not use, and what stages left unfinished.

    Args:
        store: runs that use it are waited for.
        keep_runs: how many runs of each work folder keep their results, at least 0.

    Raises:
        StoreError: the disk refuses.
    """
    with store.in_use(alone=True):
        used, older = last_runs(store.folder, keep_runs)
        results = [path for path in _keyed(store.folder / "results") if path.name not in used.keys]
        # A stage that was killed goes on from there, so it is kept as long as its run is. The process
        # of a stage may outlive its run: free locks are gone by now, so one that is left is held.
        staged = [(path.name.partition(".")[0], path) for path in _keyed(store.folder / "staging")]
        held = {key for key, path in staged if path.suffix in (".lock", ".busy")}
        staging = [path for key, path in staged if key not in used.keys | held]
        trees = set(_keyed(store.folder / "trees")) - tree_files(store.folder, used.trees)
        size = sum(_size(path) for path in (*results, *staging))
        for path in (*results, *staging, *trees, *older):
            remove(path)
        store.memory.forget_missing()
    return Removed(len(results) + len(staging), size)


def verify(store: Store, progress: Iterable[Path] | None = None) -> list[str]:
    """Read every file of every result again.

    Args:
        store: the store.
        progress: the folders of the results, if somebody watches how they go by; see `results`.

    Returns:
        A line for each thing that is wrong: place and fault.
    """
    found = []
    for folder in results(store) if progress is None else progress:
        try:
            result = read_result(folder)
        except (OSError, ValueError) as error:
            found.append(f"{folder / 'result.json'}: {error}")
            continue
        found += store.damage(result, Digests())
    return found


def results(store: Store) -> list[Path]:
    """The folders of all results, sorted."""
    return _keyed(store.folder / "results")


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _keyed(folder: Path) -> list[Path]:
    """What the store made: its names are digests. Others are the user's, whom ODFLOW_STORE served badly."""
    return [path for path in _inside(folder) if _KEY.fullmatch(path.name)]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
