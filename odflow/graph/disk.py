"""Changes on disk: whole or not at all, and one clear error when the disk refuses."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from odflow.errors import StoreError
from odflow.flushing import PARTIAL, flush_below, flush_one, make_flushed_folder, write_flushed
from odflow.regular import open_regular
from odflow.terminal import shown

_PAUSE = 0.05  # seconds between two looks at a lock
_SCARCE = 2**26  # bytes that a disk has left from which a write fails for something else
_VANISHED = 1000  # times that the folder of a lock may be gone once it was made
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger("odflow.run")


@contextmanager
def told_by_disk(place: Path) -> Iterator[None]:
    """Turn what the operating system raises inside into a StoreError that names the place."""
    try:
        yield
    except OSError as error:
        named = Path(error.filename or place)
        where = place if named.name.startswith(PARTIAL) else named
        refused = StoreError(f"{where}: cannot be written ({error.strerror}).")
        raise full_disk(error, place) or refused from error


def full_disk(error: OSError, place: Path) -> StoreError | None:
    """The error to raise when a disk is full; None when it is something else.

    Args:
        error: what the operating system said. The file that it names is on the full disk.
        place: where the work was, for an error that names no file: a write to a temporary file
            may have raised it, so that the temporary folder's disk is told when that is the full one.
    """
    if error.errno not in _FULL:
        return None
    named = error.filename2 or error.filename
    places = [Path(os.fsdecode(named))] if isinstance(named, str | bytes) else [place, _temporary()]
    found = [_existing(one) for one in places]
    full = next((one for one in found if _free(one) < _SCARCE), found[0])
    room = f"{_free(full) / 2**20:.0f} MiB left" if _free(full) else "nothing left"
    reason = os.strerror(error.errno)
    return StoreError(f"{full}: the disk is full ({reason}; {room}). Free some space and run again.")


def _free(place: Path) -> int:
    """Bytes that may be written; none where no file may be added, however small."""
    state = os.statvfs(place)
    return 0 if state.f_files and not state.f_favail else state.f_bavail * state.f_frsize


def _existing(place: Path) -> Path:
    """The place, or what is there of the way to it; of a file that is not whole its folder."""
    while not place.exists() or place.name.startswith(PARTIAL):
        place = place.parent
    return place


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # none can be written
        return Path(os.environ.get("TMPDIR", "/tmp"))


@contextmanager
def held(path: Path, what: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a lock file while the body runs; another process that wants it waits, and says for whom.

    The lock is the kernel's: it goes with the process, however that ends, so none is
    ever left behind. What the file says of its owner is for the message alone.

    Args:
        path: the lock file; it is there as long as the lock is held, and its folder is made. A killed
            process leaves it to the next one that wants the lock, or to `remove_free_locks`.
        what: is being done, for others who wait.
        stopped: asked while waiting; true gives up.

    Raises:
        StoreError: the file cannot be made.
        KeyboardInterrupt: `stopped` said so.
    """
    with told_by_disk(path):
        lock = _lock(path, stopped)
    with lock:
        owner = {"pid": os.getpid(), "since": time.strftime("%H:%M:%S"), "what": what}
        with suppress(OSError):  # a full disk is told of by what needs the space
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), json.dumps(owner).encode())
        try:
            yield
        finally:
            if is_at(lock, path):  # not the lock of another, where somebody removed ours
                path.unlink(missing_ok=True)


def remove_free_locks(folder: Path) -> None:
    """Remove the lock files of keys that killed processes left in a folder: those that nobody holds."""
    key = "[0-9a-f]" * 64
    for path in sorted(folder.glob(f"{key}.lock")) + sorted(folder.glob(f"{key}.busy")):
        with suppress(OSError), path.open("r+") as lock:  # gone, or held
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(lock, path):
                path.unlink()


