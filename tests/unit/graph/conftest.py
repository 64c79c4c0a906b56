"""Small real stages, and a folder to run pipelines of them in."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from odflow.errors import GateError, StageError
from odflow.graph import InputFile, InputFolder, InputPath, Job, OutputFile, OutputFolder, Stage, output
from odflow.graph.execute import InProcess
from odflow.graph.job import Console
from odflow.graph.pipeline import Pipeline, Selection
from odflow.graph.plan import Planner, Step, plan
from odflow.graph.reading import read_pipeline
from odflow.graph.record import read_record
from odflow.graph.registry import Registry
from odflow.graph.run import Outcome, run
from odflow.graph.store import Store
from odflow.graph.task import Ended, Message, Task, perform


class Write(Stage):
    """Write a text some times."""

    text: str = Field("hello", description="what to write")
    times: int = Field(1, ge=1, description="how often")
    case: Literal["upper", "lower"] | None = None
    names: dict[str, str] = Field(default_factory=dict)

    written: OutputFile = output("text.txt", "the text")

    def run(self, job: Job) -> None:
        self.written.write_text(self.text * self.times)
        job.say(f"{self.times} times")


class Join(Stage):
    """Put files one after the other."""

    parts: list[InputPath] = Field(description="what to join")
    end: InputFile | None = None
    lines: list[str] = Field(default_factory=list)

    joined: OutputFile = output("joined.txt")

    def run(self, job: Job) -> None:
        found = [*self.parts, *([self.end] if self.end else [])]
        self.joined.write_text("".join(path.read_text() for path in found) + "".join(self.lines))


class Folder(Stage):
    """Spread a file over a folder."""

    source: InputFile

    folder: OutputFolder = output("folder")
    listing: OutputFile = output("listing.txt")

    def run(self, job: Job) -> None:
        (self.folder / "deep").mkdir(parents=True)
        (self.folder / "empty").mkdir()
        (self.folder / "deep" / "copy.txt").write_bytes(self.source.read_bytes())
        (self.folder / "top.txt").write_text("top")
        self.listing.write_text("deep/copy.txt\n")


class Many(Stage):
    """Take what a folder holds."""

    folder: InputFolder
    listed: InputFile | None = None

    names: OutputFile = output("names.txt")

    def also_reads(self) -> list[Path]:
        return [self.folder / line for line in self.listed.read_text().split()] if self.listed else []

    def run(self, job: Job) -> None:
        self.names.write_text("\n".join(sorted(path.name for path in self.folder.rglob("*"))))


class Fail(Stage):
    """Fail in a way of one's choice."""

    how: Literal["stage", "gate", "unexpected", "silent", "folder", "disk", "interrupt"]
    source: InputFile | None = None

    nothing: OutputFile = output("nothing.txt")

    def run(self, job: Job) -> None:
        (job.staging / "half.tmp").write_text("half")
        if self.how == "stage":
            raise StageError(f"{self.source or self.nothing}: no.")
        if self.how == "gate":
            raise GateError(f"{job.name}: 0.4 is below 0.5.")
        if self.how == "unexpected":
            raise ZeroDivisionError("first\nsecond")
        if self.how == "folder":
            self.nothing.mkdir()
        if self.how == "disk":
            with Path("/dev/full").open("w") as full:
                full.write("x")
        if self.how == "interrupt":
            raise KeyboardInterrupt


class Tally(Stage):
    """Count to a number, one file at a time; go on where a stopped run ended."""

    resumes = True

    upto: int
    stop: InputFile = Field(description="while it holds a number, counting stops there")
    step: int = 1

    counted: OutputFile = output("counted.txt")

    def run(self, job: Job) -> None:
        done = job.staging / "done"
        done.mkdir(exist_ok=True)
        found = len(list(done.iterdir()))
        job.say(f"starts at {found}")
        for number in range(found, self.upto):
            if os.environ.get("TALLY_STOPS_AT") == str(number):
                raise KeyboardInterrupt
            (done / str(number)).touch()
        self.counted.write_text(str(self.upto * self.step))


class ThisProcess:
    """An engine that is this very process, so that stages may be made up in a test."""

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs

    def run(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        task.log.touch()
        return perform(task, InProcess(), Console(task.name))

    def stop(self) -> None: ...

    def close(self) -> None: ...


STAGES: dict[str, type[Stage]] = {
    "write": Write,
    "join": Join,
    "folder": Folder,
    "many": Many,
    "fail": Fail,
    "tally": Tally,
}


@dataclass
class Bench:
    """A folder with a pipeline file, and what can be done with it."""

    folder: Path
    stages: dict[str, type[Stage]] = field(default_factory=lambda: dict(STAGES))

    @property
    def registry(self) -> Registry:
        return Registry(self.stages)

    @property
    def engine(self) -> ThisProcess:
        return ThisProcess()

    @property
    def store(self) -> Store:
        return Store(Path(".odflow"))

    def write(self, text: str) -> None:
        Path("p.yaml").write_text(textwrap.dedent(text))

    def read(self, *settings: str, **selection: Any) -> Pipeline:
        return read_pipeline(Path("p.yaml"), self.registry, settings, Selection(**selection))

    def run(self, *settings: str, **selection: Any) -> Outcome:
        pipeline = self.read(*settings, **selection)
        return run(pipeline, Selection(**selection), self.store, Path("runs/p"), self.engine)

    def states(self, *settings: str, **selection: Any) -> dict[str, str]:
        outcome = self.run(*settings, **selection)
        return {name: outcome.record.stages[name].state for name in outcome.selected}

    def plan(self, *settings: str, **selection: Any) -> list[Step]:
        last = read_record(Path("runs/p"))
        planner = Planner(self.store, last.stages if last else {}, Selection(**selection).force)
        return plan(self.read(*settings, **selection), Selection(**selection), planner)

    def reasons(self, *settings: str, **selection: Any) -> dict[str, str]:
        return {step.node.name: step.why for step in self.plan(*settings, **selection)}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Tells all files below a folder and their bytes."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
