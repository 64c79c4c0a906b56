"""Runs on Ray: a real cluster of three nodes, one of which dies in the middle, and a Ray of this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Odflow = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., subprocess.Popen[str]]
MEMORY = 100 * 2**20  # bytes of each node's object store
AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}  # of a Ray that was killed: they end a minute later

PIPELINE = """\
stages:
  detect:
    model: {teacher}
    images: {pictures}
    min_score: 0.4
  keep:
    uses: filter
    detections: ${{detect.detections}}
    label_map: {teacher}/label_map.pbtxt
    min_side: 6
  split:
    detections: ${{keep.kept}}
    valid_fraction: 0.2
  records:
    detections: ${{split.train}}
    images: {pictures}
    label_map: ${{keep.kept_label_map}}
    shards: 3
"""
EVALUATE = """\
  teacher:
    uses: evaluate
    model: {teacher}
    images: {heldout}
    annotations: {heldout}.csv
"""


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that runs no stage, and two nodes that do; `odflow` on this machine joins it."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


@pytest.fixture
def folder(tmp_path: Path, project: Path) -> Path:
    """The pipeline, with the quickstart's own teacher and pictures."""
    quickstart = project / "pipelines" / "quickstart"
    places = {"teacher": "teacher", "pictures": "pool", "heldout": "heldout"}
    places = {name: quickstart / place for name, place in places.items()}
    (tmp_path / "p.yaml").write_text(PIPELINE.format(**places))
    (tmp_path / "measured.yaml").write_text((PIPELINE + EVALUATE).format(**places))
    return tmp_path


def outputs(folder: Path) -> dict[str, bytes]:
    """All that a run has put in its work folder, but for logs and times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "stage.log")
    }


def journal(store: Path) -> int:
    """How many images a run of `detect` has finished."""
    lines = [path.read_bytes().count(b"\n") for path in store.glob("staging/*/work/*journal*")]
    return max(lines, default=0)


def raylet_of_stage(store: Path) -> int:
    """The process of the node that a stage runs on: the parent of the one that holds its log."""
    [log] = store.glob("staging/*/stage.log")
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            command = (place / "cmdline").read_bytes()
            if command.startswith(b"ray::detect") and (place / "fd" / "1").readlink() == log:
                return int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    raise AssertionError("no process holds the log of the stage")


def test_a_node_that_dies_in_the_middle_of_detect_costs_nothing_but_time(
    folder: Path, odflow: Odflow, started: Started, environment: dict[str, str], cluster: Any, wait_for: Any
) -> None:
    environment["ODFLOW_STORE"] = str(folder / "local-store")
    told = odflow("run", "p.yaml", "--workdir", "local", timeout=900)
    assert told.returncode == 0, told.stderr
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    cluster.wait_for_nodes()
    store = folder / "store"
    environment["ODFLOW_STORE"] = str(store)
    running = started("run", "p.yaml", "--workdir", "ray", "--engine", "ray", "--address", cluster.address)
    until = time.monotonic() + 600
    while journal(store) < 16:
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until, "nothing was detected"
        time.sleep(0.02)
    finished = journal(store)
    victim = raylet_of_stage(store)
    cluster.remove_node(
        next(
            node for node in nodes if any(one.process.pid == victim for one in node.all_processes["raylet"])
        ),
        allow_graceful=False,
    )
    _, err = running.communicate(timeout=900)
    assert running.returncode == 0, err
    assert finished < 180, "it was killed in the middle"
    assert "detect: warning: its node died; runs on another." in err
    resumed = re.search(r"goes on after (\d+) of 180 images", err)
    assert resumed, err
    assert int(resumed[1]) >= 16
    assert outputs(folder / "ray") == outputs(folder / "local")


def test_what_no_node_has_is_told_before_anybody_waits(folder: Path, odflow: Odflow) -> None:
    text = (
        (folder / "p.yaml")
        .read_text()
        .replace("    min_score: 0.4\n", "    min_score: 0.4\n    needs: {gpus: 3}\n")
    )
    (folder / "p.yaml").write_text(text)
    told = odflow("run", "p.yaml", "--engine", "ray", "--jobs", "1")
    assert told.returncode == 2
    assert (
        "detect needs 1 cpus, 3 gpus and 0.0 GiB; the largest node of the cluster has 1 cpus" in told.stderr
    )


def test_an_address_where_no_cluster_is(folder: Path, odflow: Odflow) -> None:
    told = odflow("run", "p.yaml", "--engine", "ray", "--address", "127.0.0.1:1")
    assert told.returncode == 2
    [line] = told.stderr.splitlines()
    assert line.startswith("--address 127.0.0.1:1: no Ray cluster can be reached there")
    told = odflow("run", "p.yaml", "--address", "127.0.0.1:1")
    assert (told.returncode, told.stderr) == (2, "--address is of a Ray cluster. Add --engine ray.\n")


def test_a_ray_of_this_machine_makes_what_the_local_engine_makes(
    folder: Path, odflow: Odflow, environment: dict[str, str]
) -> None:
    for engine in ("local", "ray"):
        environment["ODFLOW_STORE"] = str(folder / f"{engine}-store")
        told = odflow("run", "measured.yaml", "--workdir", engine, "--engine", engine, timeout=900)
        assert told.returncode == 0, told.stderr
    assert "ray" not in re.sub("Outputs: ray", "", told.stdout + told.stderr).lower()
    local, ray = outputs(folder / "local"), outputs(folder / "ray")
    metrics = [json.loads(made.pop("teacher/metrics.json")) for made in (local, ray)]
    assert list(metrics[0]) == list(metrics[1])
    assert ray == local


def left_of(session: int) -> set[str]:
    """The processes of a session that have not ended."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, of = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.add((place / "cmdline").read_text().strip("\0 "))
    return found


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_ended_leaves_no_process_and_goes_on(
    tmp_path: Path,
    environment: dict[str, str],
    odflow: Odflow,
    started: Started,
    how: signal.Signals,
    code: int,
) -> None:
    (tmp_path / "p.yaml").write_text("stages:\n  count: {uses: slow_count, upto: 60}\n")
    slow = {**environment, "SLOW_COUNT_PAUSE": "1"}
    running = started("run", "p.yaml", "--engine", "ray", start_new_session=True, env=slow)
    until = time.monotonic() + 600
    while not any(path.stat().st_size for path in tmp_path.glob(".odflow/staging/*/work/done.txt")):
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until, "nothing was counted"
        time.sleep(0.02)
    # Ctrl-C on a terminal reaches all processes at once, those of Ray too.
    (os.killpg if how == signal.SIGINT else os.kill)(running.pid, how)
    _, err = running.communicate(timeout=300)
    assert running.returncode == code, err
    until = time.monotonic() + 30  # a process that has ended is gone once its parent was told
    while (
        left := left_of(running.pid) - (AGENTS if how == signal.SIGKILL else set())
    ) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left
    told = odflow("run", "p.yaml")
    assert told.returncode == 0, told.stderr
    assert re.search(r"count: starts at [1-9]", told.stderr)
    assert (tmp_path / "runs/p/count/counted.txt").read_text() == "".join(f"{n}\n" for n in range(60))
