"""Opening what somebody gave: regular files only, since nothing comes out of a pipe that nobody writes to."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
}


def kind_of(mode: int) -> str:
    """What something is, by the mode that `stat` gives.

    >>> kind_of(0o10644), kind_of(0o100644)
    ('a named pipe', 'a file')
    """
    return _KINDS.get(stat.S_IFMT(mode), "no file")


def check_regular(path: str | Path) -> None:
    """See that a path leads to a regular file, before a library opens it by its name.

    Raises:
        OSError: it leads nowhere, or to something else: a folder, a named pipe, a socket, a device.
    """
    _check(os.stat(path).st_mode, path)  # noqa: PTH116 -- a path may be a text


def open_regular(path: str | Path, buffering: int = -1) -> BinaryIO:
    """Open a regular file to read its bytes; never waits for what may never come.

    Args:
        path: the file.
        buffering: as `open` takes it.

    Raises:
        OSError: as `check_regular`, or it cannot be read.
    """
    check_regular(path)  # to open a device may do something, such as rewind a tape
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor).st_mode, path)  # what is there may be another thing by now
        return os.fdopen(descriptor, "rb", buffering)
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        return file.read()


def _check(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {kind_of(mode)}; wanted a regular file", str(path))
