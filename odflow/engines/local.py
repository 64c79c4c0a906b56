"""Work on this machine: a process for each stage, and as many pieces of work at once as asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from odflow.engines.death import told_death
from odflow.engines.memory import RSS_UNIT
from odflow.engines.shared import SharedFolder
from odflow.engines.threads import Turns
from odflow.graph.disk import told_by_disk
from odflow.graph.task import Ended, Message, Task

INTERRUPTED = 130  # exit code
_GRACE = 3.0  # seconds for a stage that is stopped to clean up


class LocalEngine:
    """A child process for each stage: its memory goes back with it, and its end harms nobody else.

    Args:
        jobs: how many pieces of work at once, stages and what they map together; at least 1.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._shared: SharedFolder | None = None
        self._children: set[int] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        """Run a stage in a child process.

        Raises:
            KeyboardInterrupt: it was stopped, by `stop` or by itself.
        """
        with self._turns().own(lambda: self._stopped):
            return self._run(task, hear)

    def _run(self, task: Task, hear: Callable[[Message], None]) -> Ended:
        with told_by_disk(task.log):
            log = task.log.open("ab")
        with log:
            child, telling = self._start(log.fileno())
        ended: Ended | None = None
        try:
            self._give(child, task)
            with telling:
                for line in telling:
                    message = json.loads(line)
                    if "ended" in message:
                        ended = Ended.from_json(message["ended"])
                    else:
                        hear(message)
        finally:
            code, peak = self._wait(child)
        if self._stopped or (ended is None and code in (INTERRUPTED, -signal.SIGINT)):
            raise KeyboardInterrupt
        return ended or Ended(error=told_death(task.name, code, peak, f"See {task.log}."), peak=peak)

    def stop(self) -> None:
        """Interrupt every stage, and kill those that take longer than three seconds to end."""
        with self._lock:
            self._stopped = True
            self._signal(signal.SIGINT)
        timer = threading.Timer(_GRACE, self._signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Remove what the children shared."""
        if self._shared:
            self._shared.close()

    def _start(self, log: int) -> tuple[subprocess.Popen[str], IO[str]]:
        """A child that leads a process group of its own: Ctrl-C on a terminal reaches only this process."""
        reading, writing = os.pipe()
        with self._lock:
            if self._stopped:
                os.close(reading)
                os.close(writing)
                raise KeyboardInterrupt
            try:
                child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "odflow.engines.child", str(writing)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[writing],
                    start_new_session=True,
                    text=True,
                )
            finally:
                os.close(writing)
            self._children.add(child.pid)
        return child, os.fdopen(reading, encoding="utf-8")

    def _give(self, child: subprocess.Popen[str], task: Task) -> None:
        """Hand over the task; the pipe stays open, and its end tells the child that this process is gone."""
        assert child.stdin is not None
        given = {
            "task": task.to_json(),
            "jobs": self.jobs,
            "turns": str(self._turns_folder()),
            "path": sys.path,
        }
        with suppress(BrokenPipeError):  # the child is dead already, which is told soon
            child.stdin.write(json.dumps(given) + "\n")
            child.stdin.flush()

    def _wait(self, child: subprocess.Popen[str]) -> tuple[int, int]:
        """Wait for a child's end, and end what it started; its exit code and peak memory in bytes."""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        with self._lock:
            self._children.discard(child.pid)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            if child.stdin:
                child.stdin.close()
        return child.returncode, usage.ru_maxrss * RSS_UNIT

    def _signal(self, number: int) -> None:
        for pid in list(self._children):
            with suppress(ProcessLookupError):
                os.killpg(pid, number)

    def _turns(self) -> Turns:
        return Turns(self._turns_folder(), self.jobs)

    def _turns_folder(self) -> Path:
        with self._lock:
            if self._shared is None:
                self._shared = SharedFolder()
            return self._shared.path
