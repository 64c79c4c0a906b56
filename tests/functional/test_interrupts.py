"""Interrupts at any moment, and stages by themselves whose process dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Odflow = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., subprocess.Popen[str]]
WaitFor = Callable[[Callable[[], bool]], None]

INTERRUPTED = "interrupted. The same command goes on from here."
SIX_IN_HALF_A_SECOND = 6 * [0.08]  # seconds after each


@pytest.fixture
def slow(environment: dict[str, str]) -> dict[str, str]:
    """Has `slow_count` take longer than any test."""
    return {**environment, "SLOW_COUNT_PAUSE": "1"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_interrupted_six_times_says_interrupted(
    tmp_path: Path, slow: dict[str, str], started: Started, wait_for: WaitFor, number: signal.Signals
) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "p.yaml").write_text(
        "stages:\n  one: {uses: slow_count, upto: 100}\n  two: {uses: slow_write, source: '${one.counted}'}\n"
    )
    running = started("run", "p.yaml", env={**slow, "TMPDIR": str(tmp_path / "tmp")})
    wait_for(lambda: any(tmp_path.glob(".odflow/staging/*/work/done.txt")))
    assert list((tmp_path / "tmp").iterdir())
    _interrupt(running, number)
    assert running.returncode == 130
    record = json.loads((tmp_path / "runs/p/run.json").read_text())
    assert record["state"] == "interrupted"
    assert {name: stage["state"] for name, stage in record["stages"].items()} == {"one": "interrupted"}
    assert not list((tmp_path / "tmp").iterdir())
    assert not list(tmp_path.glob(".odflow/staging/*.lock"))


@pytest.mark.parametrize("whole_group", [False, True], ids=["kill", "terminal"])
def test_a_stage_by_itself_that_is_interrupted_six_times(
    tmp_path: Path, slow: dict[str, str], started: Started, wait_for: WaitFor, whole_group: bool
) -> None:
    running = started("slow_count", "--out", "out", env=slow, process_group=0)
    done = "out/.staging-slow_count/*/done.txt"
    wait_for(lambda: any(path.stat().st_size for path in tmp_path.glob(done)))
    _interrupt(running, signal.SIGINT, whole_group=whole_group)
    assert running.returncode == 130
    assert not (tmp_path / "out/.odflow-slow_count.lock").exists()
    again = started("slow_count", "--out", "out", env={**slow, "SLOW_COUNT_PAUSE": "0"})
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert re.search(r"starts at [1-9]", err)


def _interrupt(running: subprocess.Popen[str], number: int, *, whole_group: bool = False) -> None:
    """Six times, and the command has but one line for it."""
    for pause in SIX_IN_HALF_A_SECOND:
        if running.poll() is None:
            (os.killpg if whole_group else os.kill)(running.pid, number)
        time.sleep(pause)
    out, err = running.communicate(timeout=120)
    assert err.splitlines().count(INTERRUPTED) == 1, err
    assert "Traceback" not in out + err
    assert "unexpected" not in out + err


def test_an_interrupt_while_the_command_line_is_imported(tmp_path: Path, started: Started) -> None:
    """At any moment from the first line of odflow's own on: here it interrupts itself at each import."""
    for module in ("odflow.cli", "argparse", "odflow.graph.registry", "importlib.metadata"):
        (tmp_path / "interrupted.py").write_text(
            "import os, runpy, signal, sys\n"
            "class Interrupts:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            f"        if name == {module!r}:\n"
            "            os.kill(os.getpid(), signal.SIGINT)\n"
            "for name in [name for name in sys.modules if name.split('.')[0] in ('argparse', 'importlib')]:\n"
            "    if name in ('argparse', 'importlib.metadata'):\n"
            "        del sys.modules[name]\n"
            "sys.meta_path.insert(0, Interrupts())\n"
            "runpy.run_module('odflow', run_name='__main__')\n"
        )
        command = [sys.executable, "interrupted.py", "stages"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (told.returncode, told.stdout, told.stderr) == (130, "", f"{INTERRUPTED}\n"), module


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("crashed", r"was killed \(signal 11, SIGSEGV; "),
        ("killed", r"was killed \(signal 9, probably out of memory; "),
        ("real-time", rf"was killed \(signal {signal.SIGRTMIN + 3}, SIGRTMIN\+3; "),
        ("exit", r"ended without a word \(exit code 3; "),
    ],
)
def test_the_death_of_a_stage_by_itself_is_told(tmp_path: Path, odflow: Odflow, end: str, how: str) -> None:
    told = odflow("hog", "--mebibytes", "50", "--end", end, "--out", "out")
    assert told.returncode == 1
    wanted = rf"written by C\nhog {how}it had reached 0\.\d GiB\)\. --debug shows what libraries say\.\n"
    assert re.fullmatch(wanted, told.stderr)
    assert not list((tmp_path / "out").iterdir())
    assert odflow("hog", "--mebibytes", "50", "--out", "out").returncode == 0


