"""`gc` beside runs that begin together, on a store that is not there yet."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

RUNS = 4
PIPELINE = """\
stages:
  first: {{uses: slow_write, lines: {lines}}}
  meet{lines}: {{uses: meet, place: met, wanted: {runs}, label: "{lines}"}}
  second: {{uses: slow_write, source: "${{first.text}}", lines: 30}}
"""
Odflow = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., subprocess.Popen[str]]


def test_gc_takes_nothing_that_runs_use_which_began_together(
    tmp_path: Path, odflow: Odflow, started: Started
) -> None:
    begin_together(tmp_path, odflow, started)


@pytest.mark.slow
def test_gc_takes_nothing_that_runs_use_for_a_minute(
    tmp_path: Path, odflow: Odflow, started: Started
) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        begin_together(tmp_path, odflow, started)
        for name in (".odflow", "runs", "met"):
            shutil.rmtree(tmp_path / name)


def begin_together(folder: Path, odflow: Odflow, started: Started) -> None:
    """Four runs that meet in their middle, and `gc` over and over: it removes only once all have ended."""
    for number in range(RUNS):
        (folder / f"p{number}.yaml").write_text(PIPELINE.format(lines=number + 1, runs=RUNS))
    runs = [started("run", f"p{number}.yaml") for number in range(RUNS)]
    removed = 0
    while not removed:
        over = all(run.poll() is not None for run in runs)
        told = odflow("gc", "--keep-runs", "0")
        if told.returncode == 0:
            removed = int(told.stdout.split()[1])
            if removed:
                assert states(folder) == ["done"] * RUNS, told
        else:
            assert "there is no store" in told.stderr
        assert removed or not over, "gc left the results of runs that have ended"
    for run in runs:
        _, err = run.communicate(timeout=600)
        assert run.returncode == 0, err
    assert removed == 3 * RUNS


def states(folder: Path) -> list[str]:
    return [json.loads(path.read_text())["state"] for path in sorted(folder.glob("runs/p*/run.json"))]
