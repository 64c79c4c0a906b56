"""Pipes and devices in place of files: every command ends, in one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Odflow = Callable[..., subprocess.CompletedProcess[str]]

PIPELINE = """\
params: {table: t.csv}
stages:
  keep: {uses: filter, detections: "${params.table}"}
"""
WANTED = {
    "a pipeline that is a device": (["run", "/dev/zero"], "/dev/zero: cannot be read (it is a device"),
    "a pipeline that is a fifo": (["run", "fifo"], "fifo: cannot be read (it is a named pipe"),
    "a plan of a fifo": (["plan", "fifo"], "fifo: cannot be read (it is a named pipe"),
    "a fifo by --set": (["run", "p.yaml", "--set", "params.table=fifo"], "fifo is a named pipe"),
    "a device by --set": (["plan", "p.yaml", "--set", "params.table=/dev/zero"], "/dev/zero is a device"),
    "a fifo for a stage by itself": (
        ["filter", "--detections", "fifo", "--out", "out"],
        "fifo is a named pipe",
    ),
}


@pytest.mark.parametrize(("words", "told"), WANTED.values(), ids=list(WANTED))
def test_fifo_in_place_of_a_file_is_told(tmp_path: Path, odflow: Odflow, words: list[str], told: str) -> None:
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "t.csv").write_text("filename,width,height,class,score,xmin,ymin,xmax,ymax\n")
    os.mkfifo(tmp_path / "fifo")
    ended = odflow(*words)
    lines = [line for line in ended.stderr.splitlines() if "absent" not in line]
    assert ended.returncode == 2, ended.stderr
    assert len(lines) == 1
    assert told in lines[0]
