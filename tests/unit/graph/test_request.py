"""Peers that trickle, stall and lie: each request ends, and the way out is always open."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from odflow.errors import DamagedError, RemoteError
from odflow.graph import remote as remote_module
from odflow.graph import request
from odflow.graph.content import Entry
from odflow.graph.remote import Remote

pytest.importorskip("s3fs")
pytest.importorskip("aiohttp")
KEY = "ab" * 32
LONG = 60  # seconds; nothing here takes as long unless it hangs
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
DATA = b"right" * 2000
ENTRY = Entry("", len(DATA), hashlib.sha256(DATA).hexdigest())

Answer = Callable[[socket.socket], object]


class Peer:
    """A server that reads a request and then does to the connection what a test wants."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.closed = Event()
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.socket.accept()
                Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            got = b""
            while b"\r\n\r\n" not in got:
                got += near.recv(65536)
            self.asked += 1
            self.answer(near)

    def close(self) -> None:
        self.closed.set()
        self.socket.close()


@pytest.fixture
def peer() -> Iterator[Callable[[Answer], Peer]]:
    made: list[Peer] = []

    def make(answer: Answer) -> Peer:
        made.append(Peer(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "DEADLINE", 0.5)
    monkeypatch.setattr(request, "SILENCE", 0.5)


def drip(near: socket.socket, data: Iterator[bytes] | None = None) -> None:
    for piece in data or (b"x" for _ in count()):
        near.sendall(piece)
        time.sleep(0.05)


def stall(near: socket.socket) -> None:
    time.sleep(LONG)


def dripping_head(near: socket.socket) -> None:
    drip(near, (bytes([byte]) for byte in HEAD + b"Content-Length: 4\r\n\r\nnull"))


def dripping_lines(near: socket.socket) -> None:
    near.sendall(HEAD)
    drip(near, (b"X-%d: y\r\n" % number for number in count()))


def dripping_body(near: socket.socket) -> None:
    near.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
    drip(near)


def dripping_chunks(near: socket.socket) -> None:
    near.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    drip(near, (b"1\r\nx\r\n" for _ in count()))


def stalling_body(near: socket.socket) -> None:
    near.sendall(HEAD + b"Content-Length: 10000\r\n\r\n{")
    stall(near)


def no_end(near: socket.socket) -> None:
    near.sendall(HEAD + b"Content-Length: 10000\r\n\r\n" + DATA[:-1])
    stall(near)


def endless(near: socket.socket) -> None:
    near.sendall(HEAD + b"\r\n")
    while True:
        near.sendall(b"x" * 65536)


def endless_chunks(near: socket.socket) -> None:
    near.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        near.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def length_too_large(near: socket.socket) -> None:
    near.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % 2**62)
    while True:
        near.sendall(b"x" * 65536)


def length_too_small(near: socket.socket) -> None:
    near.sendall(HEAD + b"Content-Length: 3\r\n\r\n" + DATA)


def ends_early(near: socket.socket) -> None:
    near.sendall(HEAD + b"Content-Length: 10000\r\n\r\n" + DATA[:77])


def no_length(near: socket.socket) -> None:
    near.sendall(HEAD + b"Connection: close\r\n\r\n" + DATA[:77])


def no_http(near: socket.socket) -> None:
    near.sendall(b"\x00\xff" * 1000)


def to_itself(near: socket.socket) -> None:
    near.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


