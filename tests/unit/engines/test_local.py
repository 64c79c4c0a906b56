"""What the engine of this machine tells, and what becomes of its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from odflow.engines.local import LocalEngine

DRIVE = """
import pathlib, sys
from odflow.engines.local import LocalEngine
from odflow.graph.task import Task
from stages_for_engines import Stay

task = Task("it", Stay(), pathlib.Path(sys.argv[1]))
LocalEngine(2).run(task, lambda message: print(message, flush=True))
"""


@pytest.mark.parametrize(("how", "why"), [("kill", "9, probably out of memory"), ("crash", "11, SIGSEGV")])
def test_a_signal_is_named_with_the_memory_that_was_reached(task, stages, how, why):
    one = task(stages.Vanish(how=how), "train")
    error = LocalEngine(1).run(one, print).error
    pattern = (
        rf"train was killed \(signal {why}; it had reached \d\.\d GiB\)\. See {re.escape(str(one.log))}\."
    )
    assert re.fullmatch(pattern, str(error))


def test_an_exit_without_a_word_is_told(task, stages):
    error = LocalEngine(1).run(task(stages.Vanish(how="exit"), "train"), print).error
    assert str(error).startswith("train ended without a word (exit code 3; it had reached ")


def test_a_stage_ends_with_the_run_that_was_killed(task, stages, ends):
    one = task(stages.Stay())
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVE, str(one.staging)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    said = driver.stdout.readline()
    pid = int(re.search(r"\d+", said)[0])
    assert not ends(pid, 0.2)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert ends(pid)


def test_children_do_not_look_for_modules_in_the_current_folder(task, stages, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert LocalEngine(1).run(task(stages.Hold(mebibytes=1)), print).error is None


def test_the_engine_leaves_nothing_behind(task, stages, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    engine = LocalEngine(2)
    engine.run(task(stages.Hold(mebibytes=1)), print)
    assert list(temporary.iterdir())
    engine.close()
    assert not list(temporary.iterdir())
