"""Where results are kept: one folder for each key, never half written.

    .odflow/version                            of this layout
    .odflow/digests.sqlite                     digests of files that were read (see `memory`)
    .odflow/results/KEY/result.json            what the outputs are, and their digests
    .odflow/results/KEY/outputs/NAME           the outputs under their declared names
    .odflow/results/KEY/stage.log              what the stage printed
    .odflow/staging/KEY/work/                  a stage that is under way writes here
    .odflow/staging/KEY/{result.json,outputs}  a result on its way to results/KEY
    .odflow/staging/KEY.{lock,busy}            held by a run, and by the process of the stage
    .odflow/runs/                              which keys each run used (see `history`)
    .odflow/trees/                             what input folders held (see `history`)

Writing result.json decides: before it the staging is work under way, after it
the result only has to be moved, and whoever claims the key next does that.
"""

from __future__ import annotations

import fcntl
import logging
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from odflow.errors import DamagedError, InputError, RemoteError, StoreError
from odflow.flushing import flush_one
from odflow.graph.content import Digests, Entry, changes
from odflow.graph.disk import (
    flush,
    held,
    is_at,
    make_folder,
    put_in_place,
    remove,
    remove_free_locks,
    told_by_disk,
    write_whole,
)
from odflow.graph.memory import Memory
from odflow.graph.remote_url import without_secrets
from odflow.graph.result import Made, Result, manifest, misfit, read_manifest, read_result
from odflow.graph.stage import Stage

if TYPE_CHECKING:
    from odflow.graph.remote import Remote

VERSION = "1"
_log = logging.getLogger("odflow.store")


