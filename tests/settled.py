"""Files that no write can leave the stamps that they have."""

from __future__ import annotations

import time
from pathlib import Path

from odflow.graph import hashing


def settle(*places: Path) -> None:
    """Wait until what is read of files, or of all below folders, is remembered: a tick of their clock."""
    for place in places:
        for path in (place, *place.rglob("*")):
            while not hashing._settled(path.stat().st_ctime_ns, time.time_ns()):
                time.sleep(0.005)