def test_a_killed_command_takes_its_stage_along(tmp_path: Path, started: Started, wait_for: WaitFor) -> None:
    running = started("slow_count", "--upto", "100000", "--out", "out")
    done = ".staging-slow_count/*/done.txt"
    wait_for(lambda: any((tmp_path / "out").glob(done)))
    running.kill()
    running.communicate(timeout=120)  # which waits for all that hold its streams


def test_a_stage_that_does_not_heed_an_interrupt_is_killed(
    tmp_path: Path, started: Started, wait_for: WaitFor
) -> None:
    running = started("deaf", "--place", "here", "--out", "out")
    wait_for((tmp_path / "here").exists)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (130, f"{INTERRUPTED}\n")
    assert not list((tmp_path / "out").iterdir())


def test_what_a_killed_run_left_in_the_temporary_folder_is_removed_by_the_next(
    tmp_path: Path, environment: dict[str, str], odflow: Odflow
) -> None:
    temporary = tmp_path / "tmp"
    environment["TMPDIR"] = str(temporary)
    for name, files in {"left": ("0", "1"), "theirs": ("0", "notes.txt"), "young": ("0",)}.items():
        (temporary / f"odflow-turns-{name}").mkdir(parents=True)
        for file in files:
            (temporary / f"odflow-turns-{name}" / file).touch()
        if name != "young":
            os.utime(temporary / f"odflow-turns-{name}", (0, 0))
    (temporary / "odflow-data").mkdir()
    os.utime(temporary / "odflow-data", (0, 0))
    (tmp_path / "p.yaml").write_text("stages: {write: {uses: slow_write, lines: 1}}")
    assert odflow("run", "p.yaml").returncode == 0
    left = sorted(path.name for path in temporary.iterdir())
    assert left == ["odflow-data", "odflow-turns-theirs", "odflow-turns-young"]
    assert (temporary / "odflow-turns-theirs/notes.txt").exists()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_any_text_is_printed_in_any_encoding(
    tmp_path: Path, environment: dict[str, str], odflow: Odflow, encoding: str
) -> None:
    environment["PYTHONIOENCODING"] = encoding
    table = tmp_path / os.fsdecode(b"t\xff\xe2\x82\xac.csv")
    table.write_text(
        "filename,width,height,class,score,xmin,ymin,xmax,ymax\na.jpg,9,9,猫,0.5,1,1,5,5\n", encoding="utf-8"
    )
    (tmp_path / "p.yaml").write_text(
        "stages: {keep: {uses: filter, detections: 'ünd €.csv', drop_classes: [猫]}}", encoding="utf-8"
    )
    commands = {
        "stage": ["filter", "--detections", str(table), "--drop-classes", "猫", "--out", "ö€"],
        "fault": ["filter", "--detections", f"{table}x", "--out", "out"],
        "plan": ["plan", "p.yaml"],
        "run": ["run", "p.yaml"],
        "status": ["status", "p.yaml"],
    }
    for name, words in commands.items():
        told = odflow(*words, text=False)
        shown = (told.stdout + told.stderr).decode(encoding)
        assert "unexpected" not in shown, name
        assert "Traceback" not in shown, name
        if name == "run":
            (tmp_path / "ünd €.csv").write_bytes(table.read_bytes())
            told = odflow(*words, text=False)
            shown = (told.stdout + told.stderr).decode(encoding)
            assert "unexpected" not in shown
