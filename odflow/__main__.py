"""Run the command line: ``python -m odflow``.

Interrupts are taken care of from here on, before anything else is imported.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

_INTERRUPTED = 130
_GRACE = 10.0  # seconds to end well after an interrupt


class _Interrupts:
    """The first interrupt ends the command; those that follow soon are one with it.

    They would only break off what it does to end well. One that comes after the grace is
    obeyed at once: stages die with this process, and the next run goes on.
    """

    def __init__(self) -> None:
        self._first: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now
            raise KeyboardInterrupt
        if now > self._first + _GRACE:
            os._exit(_INTERRUPTED)


def main() -> None:
    """Run one command, and end with its exit code."""
    code = _run()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):  # nobody reads it, or it was closed
            stream.flush()
    # Interpreter shutdown waits for threads of libraries, such as a request that nobody waits for, and
    # kills the process with SIGINT when code in `exec` was interrupted before (CPython keeps a flag).
    # All that matters is on disk by now.
    os._exit(code)


def _run() -> int:
    """What ends a job in CI or closes a terminal is an interrupt too."""
    interrupts = _Interrupts()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # `nohup` and a shell's `&` have a command ignore some of them, which is respected.
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, interrupts)
        from odflow.cli import main as command

        code = command(apart=True)
        for number in heard:
            signal.signal(number, signal.SIG_IGN)  # all is done
        return code
    except KeyboardInterrupt:
        with suppress(OSError):
            os.write(2, b"interrupted. The same command goes on from here.\n")
        return _INTERRUPTED


if __name__ == "__main__":
    main()
