"""Results that several machines share, at any URL that fsspec knows.

    URL/files/ab/abcdef...   the bytes with this SHA-256
    URL/results/KEY.json     what the outputs of a key are; sent after their files
    URL/partial/...          uploads under way, where the file system would show half of one

fsspec and what it needs for the protocol are imported when a Remote is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import Any, TypeVar
from uuid import uuid4

from odflow.errors import ConfigError, DamagedError, RemoteError, nearest
from odflow.graph.content import Entry
from odflow.graph.disk import make_folder, told_by_disk

_PIECE = 8 * 2**20  # bytes; S3 wants parts of 5 MiB at least
_AT_ONCE = 8  # files
_PATIENCE = 5  # seconds; what failed later than this is not tried again
_S3 = frozenset({"s3", "s3a"})
_SHOWS_WHOLE_ONLY = _S3 | {"gs", "gcs", "az", "abfs"}  # elsewhere a reader sees an upload grow
# A store that is out of reach shall be told in seconds. boto would try for minutes.
_S3_CONFIG = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
_LOGIN = re.compile(r"//([^/]*)@")  # user:password@ before a host, which no message shows
_Item = TypeVar("_Item")


class Remote:
    """Results that several machines share. Several threads may use one Remote at once.

    Args:
        url: such as ``s3://bucket/prefix`` or ``file:///mnt/shared``. Nothing is contacted yet.

    Raises:
        ConfigError: the protocol is unknown, or a package for it is not installed.
    """

    def __init__(self, url: str) -> None:
        self._given = url.rstrip("/")
        self.url = _LOGIN.sub("//", self._given)
        self._protocol = _protocol(url)
        self._lock = Lock()
        self._stopped = Event()
        self._damaged: set[str] = set()
        self._opened: tuple[Any, str] | None = None

    def manifest(self, key: str) -> str | None:
        """The manifest that was sent with a key, as it is there; None when there is none.

        Raises:
            RemoteError: the store cannot be reached or refuses.
        """
        name = f"results/{key}.json"
        try:
            with self._told(name):
                return self._read(name, 0, None).decode("utf-8", errors="replace")
        except DamagedError:
            return None

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
        name = f"results/{key}.json"
        with self._told(name):
            self._put(name, lambda fs, target: fs.pipe_file(target, manifest.encode()))

    def stop(self) -> None:
        """Have what fetches and sends in other threads end soon, with a KeyboardInterrupt."""
        self._stopped.set()

    def _each(self, items: Iterable[_Item], work: Callable[[_Item], None]) -> None:
        """Do work on several items at once; after a failure no more are begun."""
        with ThreadPoolExecutor(_AT_ONCE, "odflow-remote") as pool:
            try:
                for done in as_completed([pool.submit(work, item) for item in items]):
                    done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                if self._stopped.is_set():
                    raise KeyboardInterrupt from None
                raise

    def _go_on(self, *_: object) -> None:
        if self._stopped.is_set():
            raise InterruptedError("was stopped")  # KeyboardInterrupt would end the thread of fsspec

    def _fetch(self, path: Path, entry: Entry) -> None:
        name = _name(entry)
        make_folder(path.parent)
        partial = path.with_name(f".partial-{uuid4().hex}")
        try:
            with told_by_disk(path), partial.open("wb") as file:
                for piece in self._pieces(name, entry):
                    file.write(piece)
            with told_by_disk(path):
                partial.replace(path)
        except DamagedError:
            self._damaged.add(name)
            raise
        finally:
            partial.unlink(missing_ok=True)

    def _pieces(self, name: str, entry: Entry) -> Iterator[bytes]:
        """The bytes of an object; only when the last is out it is known whether they are right."""
        found = hashlib.sha256()
        for start in range(0, entry.size, _PIECE):
            stop = min(start + _PIECE, entry.size)
            with self._told(name):
                piece = self._read(name, start, stop)
            if len(piece) != stop - start:
                ends = start + len(piece)
                raise DamagedError(f"{self.url}/{name}: ends after {ends} of {entry.size} bytes.")
            found.update(piece)
            yield piece
        if found.hexdigest() != entry.sha256:
            raise DamagedError(f"{self.url}/{name}: is corrupt; its SHA-256 is {found.hexdigest()}.")

    def _send(self, name: str, path: Path, size: int) -> None:
        from fsspec.callbacks import Callback

        if not path.is_file() or path.stat().st_size != size:
            raise RemoteError(f"{path}: is missing or was changed, so its result is not sent.")
        with self._told(name):
            fs, root = self._open()
            with suppress(FileNotFoundError):
                if name not in self._damaged and fs.info(f"{root}/{name}")["size"] == size:
                    return
            options: dict[str, Any] = {"callback": Callback(hooks={"stop": self._go_on})}
            if self._protocol in _S3:  # at most 10,000 parts; by default 500 MiB are held at once
                options |= {"chunksize": max(_PIECE, size // 9_999 + 1), "max_concurrency": 2}
            self._put(name, lambda fs, target: fs.put_file(str(path), target, **options))
            self._damaged.discard(name)

    def _read(self, name: str, start: int, stop: int | None) -> bytes:
        """Bytes of an object from start up to stop; fewer when it ends before."""
        self._go_on()
        fs, root = self._open()
        path, began = f"{root}/{name}", monotonic()
        try:
            return bytes(fs.cat_file(path, start=start, end=stop))
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:
            # A range beyond the end is refused; else a connection broke, which once is no matter.
            size = None
            with suppress(Exception):
                if monotonic() - began < _PATIENCE:
                    size = fs.info(path)["size"]
            if size is None:
                raise
            return b"" if size <= start else bytes(fs.cat_file(path, start=start, end=stop))

    def _put(self, name: str, write: Callable[[Any, str], None]) -> None:
        self._go_on()
        fs, root = self._open()
        final = f"{root}/{name}"
        if self._protocol in _SHOWS_WHOLE_ONLY:
            return write(fs, final)
        partial = f"{root}/partial/{uuid4().hex}"
        for path in (partial, final):
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            write(fs, partial)
            fs.mv(partial, final)
        except BaseException:
            with suppress(Exception):
                fs.rm_file(partial)
            raise

    def _open(self) -> tuple[Any, str]:
        """The file system, and the path in it that the URL names."""
        with self._lock:
            if self._opened is None:
                from fsspec.core import url_to_fs

                s3 = self._protocol in _S3
                fs, root = url_to_fs(self._given, skip_instance_cache=True, **(_s3_options() if s3 else {}))
                if s3:
                    fs.retries = 1  # boto tries again, and so does `_read`
                self._opened = fs, root.rstrip("/")
            return self._opened

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn whatever the protocol's package raises inside into a RemoteError of one line."""
        try:
            yield
        except Exception as error:
            missing = isinstance(error, FileNotFoundError) and not _lacks_bucket(error)
            kind = DamagedError if missing else RemoteError
            raise kind(f"{self.url}/{name}: {'is missing' if missing else self._reason(error)}.") from error

    def _reason(self, error: Exception) -> str:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        for login in _LOGIN.findall(self._given):
            for secret in filter(None, (login, login.partition(":")[2])):
                said = str(said).replace(secret, "...")
        return " ".join(str(said).split())[:300].rstrip(".")


