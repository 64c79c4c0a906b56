"""The folder of what the processes of a run share. One that a killed run left is removed by the next."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from odflow.graph.disk import told_by_disk

_PREFIX = "odflow-turns-"
_YOUNG = 60.0  # seconds in which whoever made a folder locks it


class SharedFolder:
    """A folder for empty files with numbers for names, in the temporary folder of this machine.

    It is locked as long as this process is there, which tells it from what killed runs left.

    Raises:
        StoreError: the disk refuses.
    """

    def __init__(self) -> None:
        above = Path(tempfile.gettempdir())
        with told_by_disk(above):
            for left in above.glob(f"{_PREFIX}*"):
                _remove_if_free(left)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = _locked(self.path)

    def close(self) -> None:
        """Remove it."""
        _remove(self.path)
        os.close(self._lock)


def _locked(folder: Path) -> int:
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        raise
    return opened


def _remove_if_free(folder: Path) -> None:
    with suppress(OSError):  # it is held, gone or another user's
        if time.time() - folder.stat().st_mtime > _YOUNG:
            lock = _locked(folder)
            _remove(folder)
            os.close(lock)


def _remove(folder: Path) -> None:
    """Nothing else than what belongs there: the temporary folder is everybody's."""
    with suppress(OSError):
        for file in folder.iterdir():
            if file.name.isdecimal():
                file.unlink()
        folder.rmdir()
