"""Where results are kept: one folder for each key, never half written.

    .odflow/version                            of this layout
    .odflow/results/KEY/result.json            what the outputs are, and their digests
    .odflow/results/KEY/outputs/NAME           the outputs under their declared names
    .odflow/staging/KEY/work/                  a stage that is under way writes here
    .odflow/staging/KEY/{result.json,outputs}  a result on its way to results/KEY

Writing result.json decides: before it the staging is work under way, after it
the result only has to be moved, and whoever claims the key next does that.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odflow.errors import StoreError
from odflow.graph.content import Content, Digests, Entry
from odflow.graph.disk import flush, flush_one, held, make_folder, remove, told_by_disk, write_whole
from odflow.graph.stage import Stage

VERSION = "1"
_log = logging.getLogger("odflow.store")


@dataclass(frozen=True)
class Made:
    """An output of a result: its declared name and what it holds."""

    name: str
    content: Content


@dataclass(frozen=True)
class Result:
    """What a stage made.

    Attributes:
        folder: where the outputs lie; not to be written to.
        outputs: field to output.
        said: the lines that the stage said.
        seconds: how long it took.
    """

    folder: Path
    outputs: Mapping[str, Made]
    said: Sequence[str]
    seconds: float

    def path(self, output: str) -> Path:
        """Where an output lies."""
        return self.folder / self.outputs[output].name


class Store:
    """Results by key.

    Args:
        folder: made when the first stage runs.

    Raises:
        StoreError: it cannot be read, or another version of odflow wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
        """The result of a key, if it is whole and has the outputs that the stage declares."""
        folder = self.folder / "results" / key
        if not folder.exists():
            return None
        try:
            result = _read(folder)
        except (OSError, ValueError, KeyError, TypeError):
            _log.warning("%s: cannot be read, so its stage will run again.", folder / "result.json")
            return None
        if {field: made.name for field, made in result.outputs.items()} != _declared(stage):
            return None
        damaged = _damage(result)
        if damaged:
            _log.warning("%s: is missing or was changed, so its stage will run again.", damaged)
            return None
        return result

    @contextmanager
    def claim(self, key: str) -> Iterator[Path]:
        """Hold a key while its stage runs; another run that wants it waits. Gives the folder to work in."""
        make_folder(self.folder / "staging")
        if not (self.folder / "version").exists():
            with held(self.folder / "version.lock"):
                write_whole(self.folder / "version", f"{VERSION}\n")
        with held(self.folder / "staging" / f"{key}.lock"):
            self._finish(key)
            yield self.folder / "staging" / key / "work"

    def publish(self, key: str, stage: Stage, said: Sequence[str], seconds: float) -> Result:
        """Take the outputs of a stage out of the folder that `claim` gave.

        Raises:
            StoreError: the disk is full or refuses; the store is unchanged.
        """
        staging = self.folder / "staging" / key
        digests = Digests()
        outputs = {}
        with told_by_disk(staging):
            for field, name in _declared(stage).items():
                outputs[field] = Made(name, digests.content(staging / "work" / name))
                _protect(staging / "work" / name)
        flush(staging / "work")
        write_whole(staging / "result.json", _written(outputs, said, seconds))
        self._finish(key)
        return Result(self.folder / "results" / key / "outputs", outputs, said, seconds)

    def discard(self, key: str) -> None:
        """Forget the work under way of a claimed key."""
        remove(self.folder / "staging" / key)

    def _finish(self, key: str) -> None:
        """Move a decided result to its place; every step can be done again after a kill."""
        staging, final = self.folder / "staging" / key, self.folder / "results" / key
        if not (staging / "result.json").exists():
            return
        with told_by_disk(staging):
            for made in _read(staging).outputs.values():
                work, output = staging / "work" / made.name, staging / "outputs" / made.name
                output.parent.mkdir(parents=True, exist_ok=True)
                if work.exists():
                    work.rename(output)
            remove(staging / "work")
            flush(staging)
            final.parent.mkdir(exist_ok=True)
            remove(final)
            staging.rename(final)
            flush_one(final.parent)


def _declared(stage: Stage) -> dict[str, str]:
    return {field: getattr(stage, field).as_posix() for field in stage.outputs()}


def _protect(output: Path) -> None:
    """Take the right to write away, so that nobody edits the store by accident."""
    for path in [output, *output.rglob("*")] if output.is_dir() else [output]:
        if path.is_file():
            path.chmod(0o444)


def _damage(result: Result) -> Path | None:
    """The first file that is not there or has another size than it was stored with."""
    for made in result.outputs.values():
        for entry in made.content.entries:
            path = result.folder / made.name / entry.path
            if not path.is_file() or path.stat().st_size != entry.size:
                return path
    return None


def _written(outputs: Mapping[str, Made], said: Sequence[str], seconds: float) -> str:
    made = {
        field: {
            "name": output.name,
            "digest": output.content.digest,
            "size": output.content.size,
            "folder": output.content.folder,
            "files": [[entry.path, entry.size, entry.sha256] for entry in output.content.entries],
        }
        for field, output in outputs.items()
    }
    return json.dumps({"outputs": made, "said": list(said), "seconds": round(seconds, 3)}, indent=1) + "\n"


def _read(folder: Path) -> Result:
    data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    outputs = {
        field: Made(made["name"], Content(made["folder"], tuple(Entry(*entry) for entry in made["files"])))
        for field, made in data["outputs"].items()
    }
    return Result(folder / "outputs", outputs, data["said"], data["seconds"])
