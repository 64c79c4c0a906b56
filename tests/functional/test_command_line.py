"""``python -m odflow`` as a user runs it: exit codes, streams, speed, imports, and being killed."""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = ["tensorflow", "numpy", "pandas", "PIL", "official", "tf_keras", "ray", "fsspec"]

Told = subprocess.CompletedProcess[str]
Odflow = Callable[..., Told]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a pipeline of built-in stages that need no model."""
    (tmp_path / "p.yaml").write_text(
        textwrap.dedent(
            """\
            params: {boxes: boxes.csv}
            stages:
              keep:
                uses: filter
                detections: ${params.boxes}
                classes: [person]
              split:
                detections: ${keep.kept}
                train_count: 1
            """
        )
    )
    (tmp_path / "boxes.csv").write_text(
        "filename,width,height,class,score,xmin,ymin,xmax,ymax\n"
        "a.jpg,100,100,person,0.9,1,1,50,50\n"
        "b.jpg,100,100,person,0.4,1,1,50,50\n"
        "c.jpg,100,100,car,0.4,1,1,50,50\n"
    )
    return tmp_path


def seconds(odflow: Odflow, *words: str) -> float:
    """Time on the processor, which is what a machine that does nothing else would take; the best of three."""
    found = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert odflow(*words).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def test_help_is_quick(odflow: Odflow) -> None:
    assert seconds(odflow, "--help") < 0.5


def test_a_cached_run_and_a_plan_are_quick(odflow: Odflow, folder: Path) -> None:
    assert odflow("run", "p.yaml").returncode == 0
    assert seconds(odflow, "run", "p.yaml") < 1
    assert seconds(odflow, "plan", "p.yaml", "--set", "keep.min_score=0.7") < 1


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "plan p.yaml",
        "run p.yaml",
        "status p.yaml",
        "graph p.yaml",
        "stages",
        "schema",
        "detect --help",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(
    words: str, odflow: Odflow, folder: Path, environment: dict[str, str]
) -> None:
    assert odflow("run", "p.yaml").returncode == 0
    script = f"""
import sys
from odflow.cli import main
try:
    main({words.split()!r})
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr.splitlines()[-1] == "[]"


def test_a_run_and_the_next_one(odflow: Odflow, folder: Path) -> None:
    first = odflow("run", "p.yaml")
    assert first.returncode == 0
    assert "keep: kept 2 boxes" in first.stdout
    assert "keep: runs (never ran)." in first.stderr.splitlines()
    second = odflow("run", "p.yaml")
    assert second.returncode == 0
    assert "keep: kept 2 boxes" in second.stdout
    assert second.stdout.splitlines()[-1] == "nothing to do: all 2 stages are cached. Outputs: runs/p"
    record = json.loads((folder / "runs/p/run.json").read_text())
    assert [stage["state"] for stage in record["stages"].values()] == ["cached", "cached"]
    plan = odflow("plan", "p.yaml", "--set", "split.train_count=2")
    assert re.split(r"\s{2,}|\n", plan.stdout.strip())[-3:] == ["split", "run", "train_count 1 -> 2"]


def test_single_stages_and_plugged_in_ones(odflow: Odflow, folder: Path) -> None:
    told = odflow("filter", "--detections", "boxes.csv", "--classes", "car", "--out", "out")
    assert told.returncode == 0
    assert len((folder / "out/detections.csv").read_text().splitlines()) == 2
    told = odflow("slow_write", "--lines", "3", "--out", "out")
    assert (told.returncode, told.stdout, told.stderr) == (0, "slow_write: 3 lines\n", "")
    listed = odflow("stages")
    assert listed.returncode == 0
    assert "slow_write" in listed.stdout
    assert (
        'warning: stage "absent" (slow_stages:Absent, package slow-stages) cannot be imported'
        in listed.stderr
    )


def test_what_is_wrong_with_a_pipeline_comes_before_anything_runs(odflow: Odflow, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "stages:\n  keep:\n    uses: fliter\n  split:\n    detectons: x.csv\n  slow_write:\n    lines: 3\n"
    )
    told = odflow("run", "p.yaml")
    assert told.returncode == 2
    assert told.stdout == ""
    assert told.stderr.splitlines()[:2] == [
        'p.yaml:3: stage "fliter" is unknown. Did you mean "filter"?',
        'p.yaml:4: split: "detections" is missing: ' + told.stderr.splitlines()[1].partition("missing: ")[2],
    ]
    assert (
        told.stderr.splitlines()[2] == 'p.yaml:5: split: "detectons" is unknown. Did you mean "detections"?'
    )
    assert not (folder / "runs").exists()


def test_a_reader_that_goes_away_is_no_error(folder: Path, environment: dict[str, str]) -> None:
    command = f"{sys.executable} -m odflow schema | head -c 1; echo ${{PIPESTATUS[0]}}"
    told = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert [line for line in told.stderr.splitlines() if 'stage "absent"' not in line] == []
    assert told.stdout in ("{141\n", "{0\n")


