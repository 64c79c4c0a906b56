"""One loaded model for all threads of a process that work for the same run."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar

Loaded = TypeVar("Loaded")

_SHARED_AT_MOST = 2  # a process may serve two runs in turn

_loading = Lock()


def load_shared(load: Callable[..., Loaded], run: str, *what: Any) -> Loaded:
    """Load a model, or give the one that another thread has loaded.

    Args:
        load: loads it.
        run: names the run: a process may live on, and another run find another model there.
        what: what `load` takes, hashable.
    """
    with _loading:
        found: Loaded = _load_once(load, run, *what)
        return found


@lru_cache(_SHARED_AT_MOST)
def _load_once(load: Callable[..., Any], run: str, *what: Any) -> Any:
    return load(*what)
