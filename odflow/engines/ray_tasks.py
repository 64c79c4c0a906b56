"""What the processes of a Ray cluster do for a stage, and how they are heard."""

from __future__ import annotations

import json
import os
import platform
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from odflow.engines.memory import peak_memory
from odflow.engines.telling import Telling, tell_to
from odflow.errors import ConfigError, OdflowError, StageError
from odflow.graph.task import Ended, Message, Task, perform

A = TypeVar("A")
B = TypeVar("B")

_RETRIES = 3  # of an item whose node dies
_PATIENCE = 10.0  # seconds for the items of a map that is left to end


class Mailbox:
    """An actor that holds what stages tell until the driver takes it."""

    def __init__(self) -> None:
        self._messages: defaultdict[int, list[str]] = defaultdict(list)

    def put(self, attempt: int, *messages: str) -> None:
        """Add messages of an attempt; those of one sender stay in order."""
        self._messages[attempt] += messages

    def take(self, attempt: int) -> list[str]:
        """All messages of an attempt that nobody took yet."""
        return self._messages.pop(attempt, [])


@dataclass(frozen=True)
class Desk:
    """What a process needs in order to work for a stage as the driver's own would; plain data.

    Attributes:
        task: as JSON.
        folder: where the driver was started: relative paths begin there.
        attempt: number of this attempt at a stage, of all that the driver made.
        mailbox: handle of the `Mailbox`.
    """

    task: str
    folder: str
    attempt: int
    mailbox: Any = field(compare=False)

    def send(self, message: Message) -> None:
        """Tell the driver something; does not wait until it has come."""
        self.mailbox.put.remote(self.attempt, json.dumps(message))

    def flush(self) -> None:
        """Wait until all that this process sent has come."""
        ray.get(self.mailbox.put.remote(self.attempt))


@lru_cache(1)  # a process may work for many items of one stage, then for those of another
def sit_down(desk: Desk) -> tuple[Task, Telling]:
    """Turn this process to a stage.

    Raises:
        ConfigError: this node lacks the driver's folder or the stage's class.
    """
    try:
        os.chdir(desk.folder)
    except OSError as error:
        raise _lacking(error) from error
    task = Task.from_json(desk.task)
    return task, tell_to(task, desk.send)


@contextmanager
def printing_to(log: Path) -> Iterator[None]:
    """Have all that this process prints in a file, C code and children included, while the body runs.

    Not longer: on NFS a folder cannot be removed while a file in it is open.

    Raises:
        ConfigError: this node lacks the file's folder.
    """
    try:
        target = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        raise _lacking(error) from error
    before = [os.dup(stream) for stream in (1, 2)]
    try:
        for stream in (1, 2):
            os.dup2(target, stream)
        os.close(target)
        yield
    finally:
        for stream, old in zip((1, 2), before, strict=True):
            os.dup2(old, stream)
            os.close(old)


def _lacking(error: OSError) -> ConfigError:
    return ConfigError(
        f"{error.filename}: cannot be used on the node {platform.node()} ({error.strerror}). "
        "All nodes must have this folder in common, under the same path."
    )


def run_stage(desk: Desk) -> dict[str, Any]:
    """Run a stage in this process, which ends after it; gives the `Ended` as JSON holds it."""
    try:
        task, audience = sit_down(desk)
        with printing_to(task.log):
            ended = perform(task, RayWorkers(desk), audience)
    except OdflowError as error:
        ended = Ended(error=error)
    desk.flush()
    return replace(ended, peak=peak_memory()).to_json()


def run_item(desk: Desk, function: Callable[[A], B], item: A) -> B:
    """Work on one item in this process, which goes on to others."""
    task, _ = sit_down(desk)
    with printing_to(task.log):
        return function(item)


class RayWorkers:
    """Workers for `Job.map`: all processors of the cluster.

    Used in the process of a stage. While that waits for a result, Ray gives its
    processors to others, so a cluster with one processor is enough.

    Args:
        desk: of the stage.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Call `function` on every item, the results in the order of the items.

        Items are taken as results are asked for: at most two for each processor are under
        way. An item whose node dies is worked on again, by Ray, up to three times. Where the map
        is left early those under way are waited for; where that takes long, or the stage is
        interrupted, they end with its process.

        Raises:
            StageError: the process of an item was killed.
        """
        waiting = iter(items)
        under_way = deque(self._begin(function, item) for item in islice(waiting, self._at_once()))
        try:
            while under_way:
                result = self._result(under_way[0])
                under_way.popleft()
                under_way.extend(self._begin(function, item) for item in islice(waiting, 1))
                yield result
        except (Exception, GeneratorExit):
            # Never ray.cancel: for a task that ends in the same moment it ends this very process
            # ("Check failed: Tried to complete task that was not pending").
            if under_way:
                ray.wait(list(under_way), num_returns=len(under_way), timeout=_PATIENCE)
            raise

    def _begin(self, function: Callable[[A], B], item: A) -> Any:
        # An environment of their own keeps these processes apart from those of stages.
        begin = ray.remote(num_cpus=1, max_retries=_RETRIES)(run_item)
        apart = {"env_vars": {"ODFLOW_RAY": "item"}}
        return begin.options(name=function.__qualname__, runtime_env=apart).remote(self._desk, function, item)

    def _result(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except TaskCancelledError as error:
            raise KeyboardInterrupt from error
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            first = str(error).partition("\n")[0]
            raise StageError(f"a worker was killed ({type(error).__name__}: {first})") from error

    def _at_once(self) -> int:
        return max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
