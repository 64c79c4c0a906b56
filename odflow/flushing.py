"""What is written is on the disk before anything points at it, so that a power cut takes nothing done.

A rename, and the name of a new file, are on the disk only once their folder was flushed too.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

PARTIAL = ".partial-"
"""How the names of files that are not whole yet begin."""

_NO_FLUSH = (errno.EACCES, errno.EINVAL, errno.ENOTSUP)


def flush_one(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder (fsync).

    Some file systems have no flush for a folder, and a folder may be written without the right to
    read it: then there is none.

    Raises:
        OSError: the disk refuses.
    """
    try:
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if not (path.is_dir() and error.errno in _NO_FLUSH):
            raise


def flush_below(folder: Path) -> None:
    """Have the disk hold all files that lie below a folder, and the names in it.

    Raises:
        OSError: the disk refuses.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for path in (Path(place) / name for name in names):
            if path.is_file() and not path.is_symlink():
                flush_one(path)
        flush_one(Path(place))


def flush_file(file: Path, root: Path) -> None:
    """Have the disk hold a file, and its name in each folder from a root down.

    Raises:
        OSError: the disk refuses.
    """
    flush_one(file)
    for folder in file.parents:
        flush_one(folder)
        if folder == root:
            return


def make_flushed_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        OSError: the disk refuses.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        flush_one(one.parent)


def write_flushed(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a file so that a reader sees the old text or the new, never a part, even after a power cut.

    Args:
        path: of the file.
        text: all of it.
        shared: several processes may write it at once. Otherwise whoever writes holds a lock, and
            what a killed one left unfinished is written over by the next.

    Raises:
        OSError: the disk is full or refuses; the file is unchanged.
    """
    partial = path.with_name(f"{PARTIAL}{os.getpid() if shared else ''}{path.name}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    flush_one(path.parent)
