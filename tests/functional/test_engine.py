"""Stages in processes of their own: at once, killed, interrupted, logged, tried again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Odflow = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., subprocess.Popen[str]]
WaitFor = Callable[[Callable[[], bool]], None]


def record(folder: Path) -> dict[str, dict[str, object]]:
    return json.loads((folder / "runs/p/run.json").read_text())["stages"]


def test_stages_run_at_once_as_far_as_jobs_allow(tmp_path: Path, odflow: Odflow) -> None:
    (tmp_path / "p.yaml").write_text(
        "stages:\n  one: {uses: meet, place: here}\n  two: {uses: meet, place: here, label: other}\n"
    )
    assert odflow("run", "p.yaml", "--jobs", "2").returncode == 0
    alone = [f"{stage}.{field}" for stage in ("one", "two") for field in ("place=there", "patience=2")]
    told = odflow("run", "p.yaml", "--jobs", "1", *(word for field in alone for word in ("--set", field)))
    assert told.returncode == 1
    assert "one: nobody came." in told.stderr


@pytest.mark.parametrize(("jobs", "others", "most"), [(1, 0, 1), (3, 0, 3), (3, 1, 2)])
def test_map_uses_the_workers_left(tmp_path: Path, odflow: Odflow, jobs: int, others: int, most: int) -> None:
    stages = [f"  spread: {{items: 30, place: here, others: {others}}}"]
    stages += [f"  wait{n}: {{uses: meet, place: here, wanted: {others + 1}}}" for n in range(others)]
    (tmp_path / "p.yaml").write_text("stages:\n" + "\n".join(reversed(stages)))
    assert odflow("run", "p.yaml", "--jobs", str(jobs)).returncode == 0
    assert (tmp_path / "runs/p/spread/most.txt").read_text() == f"{most}\n"


def test_one_failure_lets_the_others_finish(tmp_path: Path, odflow: Odflow) -> None:
    (tmp_path / "p.yaml").write_text(
        """\
        stages:
          bad: {uses: hog, mebibytes: 1, end: exit}
          after: {uses: slow_write, source: "${bad.text}"}
          good: {uses: slow_count, upto: 10}
          later: {uses: slow_write, source: "${good.counted}"}
        """
    )
    told = odflow("run", "p.yaml", "--jobs", "2")
    assert told.returncode == 1
    assert "after: not run, since bad has no result." in told.stderr
    rows = [re.split(r"\s{2,}", line)[:2] for line in told.stdout.splitlines()]
    assert [row for row in rows if row[0] in ("bad", "after", "good", "later")] == [
        ["bad", "failed"],
        ["after", "not run"],
        ["good", "done"],
        ["later", "done"],
    ]


def test_a_stage_that_the_system_kills_is_told_with_its_memory_and_its_log(
    tmp_path: Path, odflow: Odflow
) -> None:
    (tmp_path / "p.yaml").write_text("stages: {hog: {mebibytes: 600, end: killed}}")
    told = odflow("run", "p.yaml")
    assert told.returncode == 1
    found = re.search(
        r"^hog was killed \(signal 9, probably out of memory; it had reached (\d\.\d) GiB\)\. "
        r"See (runs/p/hog/stage\.log)\.$",
        told.stderr,
        re.MULTILINE,
    )
    assert found, told.stderr
    assert 0.6 <= float(found[1]) < 1.0
    assert "written by C" in (tmp_path / found[2]).read_text()
    assert not list((tmp_path / ".odflow/staging").iterdir())
    told = odflow("run", "p.yaml", "--set", "hog.end=crashed")
    assert "hog was killed (signal 11, SIGSEGV; it had reached" in told.stderr
    told = odflow("run", "p.yaml", "--set", "hog.end=real-time")
    assert f"hog was killed (signal {signal.SIGRTMIN + 3}, SIGRTMIN+3; it had reached" in told.stderr


def test_logs_memory_and_seconds_are_kept(tmp_path: Path, odflow: Odflow) -> None:
    (tmp_path / "p.yaml").write_text("stages: {hog: {mebibytes: 400}, write: {uses: slow_write, lines: 2}}")
    told = odflow("run", "p.yaml")
    assert told.returncode == 0
    assert "written by C" not in told.stderr + told.stdout
    log = (tmp_path / "runs/p/hog/stage.log").read_text()
    assert "printed by Python\n" in log
    assert "written by C\n" in log
    table = [re.split(r"\s{2,}", line) for line in told.stdout.splitlines()]
    assert ["stage", "state", "seconds", "peak memory"] in table
    sizes = {row[0]: int(row[3].removesuffix(" MiB")) for row in table if row[0] in ("hog", "write")}
    assert sizes["hog"] > 400
    assert sizes["write"] < 200
    assert record(tmp_path)["hog"]["peak"] == pytest.approx(sizes["hog"] * 2**20, rel=0.01)
    (tmp_path / "runs/p/hog/stage.log").unlink()
    assert odflow("run", "p.yaml").returncode == 0
    assert (tmp_path / "runs/p/hog/stage.log").read_text() == log, "a cached run puts it back"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_every_child(
    tmp_path: Path,
    environment: dict[str, str],
    odflow: Odflow,
    started: Started,
    wait_for: WaitFor,
    number: signal.Signals,
) -> None:
    (tmp_path / "p.yaml").write_text(
        "stages:\n  one: {uses: slow_count, upto: 100}\n  two: {uses: slow_count, upto: 101}\n"
        "  after: {uses: slow_write, source: '${one.counted}'}\n"
    )
    running = started("run", "p.yaml", "--jobs", "2", env={**environment, "SLOW_COUNT_PAUSE": "1"})
    counted = ".odflow/staging/*/work/done.txt"
    wait_for(lambda: sum(path.stat().st_size > 0 for path in tmp_path.glob(counted)) == 2)
    children = descendants(running.pid)
    assert len(children) == 2
    running.send_signal(number)
    _, err = running.communicate(timeout=60)  # of the hundred seconds that they would count
    assert running.returncode == 130
    assert err.splitlines()[-1] == "interrupted. The same command goes on from here."
    assert "Traceback" not in err
    assert not [pid for pid in children if is_alive(pid)]
    states = {name: stage["state"] for name, stage in record(tmp_path).items()}
    assert states == {"one": "interrupted", "two": "interrupted"}
    told = odflow("run", "p.yaml")
    assert told.returncode == 0
    assert {int(found) for found in re.findall(r"starts at (\d+)", told.stderr)} > {
        0
    } or "at 0" not in told.stderr
    assert (tmp_path / "runs/p/one/counted.txt").read_text() == "".join(
        f"{number}\n" for number in range(100)
    )


def test_a_kill_of_the_run_takes_its_stages_along(
    tmp_path: Path, started: Started, wait_for: WaitFor
) -> None:
    (tmp_path / "p.yaml").write_text("stages: {one: {uses: slow_count, upto: 1000}}")
    running = started("run", "p.yaml")
    wait_for(lambda: any(tmp_path.glob(".odflow/staging/*/work/done.txt")))
    children = descendants(running.pid)
    running.kill()
    running.communicate(timeout=120)
    assert children
    wait_for(lambda: not [pid for pid in children if is_alive(pid)])


def test_retries_are_off_until_asked_for(tmp_path: Path, odflow: Odflow) -> None:
    (tmp_path / "p.yaml").write_text("stages: {flaky: {failures: 1, place: counts}}")
    told = odflow("run", "p.yaml")
    assert told.returncode == 1
    assert "flaky: no answer, attempt 1." in told.stderr
    (tmp_path / "p.yaml").write_text("stages: {flaky: {failures: 3, place: counts, retries: 2}}")
    told = odflow("run", "p.yaml")
    assert told.returncode == 0
    assert "flaky: no answer, attempt 2. Is tried again in 1 s (2 left)." in told.stderr
    assert (tmp_path / "runs/p/flaky/text.txt").read_text() == "at last\n"


def test_a_wrong_input_is_not_tried_again(tmp_path: Path, odflow: Odflow) -> None:
    (tmp_path / "p.yaml").write_text(
        "stages: {flaky: {failures: 3, place: counts, wrong_input: true, retries: 2}}"
    )
    assert odflow("run", "p.yaml").returncode == 2
    assert len(list((tmp_path / "counts").iterdir())) == 1


def meddle(folder: Path, kind: str, how: str) -> None:
    """A pipeline of a stage that does something to its input, a file or a folder, while it runs."""
    (folder / "data").mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / "data" / name).write_text(f"{name}\n")
    source = "data" if kind == "folder" else "data/b.txt"
    (folder / "p.yaml").write_text(f"stages: {{meddle: {{source: {source}, how: {how}}}}}")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_input_that_changes_meanwhile_spoils_the_result(tmp_path: Path, odflow: Odflow, kind: str) -> None:
    meddle(tmp_path, kind, "write")
    told = odflow("run", "p.yaml")
    assert told.returncode == 2
    assert (
        "meddle: data/b.txt: changed while the stage ran, so its result is not kept. Run again."
        in told.stderr
    )
    assert not list(tmp_path.glob(".odflow/results/*"))
    assert not (tmp_path / "runs/p/meddle/text.txt").exists()
    assert odflow("run", "p.yaml").returncode == 0, "now it changes nothing any more"


@pytest.mark.parametrize("how", ["swap", "touch"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_input_that_was_another_meanwhile_spoils_the_result(
    tmp_path: Path, odflow: Odflow, kind: str, how: str
) -> None:
    """Its content is as it was before; the ctime tells that it need not have been so all the time."""
    meddle(tmp_path, kind, how)
    told = odflow("run", "p.yaml")
    assert told.returncode == 2
    assert "meddle: data/b.txt: was moved away and back, or touched, while the stage ran" in told.stderr
    assert not list(tmp_path.glob(".odflow/results/*"))


@pytest.mark.parametrize("how", ["tar --mtime=@0", "cp", "rsync"])
def test_another_file_with_the_size_and_the_time_of_the_last_is_seen_by_ctime(
    tmp_path: Path, odflow: Odflow, how: str
) -> None:
    if shutil.which(how.split()[0]) is None:
        pytest.skip(f"{how} is not installed")
    data, new = tmp_path / "data", tmp_path / "new"
    for folder, text in ((data, "one\n"), (new, "two\n")):
        folder.mkdir()
        (folder / "t.csv").write_text(text)
        os.utime(folder / "t.csv", (0, 0))
    (tmp_path / "p.yaml").write_text("stages: {keep: {uses: slow_write, source: data/t.csv, lines: 1}}")
    assert odflow("run", "p.yaml").returncode == 0
    assert odflow("plan", "p.yaml").stdout.split()[4] == "cached"
    if how == "cp":
        command = ["cp", "--preserve=timestamps", new / "t.csv", data]
    elif how == "rsync":
        command = ["rsync", "-t", "--inplace", "--ignore-times", new / "t.csv", data]
    else:
        subprocess.run([*how.split(), "-cf", tmp_path / "tar", "-C", new, "t.csv"], check=True)
        command = ["tar", "-xf", tmp_path / "tar", "-C", data]
    subprocess.run(command, check=True)
    assert (data / "t.csv").stat().st_mtime == 0
    assert "keep   run    data/t.csv changed" in odflow("plan", "p.yaml").stdout
    told = odflow("run", "p.yaml")
    assert "keep: runs (data/t.csv changed)" in told.stderr


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, directly or not."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: list[int] = []
    waiting = [pid]
    while waiting:
        above = waiting.pop()
        below = [child for child, parent in parents.items() if parent == above]
        found += below
        waiting += below
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