def _protocol(url: str) -> str:
    """The protocol of a URL, if it can be used."""
    from fsspec.registry import get_filesystem_class, known_implementations, registry

    shown = _LOGIN.sub("//", url)
    protocol, _, place = url.partition("://")
    if not place.strip("/"):
        raise ConfigError(
            f'{shown}: is not a place. Set ODFLOW_REMOTE to a URL such as "s3://bucket/prefix".'
        )
    if protocol not in known_implementations and protocol not in registry:
        known = nearest(protocol, {*known_implementations, *registry})
        raise ConfigError(f'{shown}: protocol "{protocol}" of ODFLOW_REMOTE is unknown.{known}')
    about = known_implementations.get(protocol, {})
    package = str(about.get("class", "")).partition(".")[0]
    if package == "fsspec":
        with suppress(ImportError):
            get_filesystem_class(protocol)
            return protocol
    elif not package or find_spec(package):
        return protocol
    wanted = "pip install 'odflow[s3]'" if protocol in _S3 else about.get("err") or f"pip install {package}"
    raise ConfigError(f"{shown}: ODFLOW_REMOTE needs a package that is not installed: {wanted}")


def _s3_options() -> dict[str, Any]:
    """The short timeouts, where the user's fsspec configuration does not say otherwise."""
    from fsspec.config import conf

    theirs: Any = {}
    for protocol in sorted(_S3):
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


def _lacks_bucket(error: Exception) -> bool:
    response = getattr(error.__cause__, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") == "NoSuchBucket"
