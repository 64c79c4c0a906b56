"""Work on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


class LocalEngine:
    """Threads of this process.

    Args:
        jobs: how many items are worked on at once, at least 1.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item, the results in the order of the items.

        Items are taken as results are asked for, so any number of them is held in
        little memory: at most twice `jobs` are under way.
        """
        if self.jobs == 1:
            yield from map(function, items)
            return
        waiting = iter(items)
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="odflow")
        try:
            under_way: deque[Future[B]] = deque(
                pool.submit(function, item) for item in islice(waiting, 2 * self.jobs)
            )
            while under_way:
                result = under_way.popleft().result()
                under_way.extend(pool.submit(function, item) for item in islice(waiting, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
