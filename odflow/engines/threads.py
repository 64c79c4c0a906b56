"""Threads of this process, as many as the run has to spare."""

from __future__ import annotations

import fcntl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

A = TypeVar("A")
B = TypeVar("B")

_PAUSE = 0.01  # seconds between two looks for a free turn


class Threads:
    """Workers for `Job.map`.

    Args:
        jobs: how many items are worked on at once, at least 1.
        turn: entered while an item is worked on; it may make the item wait.
    """

    def __init__(self, jobs: int, turn: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self.jobs, self._turn = jobs, turn

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item, the results in the order of the items.

        Items are taken as results are asked for, so any number of them is held in
        little memory: at most twice `jobs` are under way.
        """
        if self.jobs == 1:
            yield from map(function, items)
            return

        def work(item: A) -> B:
            with self._turn():
                return function(item)

        waiting = iter(items)
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="odflow")
        try:
            under_way: deque[Future[B]] = deque(
                pool.submit(work, item) for item in islice(waiting, 2 * self.jobs)
            )
            while under_way:
                result = under_way.popleft().result()
                under_way.extend(pool.submit(work, item) for item in islice(waiting, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)


class Turns:
    """What the processes of a run share: so many pieces of work at once, and no more.

    Each turn is a locked file, so it goes back when its process ends, however that ends.
    Each stage has one turn as long as it runs; its threads borrow what others leave.

    Args:
        folder: of the files, the same for all processes.
        count: how many turns there are.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._files = [folder / str(number) for number in range(count)]
        self._own_is_free = threading.Lock()

    @contextmanager
    def own(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Have a turn for a stage while the body runs.

        Args:
            stopped: asked while none is free; true gives up.

        Raises:
            KeyboardInterrupt: `stopped` said so.
        """
        while not (found := self._free()):
            if stopped():
                raise KeyboardInterrupt
            time.sleep(_PAUSE)
        with found:
            yield

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the stage's own turn or another, and have it while the body runs."""
        while True:
            if self._own_is_free.acquire(blocking=False):
                try:
                    yield
                finally:
                    self._own_is_free.release()
                return
            borrowed = self._free()
            if borrowed:
                with borrowed:
                    yield
                return
            time.sleep(_PAUSE)

    def _free(self) -> IO[bytes] | None:
        for path in self._files:
            file = path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                file.close()
        return None