HOSTILE = [
    stall,
    dripping_head,
    dripping_lines,
    dripping_body,
    dripping_chunks,
    stalling_body,
    no_end,
    endless,
    endless_chunks,
    length_too_large,
    length_too_small,
    ends_early,
    no_length,
    no_http,
    to_itself,
]
both = pytest.mark.parametrize("protocol", ["http", "s3"])
hostile = pytest.mark.parametrize("answer", HOSTILE, ids=[answer.__name__ for answer in HOSTILE])


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Peer], Remote]:
    def make(protocol: str, peer: Peer) -> Remote:
        if protocol == "http":
            return Remote(f"{peer.url}/there")
        given = {
            "AWS_ENDPOINT_URL": peer.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return Remote("s3://bucket/there")

    return make


@both
@hostile
def test_a_hostile_peer_is_given_up(
    protocol: str,
    answer: Answer,
    peer: Callable[[Answer], Peer],
    remote: Callable[[str, Peer], Remote],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_module, "LARGEST_MANIFEST", 2**20)
    there = remote(protocol, peer(answer))
    began = time.monotonic()
    with pytest.raises(RemoteError) as error:
        there.fetch({tmp_path / "got" / "file": ENTRY})
    assert len(str(error.value).splitlines()) == 1
    assert list((tmp_path / "got").iterdir()) == []
    with suppress(RemoteError):  # what is short and whole may be a manifest; its reader judges it
        assert len(there.manifest(KEY) or "") <= 2**20
    assert time.monotonic() - began < LONG


@both
def test_a_manifest_that_has_no_end_is_no_manifest(
    protocol: str,
    peer: Callable[[Answer], Peer],
    remote: Callable[[str, Peer], Remote],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request, "DEADLINE", LONG)
    monkeypatch.setattr(remote_module, "LARGEST_MANIFEST", 2**20)
    with pytest.raises(DamagedError, match="holds more than 1048576 bytes"):
        remote(protocol, peer(endless)).manifest(KEY)


def test_a_slow_peer_that_is_fast_enough_is_borne(
    peer: Callable[[Answer], Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "LEAST_RATE", 10)

    def slow(near: socket.socket) -> None:
        near.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
        drip(near, (DATA[at : at + 200] for at in range(0, 10_000, 200)))  # far longer than the deadline

    Remote(peer(slow).url + "/there").fetch({tmp_path / "got": ENTRY})
    assert (tmp_path / "got").read_bytes() == DATA


def test_a_peer_that_becomes_slow_is_given_up(peer: Callable[[Answer], Peer], tmp_path: Path) -> None:
    big = Entry("", 10**9, "ab" * 32)

    def slower(near: socket.socket) -> None:
        near.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n" + bytes(10**6))
        drip(near)

    with pytest.raises(RemoteError, match="too slow"):
        Remote(peer(slower).url + "/there").fetch({tmp_path / "got": big})


def stuck_upload(near: socket.socket) -> None:
    """Whatever is asked for is not there; whatever is sent is not taken."""
    near.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    stall(near)


def test_an_upload_that_nobody_takes_is_given_up(
    peer: Callable[[Answer], Peer], remote: Callable[[str, Peer], Remote], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(DATA)
    for answer in (stall, stuck_upload, dripping_head):
        with pytest.raises(RemoteError):
            remote("s3", peer(answer)).send(KEY, "{}", {tmp_path / "file": ENTRY})


@both
@pytest.mark.parametrize("answer", [stall, dripping_body, dripping_lines], ids=lambda answer: answer.__name__)
def test_a_stop_does_not_wait_for_the_peer(
    protocol: str,
    answer: Answer,
    peer: Callable[[Answer], Peer],
    remote: Callable[[str, Peer], Remote],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DEADLINE", "SILENCE"):
        monkeypatch.setattr(request, name, 10 * LONG)
    monkeypatch.setattr(request, "_GRACE", 0.2)
    for call in (
        lambda there: there.manifest(KEY),
        lambda there: there.fetch({tmp_path / "got": ENTRY}),
        lambda there: there.send(KEY, "{}", {}),
    )[: 3 if protocol == "s3" else 2]:  # nothing can be sent there by HTTP alone
        there = remote(protocol, peer(answer))
        Timer(0.3, there.stop).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            call(there)
        assert time.monotonic() - began < LONG
        with pytest.raises(KeyboardInterrupt):
            there.manifest(KEY)
    assert not list(tmp_path.glob(".partial-*"))


def test_time_in_which_this_process_stood_still_does_not_count() -> None:
    def work(go_on: request.GoOn) -> str:
        time.sleep(0.3)
        return "answer"

    looks = []
    assert request.ask(work, looks.append, Event()) == "answer"
    assert looks == sorted(looks)

    def stand_still(waited: float) -> None:
        looks.append(waited)
        time.sleep(0.5)  # as a process that was stopped

    looks.clear()
    request.ask(lambda go_on: time.sleep(1.2), stand_still, Event())
    assert looks[-1] < 1


def test_work_that_nobody_waits_for_learns_of_it() -> None:
    learned = Event()

    def work(go_on: request.GoOn) -> None:
        with suppress(InterruptedError):
            while True:
                go_on()
                time.sleep(0.01)
        learned.set()

    with pytest.raises(TimeoutError):
        request.ask(work, request.within(0.1), Event())
    assert learned.wait(LONG)


@pytest.mark.parametrize("daemon", [True, False], ids=["own thread", "thread of a package"])
def test_a_stuck_request_does_not_hold_the_exit(daemon: bool) -> None:
    script = f"""
import threading, time
import odflow.cli, odflow.__main__
from odflow.graph import request

def work(go_on):
    if not {daemon}:
        threading.Thread(target=time.sleep, args=({10 * LONG},)).start()
    time.sleep({10 * LONG})

try:
    request.ask(work, request.within(0.2), threading.Event())
except TimeoutError:
    print("late")
    odflow.cli.main = lambda apart: 7
    odflow.__main__.main()  # which ends the process
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=2 * LONG, check=False
    )
    assert (ended.returncode, ended.stdout) == (7, "late\n")


def test_nothing_stays_when_all_is_well(peer: Callable[[Answer], Peer], tmp_path: Path) -> None:
    def right(near: socket.socket) -> None:
        near.sendall(HEAD + b"Connection: close\r\nContent-Length: 10000\r\n\r\n" + DATA)

    before = set(threading.enumerate())
    there = Remote(peer(right).url + "/there")
    there.fetch({tmp_path / str(number): ENTRY for number in range(20)})
    assert len(list(tmp_path.iterdir())) == 20
    until = time.monotonic() + LONG
    while any(thread.name == "odflow-request" for thread in {*threading.enumerate()} - before):
        assert time.monotonic() < until
        time.sleep(0.01)
