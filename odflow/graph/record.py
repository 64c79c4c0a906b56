"""run.json: what the last run of a pipeline did."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from odflow.graph.bookkeeping import Count, Digest, Key, Seconds, read_json, understood
from odflow.graph.disk import write_whole

State = Literal["done", "cached", "fetched", "running", "failed", "interrupted", "not run"]
_log = logging.getLogger("odflow.record")


class Source(TypedDict):
    """Something that a stage read, and its digest then."""

    path: str
    digest: Digest


@dataclass(frozen=True)
class StageRecord:
    """What a run did with one stage.

    Attributes:
        uses: the name that the stage is registered under.
        state: "running" also of a run that was killed.
        seconds: in this run.
        peak: the most memory that its process held, bytes; 0 when it did not run.
        key: None when it was not reached.
        version: of the stage's code.
        parameters: field to value.
        inputs: field to path and digest of each thing that it read.
        also_reads: digest of what its inputs name besides.
        packages: name to version of each package that it declares.
        outputs: field to path.
        said: the lines that it said.
        counts: what it counted, by name: what was left out, most of all.
        error: why it failed.
    """

    uses: str
    state: State
    seconds: Seconds = 0.0
    peak: Count = 0
    key: Key | None = None
    version: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, list[Source]] = field(default_factory=dict)
    also_reads: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    counts: Mapping[str, Count] = field(default_factory=dict)
    error: str | None = None


@dataclass
class RunRecord:
    """What a run did.

    Attributes:
        pipeline: path of the file.
        state: of the whole.
        started: local date and time, ISO 8601.
        seconds: from then on.
        stages: name to stage, in the order of the pipeline.
    """

    pipeline: str
    state: State
    started: str
    seconds: Seconds = 0.0
    stages: dict[str, StageRecord] = field(default_factory=dict)


def record_text(record: RunRecord) -> str:
    """The text of run.json."""
    return json.dumps(asdict(record), indent=1) + "\n"


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json, whole or not at all.

    Raises:
        StoreError: the disk is full or refuses.
    """
    write_whole(folder / "run.json", record_text(record))


def read_record(folder: Path) -> RunRecord | None:
    """Read run.json; None when there is none, or (with a warning) when it cannot be understood."""
    path = folder / "run.json"
    try:
        return understood(TypeAdapter(RunRecord), read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("%s: cannot be understood (%s), so the last run is not known.", path, error)
        return None
