"""How a process ended that did not say so itself."""

from __future__ import annotations

import signal

from odflow.errors import StageError


def told_death(name: str, code: int, peak: int, see: str = "") -> StageError:
    """The error of a stage whose process is gone.

    Args:
        name: of the stage.
        code: its exit code; below 0 the signal that ended it.
        peak: the most memory that it held, bytes.
        see: what to look at, or to do next; a sentence.
    """
    reached = f"it had reached {peak / 2**30:.1f} GiB"
    if code >= 0:
        how = f"ended without a word (exit code {code}; {reached})"
    else:
        why = "probably out of memory" if code == -signal.SIGKILL else _name(-code)
        how = f"was killed (signal {-code}, {why}; {reached})"
    return StageError(f"{name} {how}. {see}".rstrip())


def _name(number: int) -> str:
    """Real-time signals have no names of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if hasattr(signal, "SIGRTMIN") else "unknown"
