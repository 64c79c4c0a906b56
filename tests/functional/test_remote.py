"""Two machines that share results: two stores, one remote, over HTTP and in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs")
PLUGIN = Path(__file__).parent / "plugin"
PIPELINE = """\
stages:
  first:
    uses: slow_write
    lines: 5
  second:
    uses: slow_write
    source: ${first.text}
    lines: 3
"""


class Machine:
    """A folder with the pipeline, a store of its own, and an environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, {**environment, "ODFLOW_STORE": str(folder / "store")}
        folder.mkdir()
        (folder / "p.yaml").write_text(textwrap.dedent(PIPELINE))

    def odflow(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "odflow", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        told = self.odflow("run", "p.yaml", *words, **environment)
        assert told.returncode == 0, told.stderr
        assert "Traceback" not in told.stderr
        return told

    @property
    def states(self) -> list[str]:
        record = json.loads((self.folder / "runs/p/run.json").read_text())
        return [stage["state"] for stage in record["stages"].values()]

    @property
    def outputs(self) -> dict[str, bytes]:
        runs = self.folder / "runs/p"
        found = [path for path in runs.rglob("*") if path.is_file() and path.suffix == ".txt"]
        return {str(path.relative_to(runs)): path.read_bytes() for path in found}


class Bucket:
    """What a test has to itself in the bucket."""

    def __init__(self, s3: Any, prefix: str) -> None:
        self.client, self.bucket, self.prefix = s3.client, s3.bucket, prefix
        self.environment = {**s3.environment, "ODFLOW_REMOTE": f"s3://{s3.bucket}/{prefix}"}

    @property
    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}/").get("Contents", [])
        return [item["Key"].removeprefix(f"{self.prefix}/") for item in found]

    def read(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")["Body"].read())

    def write(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}", Body=data)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")


class Folder:
    """A folder that both machines mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"ODFLOW_REMOTE": f"file://{folder}"}

    @property
    def names(self) -> list[str]:
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()


Remote = Bucket | Folder


@pytest.fixture
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if getattr(request, "param", "file") == "file":
        return Folder(tmp_path / "shared")
    return Bucket(request.getfixturevalue("s3"), request.node.name)


both = pytest.mark.parametrize("remote", ["s3", "file"], indirect=True)
over_http = pytest.mark.parametrize("remote", ["s3"], indirect=True)


@pytest.fixture
def machine(tmp_path: Path, remote: Remote) -> Callable[[str], Machine]:
    path = os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, **remote.environment}
    return lambda name: Machine(tmp_path / name, environment)


def warnings(told: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in told.stderr.splitlines() if "remote" in line.lower() or "://" in line]


@both
def test_what_one_machine_made_another_fetches(machine: Callable[[str], Machine], remote: Remote) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    assert runner.states == ["done", "done"]
    results = [name for name in remote.names if name.startswith("results/")]
    assert len(results) == 2
    assert len(remote.names) == len(set(remote.names)) == 2 + len(set(runner.outputs.values()))
    plan = laptop.odflow("plan", "p.yaml")
    assert plan.returncode == 0
    assert plan.stdout.count("fetch") >= 1
    assert laptop.outputs == {}
    told = laptop.run()
    assert laptop.states == ["fetched", "fetched"]
    assert "first: 5 lines" in told.stdout  # what the stage said came along
    assert laptop.outputs == runner.outputs
    assert warnings(told) == []
    laptop.run()
    assert laptop.states == ["cached", "cached"]


@over_http
def test_a_change_runs_only_what_it_touches(machine: Callable[[str], Machine], remote: Remote) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    laptop.run("--set", "second.lines=4")
    assert laptop.states == ["fetched", "done"]
    runner.run("--set", "second.lines=4")
    assert runner.states == ["cached", "fetched"]
    assert runner.outputs == laptop.outputs


@pytest.mark.parametrize(
    ("remote", "damage"),
    [("s3", "flipped"), ("s3", "empty"), ("file", "half"), ("file", "missing")],
    indirect=["remote"],
)
def test_a_damaged_object_runs_its_stage_and_is_repaired(
    damage: str, machine: Callable[[str], Machine], remote: Remote
) -> None:
    runner, laptop, third = machine("runner"), machine("laptop"), machine("third")
    runner.run()
    text = runner.outputs["second/text.txt"]
    name = next(name for name in remote.names if remote.read(name) == text)
    bad = {"flipped": bytes([text[0] ^ 1]) + text[1:], "half": text[: len(text) // 2], "empty": b""}
    remote.write(name, bad[damage]) if damage in bad else remote.remove(name)
    told = laptop.run()
    assert laptop.states == ["fetched", "done"]
    assert len(warnings(told)) == 1
    assert name in warnings(told)[0]
    assert laptop.outputs == runner.outputs
    assert third.run().stderr.count(name) == 0
    assert third.states == ["fetched", "fetched"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"outputs": {}, "said": [], "seconds": 0}',
        b"[" * 100_000,
        b'{"outputs": 5, "said": 5, "seconds": "x"}',
    ],
)
def test_a_manifest_that_is_none_runs_its_stage(
    text: bytes, machine: Callable[[str], Machine], remote: Remote
) -> None:
    runner, laptop, third = machine("runner"), machine("laptop"), machine("third")
    runner.run()
    for name in remote.names:
        if name.startswith("results/"):
            remote.write(name, text)
    laptop.run()
    assert laptop.states == ["done", "done"]
    third.run()
    assert third.states == ["fetched", "fetched"]


@pytest.mark.parametrize("place", ["../../../../stolen.txt", "/stolen.txt", "a/../../../stolen.txt"])
def test_a_manifest_cannot_write_elsewhere(
    place: str, machine: Callable[[str], Machine], remote: Remote, tmp_path: Path
) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    for name in remote.names:
        if name.startswith("results/"):
            data = json.loads(remote.read(name))
            for output in data["outputs"].values():
                for entry in output["files"]:
                    entry[0] = place
            remote.write(name, json.dumps(data).encode())
    laptop.run()
    assert laptop.states == ["done", "done"]
    assert not list(tmp_path.rglob("stolen.txt"))


def test_what_could_not_be_sent_is_sent_by_the_next_run(
    machine: Callable[[str], Machine], remote: Remote
) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run(ODFLOW_REMOTE="")
    assert runner.states == ["done", "done"]
    runner.run()
    assert runner.states == ["cached", "cached"]
    laptop.run()
    assert laptop.states == ["fetched", "fetched"]


def test_a_remote_that_is_out_of_reach_costs_one_warning(machine: Callable[[str], Machine]) -> None:
    runner = machine("runner")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        away = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "never-told",
            "ODFLOW_REMOTE": "s3://results/away",
        }
        began = time.monotonic()
        told = runner.run(**away)
        assert time.monotonic() - began < 60  # boto by itself tries for minutes
    assert runner.states == ["done", "done"]
    assert len(warnings(told)) == 1
    assert "never-told" not in told.stderr + told.stdout


@pytest.mark.parametrize(
    ("url", "told"),
    [("s33://bucket/x", 'protocol "s33"'), ("gs://bucket/x", "gcsfs"), ("/mnt/shared", "is not a place")],
)
def test_a_url_that_cannot_be_used(url: str, told: str, machine: Callable[[str], Machine]) -> None:
    runner = machine("runner")
    ended = runner.odflow("run", "p.yaml", ODFLOW_REMOTE=url)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert told in ended.stderr
    assert not (runner.folder / "runs").exists()


COUNT = """\
stages:
  count:
    uses: slow_count
    upto: 60
    pause: 0.05
