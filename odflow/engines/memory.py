"""How much memory a process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of `ru_maxrss`."""


def peak_memory() -> int:
    """The most memory that this process has held, bytes.

    On Linux `ru_maxrss` begins with what the process held that started this one, so the
    figure of this program alone comes from /proc.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
