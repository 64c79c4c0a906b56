"""What an engine is given to do, and what it tells."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from odflow import errors
from odflow.errors import ConfigError, OdflowError, StageError
from odflow.graph.disk import held
from odflow.graph.execute import execute
from odflow.graph.stage import Needs, Stage

if TYPE_CHECKING:
    from odflow.graph.job import Audience, Workers

_log = logging.getLogger("odflow.task")

Message = dict[str, Any]
"""What a running stage tells: ``{"say": line}``, ``{"log": [level, line]}`` or
``{"bar": [number, done, total, unit, remark]}`` (done is None when the bar ends)."""


@dataclass(frozen=True)
class Task:
    """One stage to run, as plain data: it may travel to another process or machine.

    Attributes:
        name: of the stage in its pipeline.
        stage: its inputs existing paths.
        staging: the folder of its key; it writes into `work` there.
        needs: what it takes of a machine.
        bars: whether somebody sees progress bars.
        debug: whether somebody wants tracebacks and the logs of libraries.
    """

    name: str
    stage: Stage
    staging: Path
    needs: Needs = field(default_factory=Needs)
    bars: bool = False
    debug: bool = False

    @property
    def work(self) -> Path:
        """The staging folder of `execute`."""
        return self.staging / "work"

    @property
    def log(self) -> Path:
        """Gets all that the stage prints."""
        return self.staging / "stage.log"

    def to_json(self) -> str:
        """All of it as one line of text."""
        origin = type(self.stage)
        return json.dumps(
            {
                "name": self.name,
                "class": [origin.__module__, origin.__qualname__],
                "fields": self.stage.model_dump(mode="json"),
                "staging": str(self.staging),
                "needs": self.needs.model_dump(mode="json"),
                "bars": self.bars,
                "debug": self.debug,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The task that `to_json` wrote.

        Raises:
            ConfigError: the stage's class cannot be imported here.
        """
        data = json.loads(text)
        module, path = data["class"]
        try:
            stage: Any = import_module(module)
            for name in path.split("."):
                stage = getattr(stage, name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{data['name']}: {module}.{path} cannot be imported where the stage runs ({error}). "
                "Install the same packages there."
            ) from error
        made = stage.model_validate(data["fields"])
        needs = Needs(**data["needs"])
        return cls(data["name"], made, Path(data["staging"]), needs, data["bars"], data["debug"])


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Attributes:
        said: the lines that the stage said.
        error: why it failed; None when its outputs are there.
        peak: the most memory that it held, bytes; 0 where nobody measured.
        counts: what the stage counted, by name.
    """

    said: tuple[str, ...] = ()
    error: OdflowError | None = None
    peak: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        error = self.error and [type(self.error).__name__, self.error.lines, self.error.exit_code]
        return {"said": self.said, "error": error, "peak": self.peak, "counts": self.counts}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Ended:
        """What `to_json` wrote. An error of a kind that odflow does not know keeps its exit code."""
        error = None
        if data["error"]:
            kind, lines, code = data["error"]
            known = getattr(errors, kind, StageError)
            error = known(*lines)
            error.exit_code = code
        return cls(tuple(data["said"]), error, data["peak"], data["counts"])


class Engine(Protocol):
    """Where stages run.

    Attributes:
        jobs: how many stages it takes at once.
    """

    jobs: int

    def run(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        """Run a stage; several threads may each run one.

        Returns:
            How it ended; a stage that was killed has an error that tells so.

        Raises:
            KeyboardInterrupt: it was stopped, by `stop` or by itself.
        """

    def stop(self) -> None:
        """Stop every stage that runs and start no other; returns at once."""

    def close(self) -> None:
        """Give back what the engine holds."""


def perform(task: Task, workers: Workers, audience: Audience) -> Ended:
    """Run a task in this process: what every engine does in the end, wherever it has a process for it.

    A killed run may have left a process that still works in the same staging folder; its
    end is waited for.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    try:
        with held(task.staging.with_suffix(".busy"), task.name):
            job = execute(task.stage, task.work, name=task.name, workers=workers, audience=audience)
        return Ended(tuple(job.said), counts=job.counts)
    except OdflowError as error:
        _log.debug("", exc_info=error)
        return Ended(error=error)
    except Exception as error:  # a stage may fail in any way at all
        _log.debug("", exc_info=error)
        first = next(iter(str(error).splitlines()), "")
        line = f"unexpected {type(error).__name__}: {first} (--debug shows where)"
        return Ended(error=StageError(line))
