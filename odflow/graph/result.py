"""What a stage made, and the manifest (result.json) that tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from odflow.graph.content import Content, Entry


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


def read_manifest(text: str, home: Path) -> Result:
    """Read what `manifest` wrote, perhaps on another machine.

    Args:
        text: of result.json.
        home: folder of the result.

    Raises:
        ValueError: it is damaged, or names a file outside its folder.
    """
    try:
        data = json.loads(text)
        outputs = {field: _made(output) for field, output in data["outputs"].items()}
        said = [str(line) for line in data["said"]]
        counts = {str(name): int(number) for name, number in data.get("counts", {}).items()}
        return Result(home, outputs, said, float(data["seconds"]), counts)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"is no manifest of a result ({error!r})") from error


def _made(data: Mapping[str, object]) -> Made:
    files = data["files"]
    if not isinstance(files, list):
        raise ValueError("is no manifest of a result")
    entries = tuple(Entry(str(path), int(size), str(sha256)) for path, size, sha256 in files)
    for name in (str(data["name"]), *(entry.path for entry in entries)):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"names the file {name!r}, which leaves its folder")
    content = Content(bool(data["folder"]), entries)
    if content.digest != data["digest"]:
        raise ValueError("does not agree with its own digest")
    return Made(str(data["name"]), content)