def is_at(file: IO[str], path: Path) -> bool:
    """Whether a path leads to an open file: another process may have removed or replaced it by now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(path: Path, stopped: Callable[[], bool]) -> IO[str]:
    told, vanished = False, 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except (FileExistsError, FileNotFoundError):
            vanished += 1  # whoever held it took the folder with it, which was empty otherwise
            if vanished == _VANISHED:
                raise
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                _log.info("waits for %s.", _owner(lock))
                told = True
            lock.close()
            if stopped():
                raise KeyboardInterrupt from None
            time.sleep(_PAUSE)
            continue
        # Who held it has removed the file; then the lock is the new file of that name.
        if is_at(lock, path):
            return lock
        lock.close()


def _owner(lock: IO[str]) -> str:
    """Who holds a lock, as far as its file tells: its owner may be writing that just now."""
    lock.seek(0)
    try:
        owner = json.loads(lock.read())
        return shown(f"{owner['what']} (process {owner['pid']}, since {owner['since']})"[:200])
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"another run, which holds {lock.name}"


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StoreError: the disk refuses.
    """
    with told_by_disk(path):
        make_flushed_folder(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds, if it is there.

    Raises:
        StoreError: the disk refuses.
    """
    with told_by_disk(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_whole(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a file so that a reader sees the old text or the new, never a part.

    Args:
        path: of the file.
        text: all of it.
        shared: several processes may write it at once.

    Raises:
        StoreError: the disk is full or refuses; the file is unchanged.
    """
    with told_by_disk(path):
        write_flushed(path, text, shared=shared)


def leftover(final: Path) -> Path:
    """Where `put_in_place` keeps a folder while another takes its place; a killed process leaves it there."""
    return final.with_name(f".odflow-old-{final.name}")


def put_in_place(made: Path, final: Path, discard: Callable[[Path], None] = remove) -> None:
    """Rename a file or folder to its final name, in place of what has this name now.

    Args:
        made: the file or folder; on the same disk.
        final: its name from now on.
        discard: removes the folder that had this name, which has another now, and what a killed
            process left there. A file that is replaced by a file is gone at once.

    Raises:
        StoreError: the disk refuses.
    """
    old = leftover(final)
    if os.path.lexists(old):
        discard(old)
    with told_by_disk(final):
        make_flushed_folder(final.parent)
        if os.path.lexists(final) and (final.is_dir() or made.is_dir()):
            final.rename(old)  # a folder is not replaced in one step
        made.replace(final)
        flush_one(final.parent)  # else a power cut may take the old one, and not bring the new one
    if os.path.lexists(old):
        discard(old)


def copy_in_place(source: Path, final: Path, put: Callable[[Path, Path], None] = put_in_place) -> None:
    """Copy a file or folder to a name, in place of what has this name now, with the times of the source.

    Args:
        source: what to copy.
        final: the name.
        put: takes the copy and the name; renames the first to the second.

    Raises:
        StoreError: the disk is full or refuses; what was there is unchanged.
    """
    partial = final.with_name(f"{PARTIAL}{final.name}")
    remove(partial)
    make_folder(final.parent)
    try:
        with told_by_disk(final):
            if source.is_dir():
                _copy_folder(source, partial)
            else:
                copy_file(source, partial)
        flush(partial)
        put(partial, final)
    except BaseException:
        remove(partial)
        raise


def flush(path: Path) -> None:
    """Have the disk hold a file, or all that lies below a folder and the names in it (fsync).

    Raises:
        StoreError: the disk refuses.
    """
    with told_by_disk(path):
        flush_below(path) if path.is_dir() else flush_one(path)


def copy_file(source: Path, target: Path) -> None:
    """Copy bytes, times, and the right to be executed; other permissions are those of a new file.

    The copy shares blocks where the file system can do that until one is changed.

    Raises:
        OSError: the source is no regular file, the disk is full or refuses.
    """
    with open_regular(source) as read, target.open("wb") as write:
        try:
            while os.copy_file_range(read.fileno(), write.fileno(), 2**30):
                pass
        except OSError as error:
            if error.errno in _FULL:
                raise
            read.seek(0)
            write.truncate(0)
            write.seek(0)
            shutil.copyfileobj(read, write, 2**20)
        state = os.fstat(read.fileno())
        if state.st_mode & 0o111:
            mode = os.fstat(write.fileno()).st_mode
            os.fchmod(write.fileno(), mode | mode >> 2 & 0o111)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def _copy_folder(source: Path, target: Path) -> None:
    for at, _, names in os.walk(source, followlinks=True, onerror=_raise):
        place = target / Path(at).relative_to(source)
        place.mkdir()
        for name in names:
            copy_file(Path(at, name), place / name)


def _raise(error: OSError) -> None:
    raise error
