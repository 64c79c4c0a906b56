"""The process of one stage: ``python -m odflow.engines.child DESCRIPTOR``.

The task comes on standard input; what the stage tells goes to the descriptor, a JSON
value a line. Standard output and error are the stage's log file.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from odflow.engines.local import INTERRUPTED
from odflow.engines.memory import peak_memory
from odflow.engines.telling import tell_to
from odflow.engines.threads import Threads, Turns
from odflow.engines.wake import wake_on_signals
from odflow.errors import OdflowError
from odflow.graph.task import Ended, Message, Task, perform


def main(descriptor: int) -> int:
    """Run the task that standard input names; the exit code."""
    os.set_inheritable(descriptor, False)
    given = json.loads(_first_line(0))
    threading.Thread(target=_die_with_parent, args=[os.dup(0)], daemon=True).start()
    wake_on_signals()
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.path[:] = given["path"]
    pipe = _Pipe(descriptor)
    try:
        ended = _run(given, pipe)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OdflowError as error:
        ended = Ended(error=error)
    logging.shutdown()
    pipe.send({"ended": ended.to_json()})
    return 0


def _run(given: dict[str, Any], pipe: _Pipe) -> Ended:
    task = Task.from_json(given["task"])
    turns = Turns(Path(given["turns"]), given["jobs"])
    ended = perform(task, Threads(given["jobs"], turns.turn), tell_to(task, pipe.send))
    return replace(ended, peak=peak_memory())


class _Pipe:
    """Where this process tells what happens; whole lines, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Tell something."""
        with self._lock:
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()


def _first_line(descriptor: int) -> bytes:
    """Read to the end of a line, and nothing after it."""
    found = bytearray()
    while not found.endswith(b"\n"):
        piece = os.read(descriptor, 1)
        if not piece:
            raise SystemExit(1)
        found += piece
    return bytes(found)


def _die_with_parent(lifeline: int) -> None:
    """Nobody waits for the result of a run that was killed, and the next one wants the same folder."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # Interpreter shutdown waits for threads of libraries; all that matters is on disk by now.
    code = main(int(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
