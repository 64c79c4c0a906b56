"""``python -m odflow`` as a user runs it, with stages of another package plugged in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

PLUGIN = Path(__file__).parent / "plugin"

Told = subprocess.CompletedProcess[str]
Odflow = Callable[..., Told]


@pytest.fixture
def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def odflow(tmp_path: Path, environment: dict[str, str]) -> Odflow:
    """Run a command and wait for its end."""

    def call(*words: str, **more: Any) -> Told:
        command = [sys.executable, "-m", "odflow", *words]
        given = {
            "cwd": tmp_path,
            "env": environment,
            "capture_output": True,
            "text": True,
            "timeout": 600,
            **more,
        }
        return subprocess.run(command, check=False, **given)

    return call


@pytest.fixture
def started(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start a command."""

    def call(*words: str, **more: Any) -> subprocess.Popen[str]:
        given = {
            "cwd": tmp_path,
            "env": environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            **more,
        }
        return subprocess.Popen([sys.executable, "-m", "odflow", *words], **given)

    return call


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so; fail after two minutes, which only a busy machine needs."""

    def wait(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < until, "it never came to that"
            time.sleep(0.02)

    return wait


TOKEN = "?sig=never-told&se=2030"


class Peer:
    """An HTTP server that stalls, lies or lets a byte fall now and then.

    Args:
        ill: what it does to the names that begin so; the others it serves as they are.
        folder: what it serves.
    """

    def __init__(self, ill: dict[str, str], folder: Path) -> None:
        self.ill, self.folder, self.asked = ill, folder, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://me:never-told@127.0.0.1:{self.socket.getsockname()[1]}/there{TOKEN}"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                Thread(target=self._serve, args=(self.socket.accept()[0],), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError, IndexError):
            line = near.makefile("rb").readline().decode()
            self.asked += 1
            name = line.split()[1].partition("?")[0].removeprefix("/there/")
            ill = next((what for start, what in self.ill.items() if name.startswith(start)), "")
            head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            if ill == "stalls":
                time.sleep(600)
            if ill == "trickles":
                near.sendall(head % 100_000)
                while True:
                    near.sendall(b" ")
                    time.sleep(5)
            if ill == "lies":
                near.sendall(head % 2**60)
                while True:
                    near.sendall(b" " * 65536)
            data = (self.folder / name).read_bytes()
            near.sendall(head % len(data) + data)


@pytest.fixture
def peer_that() -> Iterator[Callable[..., Peer]]:
    """Makes a `Peer`."""
    made: list[Peer] = []

    def make(ill: dict[str, str], folder: Path) -> Peer:
        made.append(Peer(ill, folder))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()
