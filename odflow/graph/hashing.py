"""The SHA-256 of many files, read side by side."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

from odflow.graph.listing import stamp

THREADS = min(8, len(os.sched_getaffinity(0)))
_BUFFER = 2**18
_GROUP_FILES, _GROUP_BYTES = 64, 2**22

# A file that is written again at once may keep its stamp, as clocks of file systems tick:
# every 4 to 10 ms on Linux; every 10 ms to 2 s where times show no fraction of a millisecond.
_FINE_TICK, _COARSE_TICK = 50_000_000, 2_000_000_000


class Hashed(NamedTuple):
    """A file that was read.

    Attributes:
        sha256: of the bytes, in hexadecimal.
        lasting: a file with the same stamp has the same bytes, now and later.
    """

    sha256: str
    lasting: bool


def hash_files(files: Iterable[tuple[str, str]]) -> Iterator[Hashed]:
    """Read files, in as many threads as there are cores, at most 8.

    Args:
        files: path and stamp of each.

    Yields:
        What each holds, in their order.

    Raises:
        OSError: one cannot be read; it has the file's name.
    """
    groups = list(_groups(files))
    if len(groups) < 2 or THREADS == 1:
        yield from chain.from_iterable(map(_hash_group, groups))
        return
    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        yield from chain.from_iterable(pool.map(_hash_group, groups))


def _groups(files: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Small files go to a thread many at a time, since handing them over costs as much as reading one."""
    group: list[tuple[str, str]] = []
    size = 0
    for path, seen in files:
        group.append((path, seen))
        size += int(seen.partition(" ")[0])
        if len(group) == _GROUP_FILES or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _hash_group(group: Iterable[tuple[str, str]]) -> list[Hashed]:
    buffer = memoryview(bytearray(_BUFFER))
    return [_hash_file(path, seen, buffer) for path, seen in group]


def _hash_file(path: str, seen: str, buffer: memoryview) -> Hashed:
    began = time.time_ns()
    hasher = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            while count := os.readv(file, [buffer]):
                hasher.update(buffer[:count])
            state = os.fstat(file)
        finally:
            os.close(file)
    except OSError as error:
        error.filename = path
        raise
    lasting = stamp(state) == seen and _settled(max(state.st_mtime_ns, state.st_ctime_ns), began)
    return Hashed(hasher.hexdigest(), lasting)


def _settled(changed_ns: int, began: int) -> bool:
    """Whether a write after `began` is bound to leave another time than `changed_ns`."""
    return changed_ns < began - (_FINE_TICK if changed_ns % 1_000_000 else _COARSE_TICK)
