"""What running stages tell, on the streams of this process."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from odflow.graph.task import Message
from odflow.terminal import shown

if TYPE_CHECKING:
    from tqdm import tqdm


class Screen:
    """Shows lines whole and bars one below the other, whatever thread they come from.

    Args:
        results: gets what stages say; standard output if left out.
    """

    def __init__(self, results: TextIO | None = None) -> None:
        self._results = results
        self._lock = threading.Lock()
        self._bars: dict[tuple[str, int], tqdm[Any]] = {}

    def say(self, name: str, line: str) -> None:
        """Show a result that the stage of a name stated, perhaps in an earlier run."""
        print(shown(f"{name}: {line}"), file=self._results, flush=True)

    def hear(self, name: str, message: Message) -> None:
        """Show what the stage of a name tells."""
        with self._lock:
            if "bar" in message:
                self._bar(name, *message["bar"])
                return
            with self._beside_bars():
                if "say" in message:
                    self.say(name, message["say"])
                elif "log" in message:
                    level, text = message["log"]
                    for line in text.split("\n"):  # a traceback has several
                        logging.getLogger(f"odflow.{name}").log(level, "%s", line)

    def forget(self, name: str) -> None:
        """Take away the bars of a stage that has ended."""
        with self._lock:
            for key in [key for key in self._bars if key[0] == name]:
                self._bars.pop(key).close()

    def _bar(
        self, name: str, number: int, done: int | None, total: int | None, unit: str, remark: str
    ) -> None:
        from tqdm import tqdm

        bar = self._bars.get((name, number))
        if done is None:
            if bar is not None:
                self._bars.pop((name, number)).close()
            return
        if bar is None:
            bar = tqdm(
                total=total, unit=shown(unit), desc=shown(name), file=sys.stderr, leave=False, initial=done
            )
            self._bars[name, number] = bar
        bar.set_postfix_str(shown(remark), refresh=False)
        bar.update(done - bar.n)

    def _beside_bars(self) -> AbstractContextManager[None]:
        if not self._bars:
            return nullcontext()
        from tqdm import tqdm

        return tqdm.external_write_mode()