def test_an_interrupted_run_ends_with_130_and_goes_on(
    folder: Path, environment: dict[str, str], odflow: Odflow, wait_for: Callable[..., None]
) -> None:
    (folder / "count.yaml").write_text("stages: {slow_count: {upto: 60}}")
    running = subprocess.Popen(
        [sys.executable, "-m", "odflow", "run", "count.yaml"],
        cwd=folder,
        env={**environment, "SLOW_COUNT_PAUSE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: any(path.stat().st_size for path in folder.glob(".odflow/staging/*/work/done.txt")))
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "interrupted. The same command goes on from here."
    assert "Traceback" not in err
    assert "interrupted" in odflow("status", "count.yaml").stdout
    told = odflow("run", "count.yaml")
    start = re.search(r"starts at (\d+)", told.stderr)
    assert told.returncode == 0
    assert start is not None
    assert int(start[1]) > 0
    counted = (folder / "runs/count/slow_count/counted.txt").read_text()
    assert counted == "".join(f"{number}\n" for number in range(60))


def test_a_killed_run_leaves_nothing_half_published(
    folder: Path, environment: dict[str, str], odflow: Odflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SIGKILL at random moments: the store is whole at every one of them, and the end is the same."""
    pipeline = (
        "stages:\n  first: {uses: slow_write}\n"
        "  second: {uses: slow_write, source: '${first.text}'}\n"
        "  third: {uses: slow_write, source: '${second.text}', lines: 41}\n"
    )
    undisturbed = tmp_path_factory.mktemp("undisturbed")
    for place in (undisturbed, folder):
        (place / "k.yaml").write_text(pipeline)
    assert odflow("run", "k.yaml", cwd=undisturbed).returncode == 0
    chance = random.Random(7)
    killed = 0
    for _ in range(8):
        running = subprocess.Popen(
            [sys.executable, "-m", "odflow", "run", "k.yaml"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.2, 0.9))
        running.kill()
        killed += running.wait() == -signal.SIGKILL
        for result in folder.glob(".odflow/results/*"):
            assert files(result) == files(undisturbed / ".odflow/results" / result.name)
        for output in folder.glob("runs/k/*/*.txt"):
            assert output.read_bytes() == (undisturbed / output.relative_to(folder)).read_bytes()
    assert killed
    told = odflow("run", "k.yaml")
    assert told.returncode == 0
    assert files(folder / "runs/k") == files(undisturbed / "runs/k")
    assert not list((folder / ".odflow/staging").iterdir())


def test_two_runs_at_once_make_each_result_once(
    folder: Path, environment: dict[str, str], wait_for: Callable[..., None]
) -> None:
    (folder / "t.yaml").write_text(
        "stages:\n  first: {uses: meet, place: here}\n  second: {uses: slow_write, source: '${first.met}'}\n"
    )
    said = [folder / f"{workdir}.said" for workdir in ("one", "two")]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "odflow", "run", "t.yaml", "--workdir", path.stem],
            cwd=folder,
            env=environment,
            stdout=path.open("w"),
            stderr=subprocess.STDOUT,
        )
        for path in said
    ]
    waits = re.compile(r"waits for first \(process \d+, since \d\d:\d\d:\d\d\)\.")
    wait_for(lambda: any(waits.search(path.read_text()) for path in said))
    wait_for((folder / "here/first").exists)
    (folder / "here/second.txt").touch()
    assert [running.wait(timeout=120) for running in both] == [0, 0]
    assert files(folder / "one") == files(folder / "two")
    told = [path.read_text() for path in said]
    assert "".join(told).count("first: runs") == 1
    assert "".join(told).count("second: runs") == 1
    assert all("first: met" in one for one in told)


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder and their bytes; of manifests only what is no time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "run.json":
            data = path.read_bytes()
            is_manifest = path.name == "result.json"
            found[str(path.relative_to(folder))] = (
                re.sub(rb'"seconds": .*', b"", data) if is_manifest else data
            )
    return found


def test_numbers_that_stages_count_are_told_as_json(odflow: Odflow, tmp_path: Path) -> None:
    """Of a run, of a cached one, by status, and of a stage by itself; lines go to standard error."""
    (tmp_path / "p.yaml").write_text("stages: {slow_write: {lines: 3}}")
    first, cached = odflow("run", "p.yaml", "--json"), odflow("run", "p.yaml", "--json")
    for told, state in (
        (first, "done"),
        (cached, "cached"),
        (odflow("status", "p.yaml", "--json"), "cached"),
    ):
        stage = json.loads(told.stdout)["stages"]["slow_write"]
        assert (stage["counts"], stage["said"], stage["state"]) == ({"lines": 3}, ["3 lines"], state)
    assert "slow_write: 3 lines\n" in first.stderr
    assert json.loads((tmp_path / "runs/p/run.json").read_text()) == json.loads(cached.stdout)
    alone = odflow("slow_write", "--lines", "2", "--out", "out", "--json")
    assert json.loads(alone.stdout) == {
        "stage": "slow_write",
        "outputs": {"text": "out/text.txt", "folder": "out/folder"},
        "said": ["2 lines"],
        "counts": {"lines": 2},
    }
    planned = json.loads(odflow("plan", "p.yaml", "--json").stdout)
    assert planned == {"stages": [{"stage": "slow_write", "state": "cached", "why": ""}], "moves": []}
