"""The store as a user meets it: damaged, full, read-only, of another version, tidied and verified."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Odflow = Callable[..., subprocess.CompletedProcess[str]]

PIPELINE = """\
stages:
  first: {uses: slow_write, lines: 3}
  second: {uses: slow_write, source: "${first.text}", lines: 4}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def ran(folder: Path, odflow: Odflow) -> Path:
    assert odflow("run", "p.yaml").returncode == 0
    return folder


def states(told: subprocess.CompletedProcess[str]) -> list[str]:
    rows = [line.split() for line in told.stdout.splitlines()]
    return [row[1] for row in rows if len(row) >= 2 and row[0] in ("first", "second")]


def one_line(told: subprocess.CompletedProcess[str], *words: str) -> None:
    """An error of one line with these words, and nothing else that is no warning."""
    lines = [line for line in told.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, told.stderr
    assert all(word in lines[0] for word in words), lines[0]
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("harm", ["edit", "truncate", "remove", "add"])
def test_a_damaged_result_is_a_miss_and_verify_names_it(ran: Path, odflow: Odflow, harm: str) -> None:
    victim = next(path for path in ran.glob(".odflow/results/*/outputs/folder/2.txt"))
    before = victim.read_bytes()
    if harm == "add":
        victim = victim.with_name("new.txt")
        victim.touch()
    else:
        victim.chmod(0o644)
    if harm == "edit":
        victim.write_bytes(before.swapcase().replace(b"2", b"7"))
    elif harm == "truncate":
        os.truncate(victim, 1)
    elif harm == "remove":
        victim.unlink()
    fault = {"add": "does not belong there", "remove": "is missing"}.get(harm, "was changed")
    name = victim.relative_to(ran)
    told = odflow("verify")
    assert (told.returncode, told.stdout.splitlines()) == (
        1,
        [f"{name}: {fault}", "2 results, 1 files wrong"],
    )
    told = odflow("run", "p.yaml")
    assert told.returncode == 0
    assert sorted(states(told)[-2:]) == ["cached", "done"]
    assert told.stderr.splitlines()[0] == f"warning: {name}: {fault}, so its stage will run again."
    assert told.stderr.count("warning") == 1
    assert odflow("verify").stdout == "2 results, 0 files wrong\n"


def test_a_result_edited_behind_the_back_of_the_clock_is_found_by_verify(ran: Path, odflow: Odflow) -> None:
    victim = next(path for path in ran.glob(".odflow/results/*/outputs/folder/2.txt"))
    old = victim.stat()
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes().replace(b"2", b"7"))
    os.utime(victim, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert odflow("verify").returncode == 1


def test_gc_keeps_what_the_last_runs_used(ran: Path, odflow: Odflow) -> None:
    for lines in (5, 6):
        assert odflow("run", "p.yaml", "--set", f"first.lines={lines}").returncode == 0
    assert len(list(ran.glob(".odflow/results/*"))) == 6
    assert odflow("gc", "--keep-runs", "2").stdout.startswith("removed 2 results, ")
    assert states(odflow("plan", "p.yaml", "--set", "first.lines=5")) == ["cached", "cached"]
    assert states(odflow("plan", "p.yaml", "--set", "first.lines=6")) == ["cached", "cached"]
    assert states(odflow("plan", "p.yaml")) == ["run", "run"]
    assert odflow("run", "p.yaml", "--workdir", "other").returncode == 0
    assert odflow("gc", "--keep-runs", "1").stdout.startswith("removed 2 results, "), "of each work folder"
    assert states(odflow("plan", "p.yaml")) == ["cached", "cached"]
    assert odflow("gc", "--keep-runs", "0").returncode == 0
    assert not list(ran.glob(".odflow/results/*"))
    assert (ran / "runs/p/second/text.txt").exists(), "what lies in the work folder is the user's"


def test_gc_waits_for_a_run_that_uses_the_store(
    folder: Path, odflow: Odflow, started: Callable[..., subprocess.Popen[str]], wait_for: Callable[..., None]
) -> None:
    (folder / "p.yaml").write_text(
        "stages:\n  first: {uses: slow_write}\n  meet: {place: here}\n"
        "  second: {uses: slow_write, source: '${first.text}', lines: 30}\n"
    )
    running = started("run", "p.yaml", "--jobs", "1")
    wait_for((folder / "here/meet").exists)
    collector = started("gc", "--keep-runs", "0")
    assert collector.stderr is not None
    assert collector.stderr.readline() == "waits for another process that uses .odflow.\n"
    assert running.poll() is None
    (folder / "here/another").touch()
    _, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert collector.communicate(timeout=120)[1] == ""
    assert collector.returncode == 0


def test_what_is_no_store(folder: Path, odflow: Odflow) -> None:
    for command in (["verify"], ["gc", "--keep-runs", "1"]):
        told = odflow(*command)
        assert told.returncode == 2
        one_line(told, ".odflow: there is no store")


def test_a_store_of_a_newer_version(ran: Path, odflow: Odflow) -> None:
    (ran / ".odflow/version").write_text("7\n")
    told = odflow("run", "p.yaml")
    assert told.returncode == 1
    one_line(told, ".odflow: is a store of version 7; this odflow knows 1.")


@pytest.mark.parametrize("damage", ["garbage", "truncated"])
def test_a_damaged_memory_of_digests(ran: Path, odflow: Odflow, damage: str) -> None:
    memory = ran / ".odflow/digests.sqlite"
    odflow("run", "p.yaml")
    if damage == "garbage":
        memory.write_bytes(b"nonsense" * 500)
    else:
        os.truncate(memory, memory.stat().st_size // 2 + 100)
    before = sorted(ran.rglob("*"))
    for command in ("run", "plan"):
        told = odflow(command, "p.yaml")
        assert told.returncode == 1
        one_line(told, ".odflow/digests.sqlite: is damaged", "delete it")
    assert sorted(ran.rglob("*")) == before
    memory.unlink()
    assert states(odflow("run", "p.yaml"))[-2:] == ["cached", "cached"]


def test_a_full_disk(folder: Path, odflow: Odflow, small_disk: Path, environment: dict[str, str]) -> None:
    environment["ODFLOW_STORE"] = "disk"
    assert odflow("run", "p.yaml").returncode == 0
    subprocess.run(["dd", "if=/dev/zero", f"of={small_disk}/fill", "bs=1k"], capture_output=True, check=False)
    results = sorted(small_disk.glob("results/*"))
    told = odflow("run", "p.yaml", "--set", "first.lines=9")
    assert told.returncode == 1
    one_line(told, "first: disk", "the disk is full")
    assert sorted(small_disk.glob("results/*")) == results
    (small_disk / "fill").unlink()
    assert odflow("run", "p.yaml", "--set", "first.lines=9").returncode == 0


def test_a_read_only_store_serves_what_it_has(
    folder: Path, odflow: Odflow, small_disk: Path, environment: dict[str, str]
) -> None:
    environment["ODFLOW_STORE"] = "disk"
    assert odflow("run", "p.yaml").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert states(odflow("run", "p.yaml"))[-2:] == ["cached", "cached"]
    told = odflow("run", "p.yaml", "--set", "first.lines=9")
    assert told.returncode == 1
    one_line(told, "first: disk", "cannot be written (Read-only file system)")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


def test_an_input_folder_that_vanishes(folder: Path, odflow: Odflow) -> None:
    (folder / "data").mkdir()
    (folder / "data/a.txt").touch()
    (folder / "p.yaml").write_text(
        "stages:\n  first: {uses: vanish, source: data}\n  second: {uses: slow_write, source: data/a.txt}\n"
    )
    told = odflow("run", "p.yaml", "--jobs", "1")
    assert told.returncode == 2
    assert "first: data: cannot be read (No such file or directory). It was there when" in told.stderr
    assert "second: data/a.txt: cannot be read (No such file or directory)." in told.stderr
    assert not list(folder.glob(".odflow/results/*"))
    told = odflow("run", "p.yaml")
    assert told.returncode == 2
    assert "p.yaml:2: first.source: data does not exist." in told.stderr


@pytest.mark.parametrize("depth", [500_000, 100_000])
def test_a_pipeline_of_nested_lists(folder: Path, odflow: Odflow, depth: int) -> None:
    (folder / "p.yaml").write_text("stages: " + "[" * depth + "]" * depth)
    told = odflow("run", "p.yaml")
    assert told.returncode == 2
    one_line(told, "p.yaml: ")
    assert not (folder / ".odflow").exists()