"""


def kill_in_the_middle(machine: Machine) -> None:
    command = [sys.executable, "-m", "odflow", "run", "p.yaml"]
    environment = {**machine.environment, "ODFLOW_REMOTE": "", "SLOW_COUNT_PAUSE": "1"}
    started = subprocess.Popen(command, cwd=machine.folder, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not any(path.stat().st_size > 20 for path in machine.folder.rglob("done.txt")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def test_a_fetch_that_fails_leaves_what_a_killed_stage_had_done(
    machine: Callable[[str], Machine], remote: Remote
) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    for one in (runner, laptop):
        (one.folder / "p.yaml").write_text(COUNT)
    runner.run()
    kill_in_the_middle(laptop)
    name = next(name for name in remote.names if name.startswith("files/"))
    remote.write(name, b"half")
    laptop.run()
    assert laptop.states == ["done"]
    log = (laptop.folder / "runs/p/count/stage.log").read_text()
    starts = [line.partition("starts at ")[2] for line in log.splitlines() if "starts at" in line]
    assert int(starts[-1]) > 0
    assert laptop.outputs == runner.outputs


def test_who_may_only_read_goes_on_reading(machine: Callable[[str], Machine], remote: Remote) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    kept = remote.folder.with_name("kept")
    (remote.folder / "partial").rename(kept)
    (remote.folder / "partial").touch()  # nothing can be sent by way of it
    laptop.run("--force", "first")
    assert laptop.states == ["done", "fetched"]


def test_an_interrupt_ends_a_long_upload(machine: Callable[[str], Machine], remote: Remote) -> None:
    runner = machine("runner")
    (runner.folder / "p.yaml").write_text(PIPELINE.replace("lines: 5", "lines: 1000\n    pause: 0"))
    command = [sys.executable, "-m", "odflow", "run", "p.yaml"]
    started = subprocess.Popen(
        command, cwd=runner.folder, env=runner.environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while not remote.names and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=300)
    assert started.returncode == 130
    assert "Traceback" not in said
    assert len(remote.names) < 1000
    runner.run()
    assert runner.states == ["cached", "done"]


SHORT = (
    "from odflow.graph import request; request.DEADLINE = request.SILENCE = 1.0\n"
    "from odflow.__main__ import main; main()"
)


@pytest.mark.parametrize("ill", ["stalls", "trickles", "lies"])
@pytest.mark.parametrize("what", ["results/", "files/"])
def test_a_peer_cannot_hold_a_run(
    ill: str, what: str, machine: Callable[[str], Machine], remote: Remote, peer_that: Callable[..., Any]
) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    peer = peer_that({what: ill}, remote.folder)
    told = subprocess.run(
        [sys.executable, "-c", SHORT, "run", "p.yaml", "--debug"],
        cwd=laptop.folder,
        env={**laptop.environment, "ODFLOW_REMOTE": peer.url},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert laptop.states == ["done", "done"]
    assert laptop.outputs == runner.outputs
    lost = [line for line in warnings(told) if "will run" in line or "not asked again" in line]
    assert len(lost) == (2 if ill == "lies" else 1)
    kept = [path.read_bytes() for path in laptop.folder.rglob("*") if path.is_file()]
    for secret in ("never-told", "2030"):
        assert secret not in told.stdout + told.stderr
        assert not [data for data in kept if secret.encode() in data]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "termination"])
@pytest.mark.parametrize("what", ["results/", "files/"])
def test_an_interrupt_does_not_wait_for_a_peer(
    number: int, what: str, machine: Callable[[str], Machine], remote: Remote, peer_that: Callable[..., Any]
) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    peer = peer_that({what: "stalls"}, remote.folder)
    started = subprocess.Popen(
        [sys.executable, "-c", SHORT.replace("1.0", "5000.0"), "run", "p.yaml"],
        cwd=laptop.folder,
        env={**laptop.environment, "ODFLOW_REMOTE": peer.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 300
    while peer.asked < (2 if what == "files/" else 1) and time.monotonic() < until:
        time.sleep(0.02)
    started.send_signal(number)
    _, said = started.communicate(timeout=300)  # the peer would take longer
    assert started.returncode == 130, said
    assert "Traceback" not in said
    assert json.loads((laptop.folder / "runs/p/run.json").read_text())["state"] == "interrupted"


def as_lied(change: Callable[[dict[str, Any]], None], remote: Remote) -> None:
    for name in remote.names:
        if name.startswith("results/"):
            data = json.loads(remote.read(name))
            change(data)
            remote.write(name, json.dumps(data).encode())


def folder_for_file(data: dict[str, Any]) -> None:
    """A manifest that agrees with itself: the file is said to be a folder."""
    made = data["outputs"]["text"]
    (_, size, sha256), name = made["files"][0], "inside.txt"
    tree = hashlib.sha256(name.encode() + b"\0" + bytes.fromhex(sha256)).hexdigest()
    made.update(folder=True, files=[[name, size, sha256]], digest=f"tree:{tree}")


def file_for_folder(data: dict[str, Any]) -> None:
    made = data["outputs"]["folder"]
    (_, size, sha256), *_ = made["files"]
    made.update(folder=False, files=[["", size, sha256]], digest=sha256, size=size)


def name_too_long(data: dict[str, Any]) -> None:
    made = data["outputs"]["folder"]
    (_, size, sha256), *_ = made["files"]
    tree = hashlib.sha256(b"x" * 400 + b"\0" + bytes.fromhex(sha256)).hexdigest()
    made.update(files=[["x" * 400, size, sha256]], digest=f"tree:{tree}", size=size)


def endless_seconds(data: dict[str, Any]) -> None:
    data["seconds"] = float("inf")


LIES = [folder_for_file, file_for_folder, name_too_long, endless_seconds]


@pytest.mark.parametrize("lie", LIES, ids=[lie.__name__ for lie in LIES])
def test_a_manifest_that_lies_is_a_miss(
    lie: Callable[[dict[str, Any]], None], machine: Callable[[str], Machine], remote: Remote
) -> None:
    runner, laptop = machine("runner"), machine("laptop")
    runner.run()
    as_lied(lie, remote)
    told = laptop.run()
    assert laptop.states == ["done", "done"]
    assert 1 <= len(warnings(told)) <= 2  # one for each stage, where they differ
    assert laptop.outputs == runner.outputs
    assert laptop.run().stderr == ""


def test_a_local_manifest_that_lies_is_a_miss(machine: Callable[[str], Machine]) -> None:
    runner = machine("runner")
    runner.run(ODFLOW_REMOTE="")
    outputs = runner.outputs
    for path in runner.folder.glob("store/results/*/result.json"):
        data = json.loads(path.read_text())
        folder_for_file(data)
        path.write_text(json.dumps(data))
        text = path.parent / "outputs/text.txt"
        content = text.read_bytes()
        text.unlink()
        text.mkdir()
        (text / "inside.txt").write_bytes(content)
    told = runner.run(ODFLOW_REMOTE="")
    assert runner.states == ["done", "done"]
    assert told.stderr.count("warning") == 2
    assert runner.outputs == outputs
