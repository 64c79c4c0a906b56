"""Results that several machines share, at any URL that fsspec knows.

    URL/files/ab/abcdef...   the bytes with this SHA-256
    URL/results/KEY.json     what the outputs of a key are; sent after their files
    URL/partial/...          uploads under way, where the file system would show half of one

fsspec and what it needs for the protocol are imported when a Remote is used.
"""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar
from uuid import uuid4

from odflow.errors import DamagedError, OdflowError, RemoteError, StoreError
from odflow.graph import request
from odflow.graph.content import Entry
from odflow.graph.disk import full_disk, make_folder, told_by_disk
from odflow.graph.remote_url import HTTP, S3, RemoteUrl
from odflow.graph.request import GoOn

LARGEST_MANIFEST = 64 * 2**20
"""Bytes that a peer may send: a result of some 400,000 files. Larger results stay on their machine."""

_PIECE = 8 * 2**20  # bytes; S3 wants parts of 5 MiB at least
_AT_ONCE = 8  # files
_SHOWS_WHOLE_ONLY = S3 | {"gs", "gcs", "az", "abfs"}  # elsewhere a reader sees an upload grow
# A store that is out of reach shall be told in seconds. boto would try for minutes.
_S3_CONFIG = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
_NO_NAME_HERE = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class Remote:
    """Results that several machines share. Several threads may use one Remote at once.

    Args:
        url: such as ``s3://bucket/prefix`` or ``file:///mnt/shared``. Nothing is contacted yet.

    Raises:
        ConfigError: the protocol is unknown, or a package for it is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = RemoteUrl(url)
        self.url = self._url.shown
        self._lock = Lock()
        self._stopped = Event()
        self._damaged: set[str] = set()
        self._opened: tuple[Any, str] | None = None

    def manifest(self, key: str) -> str | None:
        """The manifest that was sent with a key, as it is there; None when there is none.

        Raises:
            DamagedError: it is larger than any that is sent.
            RemoteError: the store cannot be reached, takes longer than ten seconds, or refuses.
            KeyboardInterrupt: it was stopped.
        """
        name = f"results/{key}.json"
        with tempfile.TemporaryDirectory(prefix="odflow-", ignore_cleanup_errors=True) as folder:
            got = Path(folder, "manifest")
            growth = request.Growth(got, LARGEST_MANIFEST, f"{self.url}/{name}")
            whole = request.within(request.DEADLINE)

            def watch(waited: float) -> None:
                whole(waited)
                growth(waited)

            try:
                with self._interruptible():
                    self._get(name, got, growth, watch)
            except _MissingError:
                return None
            return got.read_bytes().decode("utf-8", errors="replace")

    def fetch(self, files: Mapping[Path, Entry]) -> None:
        """Get files, several at once; each appears at its path whole and checked, or not at all.

        Args:
            files: local path to what it shall hold. Their folders are made.

        Raises:
            DamagedError: an object is missing, half-sent or corrupt; the message names it.
            RemoteError: the store cannot be reached or refuses.
            StoreError: the local disk is full or refuses.
            KeyboardInterrupt: it was stopped.
        """
        self._each(files.items(), lambda file: self._fetch(*file))

    def send(self, key: str, manifest: str, files: Mapping[Path, Entry]) -> None:
        """Send a result: the files that are not there yet, several at once, then the manifest.

        Args:
            key: of the result.
            manifest: what the outputs are.
            files: local path to what it holds.

        Raises:
            RemoteError: the store cannot be reached or refuses. Without its manifest a result is not there.
            KeyboardInterrupt: it was stopped.
        """
        unique = {_name(entry): (path, entry.size) for path, entry in files.items()}
        self._each(unique.items(), lambda item: self._send(item[0], *item[1]))
        name, data = f"results/{key}.json", manifest.encode()
        if len(data) > LARGEST_MANIFEST:
            raise RemoteError(f"{self.url}/{name}: would hold more than {LARGEST_MANIFEST} bytes.")
        signs = request.Signs(len(data))
        with self._interruptible():
            self._ask(name, lambda go_on: self._put(name, lambda fs, at: fs.pipe_file(at, data)), signs)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be sent there, since the protocol has no way to put a file in its place."""
        return self._url.protocol in HTTP

    def stop(self) -> None:
        """Have what fetches and sends in other threads end soon, with a KeyboardInterrupt."""
        self._stopped.set()

    def _each(self, items: Iterable[_Item], work: Callable[[_Item], None]) -> None:
        """Do work on several items at once; after a failure no more are begun."""
        with self._interruptible(), ThreadPoolExecutor(_AT_ONCE, "odflow-remote") as pool:
            try:
                for done in as_completed([pool.submit(work, item) for item in items]):
                    done.result()
            except KeyboardInterrupt:
                self.stop()  # or the pool would wait for the peer
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Whatever is raised inside, once it was stopped, is an interrupt."""
        try:
            yield
        except Exception:
            if self._stopped.is_set():
                raise KeyboardInterrupt from None
            raise

    def _ask(self, name: str, work: Callable[[GoOn], _Answer], watch: Callable[[float], None]) -> _Answer:
        """Have a request about an object done that may never end (see `ask`); errors are told."""
        with self._told(name):
            self._import()
            return request.ask(work, watch, self._stopped)

    def _fetch(self, path: Path, entry: Entry) -> None:
        name = _name(entry)
        with _nameable(f"{self.url}/{name}"):
            make_folder(path.parent)
        partial = path.with_name(f".partial-{uuid4().hex}")
        try:
            with told_by_disk(path):
                partial.touch()
            growth = request.Growth(partial, entry.size, f"{self.url}/{name}")
            self._get(name, partial, growth, growth)
            self._check(name, partial, entry)
            with _nameable(f"{self.url}/{name}"), told_by_disk(path):
                partial.replace(path)
        except DamagedError:
            self._damaged.add(name)
            raise
        finally:
            partial.unlink(missing_ok=True)

    def _get(self, name: str, path: Path, growth: request.Growth, watch: Callable[[float], None]) -> None:
        """Write an object to a file, as it comes: what it says of its length counts for nothing."""
        from fsspec.callbacks import Callback

        def work(go_on: GoOn) -> None:
            fs, at = self._place(name)
            for tries_left in (1, 0):
                options = {"callback": Callback(hooks={"stop": go_on, "size": growth.tell})}
                try:
                    fs.get_file(at, str(path), **options, **self._sequential)
                    return
                except Exception as error:
                    go_on()
                    if full := isinstance(error, OSError) and full_disk(error, path):
                        raise full from error
                    # A connection broke, perhaps, which once is no matter.
                    if not tries_left or isinstance(error, FileNotFoundError | PermissionError | OdflowError):
                        raise

        self._ask(name, work, watch)

    def _check(self, name: str, got: Path, entry: Entry) -> None:
        with told_by_disk(got), got.open("rb") as file:
            size, found = got.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
        if size < entry.size:
            raise DamagedError(f"{self.url}/{name}: ends after {size} of {entry.size} bytes.")
        if size > entry.size:
            raise DamagedError(f"{self.url}/{name}: holds more than {entry.size} bytes.")
        if found != entry.sha256:
            raise DamagedError(f"{self.url}/{name}: is corrupt; its SHA-256 is {found}.")

    def _send(self, name: str, path: Path, size: int) -> None:
        from fsspec.callbacks import Callback

        if not path.is_file() or path.stat().st_size != size:
            raise RemoteError(f"{path}: is missing or was changed, so its result is not sent.")
        if name not in self._damaged and self._size(name) == size:
            return
        piece = max(_PIECE, size // 9_999 + 1)  # at most 10,000 parts; by default 500 MiB are held at once
        s3 = self._url.protocol in S3
        more: dict[str, Any] = {"chunksize": piece, "max_concurrency": 2} if s3 else {}
        signs = request.Signs(min(size, 2 * piece) if s3 else size)

        def work(go_on: GoOn) -> None:
            callback = Callback(hooks={"stop": go_on, "sign": signs.tell})
            self._put(name, lambda fs, at: fs.put_file(str(path), at, callback=callback, **more))

        self._ask(name, work, signs)
        self._damaged.discard(name)

    def _size(self, name: str) -> int | None:
        def work(_: GoOn) -> int | None:
            fs, at = self._place(name)
            with suppress(FileNotFoundError):
                found: int | None = fs.info(at)["size"]
                return found
            return None

        return self._ask(name, work, request.within(request.DEADLINE))

    def _put(self, name: str, write: Callable[[Any, str], None]) -> None:
        fs, final = self._place(name)
        if self._url.protocol in _SHOWS_WHOLE_ONLY:
            return write(fs, final)
        partial = self._place(f"partial/{uuid4().hex}")[1]
        for path in (partial, final):
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            write(fs, partial)
            fs.mv(partial, final)
        except BaseException:
            with suppress(Exception):
                fs.rm_file(partial)
            raise

    @property
    def _sequential(self) -> dict[str, Any]:
        """Have S3 give one piece after the other, so that a file is as large as what has come of it."""
        return {"max_concurrency": 1} if self._url.protocol in S3 else {}

    def _import(self) -> None:
        """Import the protocol's package, for which no peer can be blamed."""
        from fsspec.registry import get_filesystem_class

        get_filesystem_class(self._url.protocol)

    def _place(self, name: str) -> tuple[Any, str]:
        """The file system, and the path of an object in it."""
        with self._lock:
            if self._opened is None:
                from fsspec.core import url_to_fs

                s3 = self._url.protocol in S3
                options = _s3_options() if s3 else {}
                fs, root = url_to_fs(self._url.given, skip_instance_cache=True, **options)
                if s3:
                    fs.retries = 1  # boto tries again, and so does `_get`
                self._opened = fs, root
            fs, root = self._opened
            return fs, self._url.object(root, name)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn whatever the protocol's package raises inside into a RemoteError of one line."""
        try:
            yield
        except OdflowError:
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not _lacks_bucket(error):
                raise _MissingError(f"{self.url}/{name}: is missing.") from error
            raise RemoteError(f"{self.url}/{name}: {self._reason(error)}.") from error

    def _reason(self, error: Exception) -> str:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return self._url.without_secrets(" ".join(str(said).split()))[:300].rstrip(".")


