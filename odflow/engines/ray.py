"""Work on a Ray cluster: each stage is a task there, and so is each item that it maps."""

from __future__ import annotations

import itertools
import json
import logging
import operator
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from odflow.errors import ConfigError, OdflowError, StageError
from odflow.graph.task import Ended, Message, Task

try:
    import ray
except ImportError as error:
    raise ConfigError('--engine ray: Ray is not installed. Use: pip install "odflow[ray]"') from error

from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from odflow.engines.ray_tasks import Desk, Mailbox, run_stage

_PAUSE = 0.2  # seconds between two looks into the mailbox
_LOOKS = 25  # between two looks at the nodes
_GRACE = 3.0  # seconds for a stage that is stopped to clean up
_PATIENCE = 5.0  # seconds for a cluster to answer
_DEATHS = 3  # of nodes that one stage outlives
_SETTINGS = b"\x04"  # the kind of the first frame of either side, fourth byte of it
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0" + _SETTINGS + b"\0\0\0\0\0"  # as gRPC begins


class RayEngine:
    """A Ray task for each stage. Nodes may die; what ran there goes on on another.

    Args:
        jobs: how many stages at once; also the processors of a Ray that is started here.
        address: HOST:PORT of a cluster to join, this machine being one of its nodes. Left
            out, a Ray of this machine is started.

    Raises:
        ConfigError: the cluster cannot be reached.
    """

    def __init__(self, jobs: int, address: str | None = None) -> None:
        self.jobs = jobs
        if address:
            _check_reachable(address)
        self._began_here = not ray.is_initialized()
        if self._began_here:
            _begin(jobs, address)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        mailbox = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Mailbox)
        self._environment = _environment()
        self._mailbox = mailbox.options(
            scheduling_strategy=here, runtime_env={"env_vars": self._environment}
        ).remote()
        self._attempts = itertools.count()
        self._references: set[Any] = set()
        self._stopped_at: float | None = None
        self._lock = threading.Lock()

    def run(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        """Run a stage on the node that Ray chooses, and again elsewhere when that node dies.

        A process that was killed while its node lives on is an error: Ray does not try it again.

        Raises:
            KeyboardInterrupt: it was stopped, by `stop` or by itself.
        """
        for left in reversed(range(_DEATHS + 1)):
            try:
                return self._attempt(task, hear)
            except NodeDiedError:
                if not left:
                    break
                hear({"log": [logging.WARNING, "its node died; runs on another."]})
            except OdflowError as error:
                return Ended(error=error)
        return Ended(error=StageError(f"{task.name}: {_DEATHS + 1} nodes died under it. See {task.log}."))

    def stop(self) -> None:
        """Interrupt every stage, and kill those that take longer than three seconds to end."""
        with self._lock:
            self._stopped_at = time.monotonic()
        self._cancel(force=False)
        timer = threading.Timer(_GRACE, self._cancel, kwargs={"force": True})
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End the Ray that this engine started, or leave the cluster that it joined."""
        if self._began_here:
            ray.shutdown()
        else:
            ray.kill(self._mailbox)

    def _attempt(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        """Run a stage once.

        Raises:
            NodeDiedError: its node died.
            OdflowError: it was killed, or cannot run in this cluster.
            KeyboardInterrupt: it was stopped.
        """
        attempt, looks = next(self._attempts), itertools.count(1)
        _check_fits(task)
        reference = self._begin_stage(task, attempt)
        ended = False
        try:
            while not ended and not self._is_out_of_patience():
                self._pass_on(attempt, hear)
                if next(looks) % _LOOKS == 0:
                    _check_fits(task)  # the node that could have run it may have died
                ended = bool(ray.wait([reference], timeout=_PAUSE)[0])
            self._pass_on(attempt, hear)
            return self._ended(task, reference)
        finally:
            with self._lock:
                self._references.discard(reference)
            if not ended:  # somebody who hears it failed; of one that ends just now Ray dies itself
                ray.cancel(reference, force=True)

    def _begin_stage(self, task: Task, attempt: int) -> Any:
        """Hand a stage to Ray; its process ends with it, so that its memory goes back."""
        desk = Desk(task.to_json(), str(Path.cwd()), attempt, self._mailbox)
        begin = ray.remote(max_calls=1, max_retries=0)(run_stage).options(
            name=task.name,
            num_cpus=task.needs.cpus,
            num_gpus=task.needs.gpus,
            memory=int(task.needs.memory) or None,
            runtime_env={"env_vars": self._environment},
        )
        with self._lock:
            if self._stopped_at is not None:
                raise KeyboardInterrupt
            reference = begin.remote(desk)
            self._references.add(reference)
        return reference

    def _pass_on(self, attempt: int, hear: Callable[[Message], None]) -> None:
        for message in ray.get(self._mailbox.take.remote(attempt)):
            hear(json.loads(message))

    def _ended(self, task: Task, reference: Any) -> Ended:
        if self._stopped_at is not None:
            raise KeyboardInterrupt
        try:
            return Ended.from_json(ray.get(reference))
        except NodeDiedError:
            raise
        except TaskCancelledError as error:
            raise KeyboardInterrupt from error
        except OutOfMemoryError as error:
            why = "by Ray, since its node was out of memory"
            raise StageError(f"{task.name} was killed ({why}). See {task.log}.") from error
        except WorkerCrashedError as error:
            why = "its process is gone without a word, probably out of memory"
            raise StageError(f"{task.name} was killed ({why}). See {task.log}.") from error
        except RayTaskError as error:
            cause = f"{type(error.cause).__name__}: {_first_line(error.cause)}"
            raise StageError(f"{task.name} cannot run on its node ({cause}). See {task.log}.") from error
        except RayError as error:
            raise StageError(f"{task.name}: {type(error).__name__}: {_first_line(error)}") from error

    def _cancel(self, *, force: bool) -> None:
        with self._lock:
            for reference in self._references:
                ray.cancel(reference, force=force, recursive=False)  # items end with their stage

    def _is_out_of_patience(self) -> bool:
        return self._stopped_at is not None and time.monotonic() > self._stopped_at + 2 * _GRACE


def _begin(jobs: int, address: str | None) -> None:
    """Start a Ray, or join one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:  # Ray has its workers at 15: they stand still beside anything else that computes
        os.environ.setdefault("RAY_worker_niceness", "0")
    # Ray prints on standard output, which is for results, what it notices of nodes and processes.
    # It has no other switch for that.
    ray._private.worker._worker_logs_enabled = False
    own = {} if address else {"num_cpus": jobs, "include_dashboard": False}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        what = f"--address {address}: no Ray cluster can be joined" if address else "Ray cannot be started"
        raise ConfigError(f"{what} here ({_first_line(error)}).") from error
    finally:
        with suppress(ValueError):  # outside the main thread Ray has changed nothing
            signal.signal(signal.SIGTERM, on_sigterm)


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes, and takes any server for a cluster.

    Raises:
        ConfigError: nobody is there, or not a cluster.
    """
    place = f"--address {address}"
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ConfigError(f"{place}: wanted HOST:PORT, as `ray start --head` shows it.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE) as connection:
            connection.sendall(_HELLO)
            answer = _SETTINGS if os.environ.get("RAY_USE_TLS") == "1" else connection.recv(4)[3:]
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{place}: no Ray cluster can be reached there ({error}).") from error
    if answer != _SETTINGS:
        raise ConfigError(
            f"{place}: is no Ray cluster. Its port is 6379 unless `ray start` was told another."
        )


def _check_fits(task: Task) -> None:
    """Ray would wait for a node that is large enough until somebody adds one.

    Raises:
        ConfigError: no node is.
    """
    nodes = [_offers(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    wanted = (task.needs.cpus, task.needs.gpus, float(task.needs.memory))
    if any(all(map(operator.ge, offered, wanted)) for offered in nodes):
        return
    largest = _told(max(nodes)) if nodes else "nothing"
    raise ConfigError(
        f"{task.name} needs {_told(wanted)}; the largest node of the cluster has {largest}. "
        "Change its `needs`, or add a node."
    )


def _offers(resources: dict[str, float]) -> tuple[float, ...]:
    return tuple(float(resources.get(name, 0)) for name in ("CPU", "GPU", "memory"))


def _told(amounts: tuple[float, ...]) -> str:
    cpus, gpus, memory = amounts
    return f"{cpus:g} cpus, {gpus:g} gpus and {memory / 2**30:.1f} GiB"


def _environment() -> dict[str, str]:
    """Of the processes on the nodes: they find the modules that are found here."""
    installed = (sys.prefix, sys.base_prefix)
    found = [Path(path).absolute() for path in sys.path]
    paths = [str(path) for path in found if not any(map(path.is_relative_to, installed))]
    return {
        "ODFLOW_RAY": "stage",
        "PYTHONPATH": os.pathsep.join(paths),
        # Where memory is short Ray tries an item again, without a word and without an end.
        "RAY_task_oom_retries": "3",
    }


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