class Store:
    """Results by key.

    Args:
        folder: made when the first stage runs.
        remote: where other machines share their results.

    Attributes:
        digests: of files, remembered in the store.

    Raises:
        StoreError: it cannot be read, or another version of odflow wrote it.
    """

    def __init__(self, folder: Path, remote: Remote | None = None) -> None:
        self.folder, self.remote = folder, remote
        self._asks = True
        self._sends = not (remote and remote.read_only)
        self.memory = Memory(folder / "digests.sqlite")
        self.digests = Digests(self.memory)
        self._warned: set[str] = set()
        found = VERSION
        try:
            found = (folder / "version").read_text(errors="replace").strip()
        except FileNotFoundError:
            pass  # it is made when there is something to keep
        except OSError as error:
            raise StoreError(f"{folder}: is not a store ({error.strerror}).") from error
        if found != VERSION:
            raise StoreError(
                f"{folder}: is a store of version {found[:20]}; this odflow knows {VERSION}. "
                "Use the odflow that made it, or another folder through ODFLOW_STORE."
            )

    def find(self, key: str, stage: Stage) -> Result | None:
        """The result of a key, if it is whole, unchanged, and has the outputs that the stage declares."""
        folder = self.folder / "results" / key
        if not folder.exists():
            return None
        try:
            result = read_result(folder)
        except (OSError, ValueError) as error:
            self._warn(f"{folder / 'result.json'}: cannot be read ({error}), so its stage will run again.")
            return None
        if result.names != declared(stage):
            return None
        wrong = misfit(result, stage)
        damaged = [f"{folder / 'result.json'}: {wrong}"] if wrong else self.damage(result)
        if damaged:
            self._warn(f"{damaged[0]}, so its stage will run again.")
            return None
        return result

    def manifest(self, key: str) -> Result | None:
        """What the result of a key was when it was made, unseen; None when it is gone."""
        folder = self.folder / "results" / key
        try:
            return read_result(folder)
        except (OSError, ValueError):
            return None

    def damage(self, result: Result, digests: Digests | None = None) -> list[str]:
        """What is wrong with the files of a result: place and fault of each.

        Args:
            result: in this store.
            digests: reads the files; what the store remembers of unchanged ones is believed if left out.
        """
        digests = digests or self.digests
        found = []
        for field, made in result.outputs.items():
            path = result.path(field)
            try:
                content = digests.content(path)
            except InputError:
                found.append(f"{path}: is missing or cannot be read")
                continue
            if content != made.content:
                faults = changes(made.content.entries, content.entries)
                names = [(name, "is missing") for name in faults.removed]
                names += [(name, "does not belong there") for name in faults.added]
                names += [(name, "was changed") for name in faults.changed]
                found += [f"{path / name}: {fault}" for name, fault in names]
        return found

    @contextmanager
    def claim(self, key: str, what: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[Path]:
        """Hold a key while its stage runs; another run that wants it waits.

        Args:
            key: what is to be made.
            what: is being done, for those who wait.
            stopped: asked while waiting for another run; true gives up.

        Yields:
            The folder of the key: a `Task` stages there.

        Raises:
            StoreError: the store cannot be written.
            KeyboardInterrupt: `stopped` said so.
        """
        self._make()
        staging = self.folder / "staging" / key
        with held(staging.with_suffix(".lock"), what, stopped):
            # The run that held the key before may have been killed, and its stage not yet ended.
            with held(staging.with_suffix(".busy"), what, stopped):
                self._finish(key)
            yield staging

    @contextmanager
    def in_use(self, *, alone: bool = False) -> Iterator[None]:
        """Keep others from removing results meanwhile; `alone`: wait until nobody uses any."""
        with told_by_disk(self.folder):
            lock = self._lock(fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        with lock:
            remove_free_locks(self.folder / "staging")
            yield

    def publish(
        self,
        key: str,
        stage: Stage,
        said: Sequence[str],
        seconds: float,
        counts: Mapping[str, int] = MappingProxyType({}),
    ) -> Result:
        """Take the outputs of a stage out of the folder that `claim` gave.

        Raises:
            StoreError: the disk is full or refuses; the store is unchanged.
        """
        staging = self.folder / "staging" / key
        digests = Digests()
        outputs = {}
        with told_by_disk(staging):
            for field, name in declared(stage).items():
                outputs[field] = Made(name, digests.content(staging / "work" / name))
        flush(staging / "work")
        result = Result(self.folder / "results" / key, outputs, list(said), seconds, dict(counts))
        write_whole(staging / "result.json", manifest(result))
        self._finish(key)
        return result

    def fetch(self, key: str, stage: Stage) -> Result | None:
        """Bring the result of a claimed key from the remote store.

        A result that is not there, damaged or out of reach is none; the last two with a warning.

        Raises:
            StoreError: the disk is full or refuses.
        """
        remote, result = self.remote, self.remote_result(key, stage)
        if remote is None or result is None:
            return None
        # Not into the staging: what a killed stage left there is of use if this fails.
        fetched = self.folder / "staging" / f"{key}.fetched"
        remove(fetched)
        try:
            for made in result.outputs.values():
                make_folder(fetched / made.name if made.content.folder else fetched)
            files = _files(result, fetched)
            remote.fetch(files)
            if sum(path.is_file() for path in fetched.rglob("*")) != len(files):
                raise DamagedError(
                    f"{remote.url}/results/{key}.json: names files that are one on this file system."
                )
        except RemoteError as error:
            self._lost(error)
            remove(fetched)
            return None
        self.discard(key)
        put_in_place(fetched, self.folder / "staging" / key / "work")
        found = self.publish(key, stage, result.said, result.seconds, result.counts)
        _mark_sent(found, remote)
        return found

    def remote_result(self, key: str, stage: Stage) -> Result | None:
        """What the remote store holds for a key; its files are not here."""
        remote = self.remote
        if remote is None or not self._asks:
            return None
        try:
            text = remote.manifest(key)
            if text is None:
                return None
            result = read_manifest(text, self.folder / "results" / key)
            wrong = misfit(result, stage)
        except RemoteError as error:
            self._lost(error)
            return None
        except ValueError as error:
            wrong = str(error)
        if wrong:
            self._warn(f"{remote.url}/results/{key}.json: {wrong}. So its stage will run.")
            return None
        return result if result.names == declared(stage) else None

    def _lost(self, error: RemoteError) -> None:
        """Tell of a result that the remote store does not give; one that is out of reach has no others."""
        if isinstance(error, DamagedError):
            self._warn(f"{error} So its stage will run.")
        elif self._asks:
            self._asks = self._sends = False
            _log.warning("%s The remote store is not asked again.", error)

    def send(self, result: Result) -> None:
        """Send a result to the remote store, unless that was done; a failure is a warning."""
        remote = self.remote
        if remote is None or not self._sends or remote.url in _sent_to(result):
            return
        try:
            remote.send(result.home.name, manifest(result), _files(result, result.folder))
        except RemoteError as error:
            if self._sends:
                _log.warning("%s Nothing more is sent; the next run sends it.", error)
            self._sends = False  # who may only read goes on reading
            return
        _mark_sent(result, remote)

    def discard(self, key: str, stopped: Callable[[], bool] = lambda: False) -> None:
        """Forget the work under way of a claimed key, once nobody writes there.

        Its process may outlive the run's knowledge of it: on a node that Ray takes for dead.

        Args:
            key: claimed.
            stopped: asked while waiting for that process; true gives up.

        Raises:
            StoreError: the disk refuses.
            KeyboardInterrupt: `stopped` said so.
        """
        staging = self.folder / "staging" / key
        with held(staging.with_suffix(".busy"), "forgetting what it left", stopped):
            remove(staging)

    def _warn(self, line: str) -> None:
        """Say something once."""
        if line not in self._warned:
            self._warned.add(line)
            _log.warning("%s", line)

    def _make(self) -> None:
        make_folder(self.folder / "staging")
        version = self.folder / "version"
        if not version.exists():
            with held(self.folder / "version.lock", "making the store"):
                if not version.exists():  # another run may have made it, and uses it by now
                    write_whole(version, f"{VERSION}\n")

    def _lock(self, how: int) -> IO[str]:
        """Lock the file that stands for the store, waiting for whoever does not permit that."""
        while True:
            self._make()
            file = (self.folder / "version").open()
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("waits for another process that uses %s.", self.folder)
                fcntl.flock(file, how)
            if is_at(file, self.folder / "version"):
                return file
            file.close()  # it was replaced meanwhile: the lock of a file that is gone keeps nobody out

    def _finish(self, key: str) -> None:
        """Move a decided result to its place; every step can be done again after a kill."""
        staging, final = self.folder / "staging" / key, self.folder / "results" / key
        if not (staging / "result.json").exists():
            return
        with told_by_disk(staging):
            decided = self._decided(staging)
            if decided is None:
                remove(staging)
                return
            for made in decided.outputs.values():
                work, output = staging / "work" / made.name, staging / "outputs" / made.name
                output.parent.mkdir(parents=True, exist_ok=True)
                if work.exists():
                    work.rename(output)
                _protect(output)
            remove(staging / "work")
            flush(staging)
            make_folder(final.parent)
            remove(final)
            staging.rename(final)
            flush_one(final.parent)

    def _decided(self, staging: Path) -> Result | None:
        """The result that lies in a staging folder; None, told once, when it is damaged."""
        try:
            decided = read_result(staging)
        except ValueError as error:
            self._warn(f"{staging / 'result.json'}: {error}. So its stage will run again.")
            return None
        for made in decided.outputs.values():
            if not any((staging / part / made.name).exists() for part in ("work", "outputs")):
                self._warn(f"{staging / 'work' / made.name}: is missing, so its stage will run again.")
                return None
        return decided


def declared(stage: Stage) -> dict[str, str]:
    """The outputs of a stage: field to name."""
    return {field: getattr(stage, field).as_posix() for field in stage.output_fields()}


def _mark_sent(result: Result, remote: Remote) -> None:
    urls = sorted({*_sent_to(result), remote.url})
    if (result.home / "sent").is_dir():
        remove(result.home / "sent")
    write_whole(result.home / "sent", "".join(f"{url}\n" for url in urls), shared=True)


def _sent_to(result: Result) -> set[str]:
    try:
        lines = (result.home / "sent").read_text(encoding="utf-8").splitlines()
        return {without_secrets(line) for line in lines}
    except (OSError, ValueError):
        return set()


def _files(result: Result, below: Path) -> Mapping[Path, Entry]:
    return {
        below / made.name / entry.path: entry
        for made in result.outputs.values()
        for entry in made.content.entries
    }


def _protect(output: Path) -> None:
    """Take the right to write away, so that nobody edits the store by accident.

    Never through a link, nor from a file that has another name: that may be a user's.
    """
    for path in [output, *output.rglob("*")] if output.is_dir() else [output]:
        state = path.lstat()
        if stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
            path.chmod(stat.S_IMODE(state.st_mode) & ~0o222)