class _MissingError(DamagedError):
    """An object is not there."""


def _s3_options() -> dict[str, Any]:
    """The short timeouts, where the user's fsspec configuration does not say otherwise."""
    from fsspec.config import conf

    theirs: Any = {}
    for protocol in sorted(S3):
        theirs = conf.get(protocol, {}).get("config_kwargs", theirs)
    return {"config_kwargs": {**_S3_CONFIG, **theirs} if isinstance(theirs, dict) else theirs}


def _name(entry: Entry) -> str:
    """Where the bytes of an entry are; it may come from a manifest that anyone wrote."""
    digest, size = entry.sha256, entry.size
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise DamagedError(f"{entry.path}: {digest!r:.80} is not a SHA-256.")
    if not isinstance(size, int) or size < 0:
        raise DamagedError(f"{entry.path}: {size!r:.80} is not a number of bytes.")
    return f"files/{digest[:2]}/{digest}"


@contextmanager
def _nameable(what: str) -> Iterator[None]:
    """Names that this file system cannot have are a fault of the manifest, not of the disk."""
    try:
        yield
    except StoreError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_NAME_HERE:
            reason = error.__cause__.strerror
            raise DamagedError(f"{what}: cannot have the name that its manifest gives ({reason}).") from error
        raise


def _lacks_bucket(error: Exception) -> bool:
    response = getattr(error.__cause__, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") == "NoSuchBucket"
