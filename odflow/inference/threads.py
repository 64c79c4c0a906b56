"""Several images at once: while one is in the network, others are decoded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


WORKERS = min(cores(), 8)
"""Images in work at once: enough for the cores, few enough for large models' memory."""


def map_in_order(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Call `function` on every item in threads.

    At most twice as many results as threads wait to be taken, so that memory does not
    grow with the number of items.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: what `function` raised, at its item's turn; no further item is begun.
    """
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(WORKERS + 1, thread_name_prefix="detect") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
