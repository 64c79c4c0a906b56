"""Engines, and stages for them to run."""

from __future__ import annotations

import importlib
import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from odflow.engines.local import LocalEngine
from odflow.engines.telling import Telling
from odflow.engines.threads import Threads
from odflow.graph.stage import Stage
from odflow.graph.task import Ended, Engine, Message, Task, perform


class HereEngine:
    """Runs stages in this very process: what a contract of engines can promise of the simplest one."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._stopped = threading.Event()

    def run(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        def send(message: Message) -> None:
            if self._stopped.is_set():
                raise KeyboardInterrupt
            hear(message)

        if self._stopped.is_set():
            raise KeyboardInterrupt
        task = Task.from_json(task.to_json())
        listener = _Listener(send)
        log = logging.getLogger(f"odflow.{task.name}")
        log.addHandler(listener)
        log.setLevel(logging.INFO)
        try:
            return perform(task, Threads(self.jobs), Telling(task.bars, send))
        finally:
            log.removeHandler(listener)

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        pass


class _Listener(logging.Handler):
    def __init__(self, send: Callable[[Message], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send({"log": [record.levelno, record.getMessage()]})


@pytest.fixture(scope="session")
def stages() -> Iterator[ModuleType]:
    """The module of the stages, by a name under which other processes find it too."""
    folder = str(Path(__file__).parent)
    sys.path.append(folder)
    yield importlib.import_module("stages_for_engines")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def ray_of_two(stages: ModuleType) -> Iterator[Engine]:
    """A Ray of two processors for all tests of a file, and an engine of it that no test stops."""
    from odflow.engines.ray import RayEngine

    engine = RayEngine(2)
    yield engine
    engine.close()


@pytest.fixture
def new_engine(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Engine]]:
    """Makes engines of two jobs by their names."""
    made: list[Engine] = []

    def make(kind: str) -> Engine:
        if kind == "ray":
            request.getfixturevalue("ray_of_two")
            from odflow.engines.ray import RayEngine

            made.append(RayEngine(2))
        else:
            made.append({"here": HereEngine, "local": LocalEngine}[kind](2))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    """Makes a task of a stage, with a staging folder of its own."""
    numbers = itertools.count()

    def make(stage: Stage, name: str = "it", **more: Any) -> Task:
        staging = tmp_path / f"staging{next(numbers)}"
        staging.mkdir()
        return Task(name, stage, staging, **more)

    return make


@pytest.fixture
def ends() -> Callable[[int, float], bool]:
    """Tells whether a process is gone, or gone but for its exit code, within some seconds."""

    def wait(pid: int, within: float = 60) -> bool:
        until = time.monotonic() + within
        while time.monotonic() < until:
            try:
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    return True
            except OSError:
                return True
            time.sleep(0.05)
        return False

    return wait
