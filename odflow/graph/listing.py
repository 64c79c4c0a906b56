"""The files below a folder and the stamp of each, at the price of one stat a file."""

from __future__ import annotations

import os
from pathlib import Path

from odflow.errors import InputError


def stamp(state: os.stat_result) -> str:
    """What tells one state of a file from another without reading it.

    Size, times of modification and change in ns, inode. Whoever copies may set the first time, as tar,
    rsync and cp do, and a freed inode is given again at once; the kernel alone sets the second, at
    each write, rename and change of permissions.
    """
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"


def list_files(folder: str) -> list[str]:
    """List the regular files below a folder, links followed.

    Returns:
        ``NAME NUL STAMP`` of each file, sorted; NAME is the POSIX path relative to the folder.

    Raises:
        InputError: a link leads back to a folder that holds it.
        OSError: a folder or a file cannot be looked at, or vanished meanwhile.
    """
    lines: list[str] = []
    waiting: list[tuple[str, str, tuple[str, ...]]] = [(folder, "", (os.path.realpath(folder),))]
    while waiting:
        place, prefix, above = waiting.pop()
        with os.scandir(place) as items:
            for item in items:
                if item.is_file(follow_symlinks=False):
                    state = item.stat(follow_symlinks=False)
                    # This loop is what an unchanged folder costs, so `stamp` is written out.
                    times = f"{state.st_mtime_ns} {state.st_ctime_ns}"
                    lines.append(f"{prefix}{item.name}\0{state.st_size} {times} {state.st_ino}")
                elif item.is_dir(follow_symlinks=False):
                    inside = (*above[:-1], f"{above[-1]}/{item.name}")
                    waiting.append((item.path, f"{prefix}{item.name}/", inside))
                elif item.is_dir():
                    waiting.append((item.path, f"{prefix}{item.name}/", (*above, _target(item.path, above))))
                elif item.is_file():
                    lines.append(f"{prefix}{item.name}\0{stamp(item.stat())}")
    lines.sort()
    return lines


def stamps(path: Path) -> list[str]:
    """The stamp of a file, or of each file below a folder with its name; none where nothing is.

    Raises:
        InputError: as `list_files`.
        OSError: it cannot be looked at.
    """
    try:
        return list_files(str(path)) if path.is_dir() else [f"\0{stamp(path.stat())}"]
    except FileNotFoundError:
        return []


def _target(link: str, above: tuple[str, ...]) -> str:
    """The folder that a link leads to.

    Args:
        link: its path.
        above: real paths: the folder that holds the link, and those that hold the links on the way to it.
    """
    target = os.path.realpath(link)
    if any(Path(place).is_relative_to(target) for place in above):
        raise InputError(f"{link}: is a link to a folder above it. Remove the link.")
    return target
