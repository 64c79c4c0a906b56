"""Requests to a peer that may never answer: each has a deadline, and whoever waits can give up."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import TypeVar

from odflow.errors import DamagedError

DEADLINE = 10.0
"""Seconds for a request that moves few bytes, from its begin to its end."""

SILENCE = 30.0
"""Seconds in which a transfer has to move some bytes: `LEAST_RATE` times as many."""

LEAST_RATE = 2**14
"""Bytes a second of each transfer."""

_LOOK = 0.05  # seconds between two looks at a request that is under way
_GRACE = 2.0  # seconds for a request that is stopped to clean up behind itself
_NAME = "odflow-request"
_Answer = TypeVar("_Answer")

GoOn = Callable[..., None]
"""Called now and then by what works on a request; raises InterruptedError once nobody waits for it."""


def ask(work: Callable[[GoOn], _Answer], watch: Callable[[float], None], stopped: Event) -> _Answer:
    """Do what may never end, in a thread that neither the caller nor the interpreter's exit waits for.

    Args:
        work: gives the answer.
        watch: called many times a second with the seconds that the peer has had; raises to give up.
            Time in which this process itself stood still (it was stopped, the machine is overloaded)
            does not count.
        stopped: once it is set, `work` gets two seconds to end.

    Raises:
        InterruptedError: it was stopped.
        Exception: whatever `work` or `watch` raises.
    """
    ended: SimpleQueue[tuple[_Answer | None, Exception | None]] = SimpleQueue()
    given_up = Event()

    def go_on(*_: object) -> None:
        if given_up.is_set() or stopped.is_set():
            raise InterruptedError("was stopped")  # KeyboardInterrupt would end the thread of fsspec

    def run() -> None:
        try:
            ended.put((work(go_on), None))
        except Exception as error:
            ended.put((None, error))

    go_on()
    Thread(target=run, name=_NAME, daemon=True).start()
    waited, stopping, last = 0.0, 0.0, monotonic()
    try:
        while True:
            with suppress(Empty):
                answer, error = ended.get(timeout=_LOOK)
                if error is not None:
                    raise error
                return answer  # type: ignore[return-value]
            last, passed = monotonic(), min(monotonic() - last, 4 * _LOOK)
            waited += passed
            stopping += passed if stopped.is_set() else 0
            if stopping > _GRACE:
                go_on()
            watch(waited)
    finally:
        given_up.set()


def within(seconds: float) -> Callable[[float], None]:
    """A watch over a whole request, for `ask`."""

    def watch(waited: float) -> None:
        if waited > seconds:
            raise TimeoutError(f"took longer than {seconds:g} s")

    return watch


class Growth:
    """A watch over a file that a request writes, for `ask`: it has to grow, and not beyond its size.

    Args:
        path: of the file.
        most: bytes that it may have.
        what: names the file in messages.
    """

    def __init__(self, path: Path, most: int, what: str) -> None:
        self._path, self._most, self._what = path, most, what
        self._size, self._until, self._told = 0, SILENCE, 0

    def tell(self, _size: int | None, value: int, **_more: object) -> None:
        """Take the number of bytes that have come, written or not; what fsspec calls a hook.

        Raises:
            DamagedError: they are more than there may be.
        """
        self._told = value
        self._bound(value)

    def __call__(self, waited: float) -> None:
        """Look at the file.

        Raises:
            DamagedError: it holds more than it may.
            TimeoutError: it grows too slowly.
        """
        size = self._told
        with suppress(FileNotFoundError):  # not every package tells how far it is
            size = max(size, self._path.stat().st_size)
        self._bound(size)
        if waited <= self._until:
            return
        came = size - self._size if size >= self._size else size  # a second try begins anew
        if came < SILENCE * LEAST_RATE:
            raise TimeoutError(f"gave {came} bytes in {SILENCE:g} s, which is too slow")
        self._size, self._until = size, waited + SILENCE

    def _bound(self, size: int) -> None:
        if size > self._most:
            raise DamagedError(f"{self._what}: holds more than {self._most} bytes.")


class Signs:
    """A watch over a request that tells now and then how many bytes it has moved, for `ask`.

    Args:
        quantum: bytes that it may move between two signs.
    """

    def __init__(self, quantum: int) -> None:
        self._patience = SILENCE + quantum / LEAST_RATE
        self._told = self._seen = 0
        self._until = self._patience

    def tell(self, _size: int | None, value: int, **_more: object) -> None:
        """Take a sign; what fsspec calls a hook."""
        self._told = value

    def __call__(self, waited: float) -> None:
        """Look for a sign.

        Raises:
            TimeoutError: there was none for too long.
        """
        if self._told > self._seen:
            self._seen, self._until = self._told, waited + self._patience
        if waited > self._until:
            raise TimeoutError(f"took no more bytes for {self._patience:.0f} s")
