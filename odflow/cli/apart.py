"""Work in a child process, so that its death is told: libraries crash, and systems kill.

The child is a fork made before anything heavy is imported: it costs some milliseconds, and the
parent holds no more memory than Python itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType

from odflow.engines.wake import wake_on_signals
from odflow.errors import OdflowError

_GRACE = 3.0  # seconds for a child that is interrupted to end by itself
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Death:
    """The end of a child that said nothing.

    Attributes:
        code: its exit code; below 0 the signal that ended it.
        peak: the most memory that it held, bytes.
    """

    code: int
    peak: int


def run_apart(work: Callable[[], int], mourn: Callable[[Death], OdflowError]) -> int:
    """Do work in a child, which has the streams and the terminal of this process.

    Args:
        work: gives the exit code. In the child this function returns what it returns and raises
            what it raises: the caller goes on there, and in the parent once the child has ended.
        mourn: called when the child died; clears away what it left, and gives the error to raise.

    Returns:
        The exit code: of `work` in the child, of the child in the parent.

    Raises:
        KeyboardInterrupt: it was interrupted, and had to be killed.
    """
    sys.stdout.flush()
    lifeline, word = os.pipe(), os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)  # until each process knows who it is
    try:
        child = os.fork()
    except OSError:  # no process is to be had: without one nothing but a death goes untold
        child = -1
    if child <= 0:
        try:
            os.close(lifeline[1])
            if child == 0:
                threading.Thread(target=_die_with_parent, args=[lifeline[0]], daemon=True).start()
                wake_on_signals()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            return work()
        finally:
            os.write(word[1], b".")
    for end in (lifeline[0], word[1]):
        os.close(end)
    code, peak, interrupted = _wait(child, mask)
    os.set_blocking(word[0], False)
    spoke = code >= 0 and _has_word(word[0])
    for end in (lifeline[1], word[0]):
        os.close(end)
    if spoke:
        return code
    error = mourn(Death(code, peak))
    if interrupted:
        raise KeyboardInterrupt
    raise error


def _wait(child: int, mask: Iterable[int]) -> tuple[int, int, bool]:
    """Wait for a child's end and hand on interrupts: exit code, peak memory in bytes, interrupted or not.

    Args:
        child: its process.
        mask: of the signals that are held back from now on.
    """
    interrupted = False

    def hand_on(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        os.kill(child, number)
        if not interrupted:
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
        interrupted = True

    handlers = {number: signal.getsignal(number) for number in (*_NUMBERS, signal.SIGALRM)}
    signal.signal(signal.SIGALRM, lambda number, frame: os.kill(child, signal.SIGKILL))
    for number in _NUMBERS:
        if handlers[number] is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # It stays there to be signalled until its end is taken note of.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    _, status, usage = os.wait4(child, 0)
    from odflow.engines.memory import RSS_UNIT

    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * RSS_UNIT, interrupted


def _has_word(reading: int) -> bool:
    try:
        return bool(os.read(reading, 1))
    except BlockingIOError:  # what the child started holds the other end
        return False


def _die_with_parent(lifeline: int) -> None:
    """Nobody waits for the result of a command that was killed, and the next one wants the same folder."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGKILL)
