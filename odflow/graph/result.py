"""What a stage made, and the manifest (result.json) that tells it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from odflow.graph.content import Content, Entry
from odflow.graph.stage import Stage
from odflow.terminal import shown

_LARGEST_NUMBER = 2**63 - 1
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Made:
    """An output of a result: its declared name and what it holds."""

    name: str
    content: Content


@dataclass(frozen=True)
class Result:
    """What a stage made.

    Attributes:
        home: its folder in the store, which has the name of the key; not to be written to.
        outputs: field to output.
        said: the lines that the stage said.
        seconds: how long it took.
        counts: what the stage counted, by name.
    """

    home: Path
    outputs: Mapping[str, Made]
    said: Sequence[str]
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the outputs lie."""
        return self.home / "outputs"

    @property
    def names(self) -> dict[str, str]:
        """Field to declared name."""
        return {field: made.name for field, made in self.outputs.items()}

    def path(self, output: str) -> Path:
        """Where an output lies."""
        return self.folder / self.outputs[output].name


def manifest(result: Result) -> str:
    """The text of result.json."""
    made = {
        field: {
            "name": output.name,
            "digest": output.content.digest,
            "size": output.content.size,
            "folder": output.content.folder,
            "files": [[entry.path, entry.size, entry.sha256] for entry in output.content.entries],
        }
        for field, output in result.outputs.items()
    }
    told = {
        "outputs": made,
        "said": list(result.said),
        "counts": dict(result.counts),
        "seconds": round(result.seconds, 3),
    }
    return json.dumps(told, indent=1) + "\n"


def read_result(folder: Path) -> Result:
    """Read result.json of a folder.

    Raises:
        OSError: it cannot be read.
        ValueError: see `read_manifest`.
    """
    return read_manifest((folder / "result.json").read_text(encoding="utf-8"), folder)


def read_manifest(text: str, home: Path) -> Result:
    """Read what `manifest` wrote, perhaps on another machine, perhaps somebody who means harm.

    Args:
        text: of result.json.
        home: folder of the result.

    Raises:
        ValueError: it is damaged, or tells what no result holds; the message says where.
    """
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
        return _result(_object(data, "it"), home)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except ValueError as error:  # one line, whatever the names in it are
        raise ValueError(shown(str(error))[:300]) from None


def misfit(result: Result, stage: Stage) -> str | None:
    """What tells that a stage did not make a result: an output of another kind than it declares.

    >>> from odflow.graph.stage import OutputFile, output
    >>> class Write(Stage):
    ...     text: OutputFile = output("text.txt")
    ...     def run(self, run): ...
    >>> made = Made("text.txt", Content(True, ()))
    >>> misfit(Result(Path("home"), {"text": made}, [], 0.0), Write())
    'its output text is a folder, where a file belongs'
    """
    for name, mark in stage.output_fields().items():
        made = result.outputs.get(name)
        found = "folder" if made and made.content.folder else "file"
        if made and mark.kind not in ("path", found):
            return f"its output {name} is a {found}, where a {mark.kind} belongs"
    return None


def _result(told: Mapping[str, Any], home: Path) -> Result:
    outputs = _object(_get(told, "outputs"), "outputs")
    made = {field: _made(output, field) for field, output in outputs.items()}
    names = sorted(PurePosixPath(one.name).parts for one in made.values())
    if any(parts == after[: len(parts)] for parts, after in pairwise(names)):
        raise ValueError("has two outputs in one place")
    said = [_text(line, "said") for line in _list(_get(told, "said"), "said")]
    counts = _object(told.get("counts", {}), "counts")
    numbers = {name: _whole(number, f"counts.{name}") for name, number in counts.items()}
    return Result(home, made, said, _seconds(_get(told, "seconds")), numbers)


def _made(data: object, field: str) -> Made:
    told = _object(data, field)
    name = _text(_get(told, "name"), f"{field}.name")
    _check_path(name, field)
    folder = _get(told, "folder")
    if not isinstance(folder, bool):
        raise ValueError(f"{field}.folder is {folder!r:.40}, not true or false")
    content = Content(folder, tuple(_entry(file, field) for file in _list(_get(told, "files"), field)))
    _check_paths(content, field)
    if content.size != _get(told, "size") or content.digest != _get(told, "digest"):
        raise ValueError(f"{field} does not agree with its own digest and size")
    return Made(name, content)


def _entry(data: object, field: str) -> Entry:
    file = _list(data, field)
    if len(file) != 3:
        raise ValueError(f"{field}.files holds {file!r:.80}, not path, size and SHA-256")
    path, size, sha256 = file
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"{field}.files: {sha256!r:.80} is not a SHA-256")
    if _whole(size, f"{field}.files") < 0:
        raise ValueError(f"{field}.files: {size} is not a number of bytes")
    return Entry(_text(path, f"{field}.files"), size, sha256)


def _check_paths(content: Content, field: str) -> None:
    paths = [entry.path for entry in content.entries]
    if not content.folder:
        if paths != [""]:
            raise ValueError(f"{field} is a file, and {len(paths)} files are named")
        return
    for path in paths:
        _check_path(path, field)
    raw = [os.fsencode(path) for path in paths]
    if any(one >= after for one, after in pairwise(raw)):
        raise ValueError(f"{field}.files is not sorted, or names a file twice")
    files = set(paths)
    for path in paths:
        above = next((str(one) for one in PurePosixPath(path).parents if str(one) in files), None)
        if above is not None:
            raise ValueError(f"{field}.files names {path!r:.80} below the file {above!r:.80}")


def _check_path(path: str, field: str) -> None:
    os.fsencode(path)  # a ValueError where no file can have this name
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts:
        raise ValueError(f"{field} names the file {path!r:.80}, which leaves its folder")
    if path != plain.as_posix() or path == "." or "\0" in path:
        raise ValueError(f"{field} names the file {path!r:.80}, which is not a plain relative path")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("says something twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}")


def _get(told: Mapping[str, Any], name: str) -> Any:
    if name not in told:
        raise ValueError(f"lacks {name}")
    return told[name]


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is {value!r:.40}, not an object")
    return value


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{place} is {value!r:.40}, not a list")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{place} holds {value!r:.40}, not a text")
    return value


def _whole(value: object, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST_NUMBER:
        raise ValueError(f"{place} holds {value!r:.40}, not a whole number")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST_NUMBER:
        raise ValueError(f"seconds is {value!r:.40}")
    return float(value)
