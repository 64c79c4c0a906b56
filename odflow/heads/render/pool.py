"""Processes that render, each with a Blender of its own.

Blender takes a whole process over and may end it. So it runs in children, which are handed a
number at a time: a picture that ends a child is known, and a child whose parent is gone reads
the end of its input and goes as well.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from odflow.errors import InputError, StageError
from odflow.heads.render.recipe import Settings

_MOST = 8
"""Processes: each holds a Blender, some 300 MB."""


@dataclass(frozen=True)
class Order:
    """What a child is told first.

    Attributes:
        settings: of the run.
        images, masks: the folders to write into.
        threads: that a child's Blender may use.
    """

    settings: Settings
    images: Path
    masks: Path
    threads: int

    def to_line(self) -> str:
        """As JSON, in one line."""
        paths = {"images": str(self.images.absolute()), "masks": str(self.masks.absolute())}
        return json.dumps({**asdict(self), **paths}) + "\n"


def render_pictures(
    settings: Settings, images: Path, masks: Path, numbers: Iterable[int], *, place: str
) -> Iterator[dict[str, Any]]:
    """Render pictures of some numbers on all processors.

    Args:
        settings: of the run.
        images: the folder for the pictures.
        masks: the folder for the masks.
        numbers: which.
        place: what messages begin with.

    Yields:
        What is in each picture, as `scene_process` tells it, when it is written; in any order.

    Raises:
        InputError: a model cannot be used.
        StageError: a process ended; the message names the picture.
    """
    waiting = list(numbers)[::-1]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(cpus, len(waiting), _MOST)
    with ExitStack() as stack, selectors.DefaultSelector() as ready:
        for _ in range(processes):
            child = stack.enter_context(_Child(place, Order(settings, images, masks, cpus // processes)))
            child.send(waiting.pop())
            ready.register(child.answers, selectors.EVENT_READ, child)
        while ready.get_map():
            for key, _ in ready.select():
                child = key.data
                yield child.receive()
                if waiting:
                    child.send(waiting.pop())
                else:
                    ready.unregister(child.answers)


class _Child:
    """One process; leaving its `with` ends it."""

    def __init__(self, place: str, order: Order) -> None:
        self._place = place
        self._number = -1
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115  (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "odflow.heads.render.scene_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._write(order.to_line())

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    @property
    def answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def send(self, number: int) -> None:
        """Hand it a picture; it has one at a time."""
        self._number = number
        self._write(f"{number}\n")

    def receive(self) -> dict[str, Any]:
        """What it made."""
        line = self.answers.readline()
        if not line.endswith(b"\n"):
            raise StageError(f"{self._place}: {self._end()}")
        told: dict[str, Any] = json.loads(line)
        if "wrong_input" in told:
            raise InputError(f"{self._place}: {told['wrong_input']}")
        return told

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; reading its answer tells how
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()

    def _end(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode("utf-8", "replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "it said nothing")
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return (
            f"Blender ended {how} at picture {self._number} ({last}). "
            "Run it again to go on there; a smaller size takes less memory."
        )
