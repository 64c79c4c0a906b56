"""How a stage in another process is heard: its lines, its log and its bars as messages."""

from __future__ import annotations

import io
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from odflow.graph.streams import take_any_text
from odflow.graph.task import Message, Task
from odflow.terminal import OneLine, shown

A = TypeVar("A")


class Telling:
    """The audience of a stage that nobody here listens to.

    Args:
        bars: whether somebody sees bars.
        send: takes messages.
    """

    def __init__(self, bars: bool, send: Callable[[Message], None]) -> None:
        self._bars, self._send = bars, send
        self._numbers = itertools.count()

    def say(self, line: str) -> None:
        """Send a line, and keep it in the log."""
        print(shown(line), flush=True)
        self._send({"say": line})

    def bar(self, items: Iterable[A], *, total: int | None, unit: str) -> tqdm[A]:
        """A bar that is drawn elsewhere."""
        number = next(self._numbers)
        return _Bar(
            items,
            lambda bar: self._send({"bar": [number, *bar]}),
            total=total,
            unit=unit,
            disable=not self._bars,
        )


def tell_to(task: Task, send: Callable[[Message], None]) -> Telling:
    """Send all that a task tells to `send`, and keep it in the log that this process prints to."""
    take_any_text()
    log = logging.getLogger("odflow")
    log.handlers = [_Sender(send), _printer()]
    log.propagate = False
    log.setLevel(logging.DEBUG if task.debug else logging.INFO)
    if not task.debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        for noisy in ("tensorflow", "absl"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.captureWarnings(True)
    return Telling(task.bars, send)


class _Sender(logging.Handler):
    """Sends log records; a traceback goes with its line."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        super().__init__()
        self._send = send
        self.setFormatter(OneLine())

    def emit(self, record: logging.LogRecord) -> None:
        self._send({"log": [record.levelno, self.format(record)]})


def _printer() -> logging.Handler:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    return handler


class _Bar(tqdm):  # type: ignore[type-arg]
    """A bar that tells how far it is instead of drawing itself."""

    def __init__(self, items: Iterable[Any], show: Callable[[list[Any]], None], **how: Any) -> None:
        self._show = show
        super().__init__(items, file=io.StringIO(), leave=False, **how)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Tell how far it is; called as often as a bar would be drawn."""
        self._show([self.n, self.total, self.unit, self.postfix or ""])

    def close(self) -> None:
        """Tell that it has ended."""
        was_shown = not self.disable
        super().close()  # which wipes the bar: shows it once more
        if was_shown:
            self._show([None, None, "", ""])
