"""What the Ray engine promises beyond the contract, and what it refuses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from odflow.errors import ConfigError, StageError
from odflow.graph.stage import Needs

WITHOUT_RAY = (
    "import sys; sys.modules['ray'] = None; from odflow.cli import main; sys.exit(main(sys.argv[1:]))"
)
LIST_RAY = """
import atexit, sys
from odflow.cli import main

atexit.register(lambda: print("ray:", [name for name in sys.modules if name.partition(".")[0] == "ray"]))
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def pipeline(tmp_path):
    """One stage that fails for want of its input, after the engine was made."""
    path = tmp_path / "p.yaml"
    (tmp_path / "empty").mkdir()
    fields = f"format: voc, annotations: {tmp_path}/empty, images: {tmp_path}/empty"
    path.write_text(f"stages:\n  import: {{{fields}}}\n")
    return path


def odflow(code, *words, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_ray_that_is_not_installed_is_one_line(pipeline, tmp_path):
    done = odflow(WITHOUT_RAY, "run", str(pipeline), "--engine", "ray", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ['--engine ray: Ray is not installed. Use: pip install "odflow[ray]"']


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["run", "p.yaml"]])
def test_nothing_else_imports_ray(pipeline, tmp_path, words):
    done = odflow(LIST_RAY, *words, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "ray: []"


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("nonsense", "wanted HOST:PORT"),
        ("ray://127.0.0.1:10001", "wanted HOST:PORT"),
        ("127.0.0.1:port", "wanted HOST:PORT"),
        ("127.0.0.1:1", "no Ray cluster can be reached there"),
        ("127.0.0.1:99999", "no Ray cluster can be reached there"),
        ("no.such.host.invalid:6379", "no Ray cluster can be reached there"),
    ],
)
def test_an_address_where_no_cluster_is_fails_at_once(address, fault):
    from odflow.engines.ray import RayEngine

    began = time.monotonic()
    with pytest.raises(ConfigError, match=fault) as raised:
        RayEngine(1, address)
    assert time.monotonic() - began < 60  # Ray by itself tries for minutes
    assert str(raised.value).startswith(f"--address {address}: ")
    assert "\n" not in str(raised.value)


def test_a_server_that_says_nothing_is_not_waited_for_long():
    from odflow.engines.ray import RayEngine

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConfigError, match="no Ray cluster can be reached there"):
            RayEngine(1, address)
        assert time.monotonic() - began < 60


def test_a_web_server_is_not_taken_for_a_cluster():
    from odflow.engines.ray import RayEngine

    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ConfigError, match="is no Ray cluster"):
            RayEngine(1, f"127.0.0.1:{server.server_port}")
        thread.join()


def test_a_node_without_the_folder_of_the_run_is_told():
    from odflow.engines.ray_tasks import Desk, sit_down

    with pytest.raises(
        ConfigError, match=r"/no/such/folder: cannot be used on the node .* under the same path"
    ):
        sit_down(Desk("{}", "/no/such/folder", 0, None))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (Needs(cpus=64), "64 cpus, 0 gpus and 0.0 GiB"),
        (Needs(gpus=1), "1 cpus, 1 gpus and 0.0 GiB"),
        (Needs(cpus=0.5, memory="900 TiB"), "0.5 cpus, 0 gpus and 921600.0 GiB"),
    ],
)
def test_needs_that_no_node_has_are_told_before_anybody_waits(
    ray_of_two, task, stages, needs, told, monkeypatch
):
    for waiting in ("_begin_stage", "_pass_on"):
        monkeypatch.setattr(ray_of_two, waiting, lambda *given: pytest.fail("it waits"))
    error = ray_of_two.run(task(stages.Tell(), "train", needs=needs), print).error
    assert type(error) is ConfigError
    assert str(error).startswith(
        f"train needs {told}; the largest node of the cluster has 2 cpus, 0 gpus and "
    )


@pytest.mark.slow
def test_workers_have_the_priority_of_this_process(ray_of_two):
    import ray

    priority = ray.remote(lambda: os.getpriority(os.PRIO_PROCESS, 0))
    assert ray.get(priority.remote()) == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.slow
def test_a_stage_that_takes_all_processors_can_map(ray_of_two, task, stages, tmp_path):
    ended = ray_of_two.run(task(stages.Map(way="order", place=tmp_path), needs=Needs(cpus=2)), print)
    assert ended.error is None
    assert ended.said == ("True", "[]")


@pytest.mark.slow
def test_processes_serve_many_items_and_no_stage(ray_of_two, task, stages, tmp_path):
    pids = []
    for _ in range(2):
        ended = ray_of_two.run(task(stages.Map(way="pids", place=tmp_path)), print)
        pids.append([int(word) for word in ended.said[0].split()])
    (first, *first_items), (second, *second_items) = pids
    assert len(first_items) < 6
    assert first not in first_items
    assert second not in [first, *first_items, *second_items]
    assert set(first_items) & set(second_items)


@pytest.mark.slow
def test_no_process_keeps_the_log_of_a_stage_that_has_ended(ray_of_two, task, stages, tmp_path):
    one = task(stages.Map(way="pids", place=tmp_path))
    ended = ray_of_two.run(one, print)
    kept = []
    for descriptor in [fd for pid in ended.said[0].split() for fd in Path(f"/proc/{pid}/fd").glob("*")]:
        with suppress(FileNotFoundError):  # closed since it was listed
            kept.append(descriptor.readlink())
    assert one.log not in kept


@pytest.mark.slow
def test_an_item_whose_process_is_killed_is_told(ray_of_two, task, stages, tmp_path, capfd):
    error = ray_of_two.run(task(stages.Map(way="killed", place=tmp_path)), lambda message: None).error
    assert type(error) is StageError
    assert str(error).startswith("a worker was killed (WorkerCrashedError")
    time.sleep(1)  # Ray's own words about it, if there were any
    assert capfd.readouterr() == ("", "")
