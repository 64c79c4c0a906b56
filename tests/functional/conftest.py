"""``python -m odflow`` as a user runs it, with stages of another package plugged in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
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
