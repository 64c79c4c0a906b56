"""A run on a real Ray cluster of three nodes, one of which dies in the middle."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Odflow = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., subprocess.Popen[str]]
MEMORY = 100 * 2**20  # bytes of each node's object store

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
    text = PIPELINE.format(teacher=quickstart / "teacher", pictures=quickstart / "pool")
    (tmp_path / "p.yaml").write_text(text)
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
    told = odflow("run", "p.yaml", "--workdir", "local", timeout=120)
    assert told.returncode == 0, told.stderr
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
    cluster.wait_for_nodes()
    store = folder / "store"
    environment["ODFLOW_STORE"] = str(store)
    running = started("run", "p.yaml", "--workdir", "ray", "--engine", "ray", "--address", cluster.address)
    until = time.monotonic() + 60
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
    _, err = running.communicate(timeout=180)
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
