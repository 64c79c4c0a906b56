"""Threads that map items, and the turns that the processes of a run share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.engines.threads import Threads, Turns


@settings(deadline=None)
@given(items=st.lists(st.integers()), jobs=st.integers(1, 5))
def test_results_are_those_of_map(items: list[int], jobs: int) -> None:
    assert list(Threads(jobs).map(str, items)) == list(map(str, items))


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_items_are_taken_only_as_results_are_asked_for(jobs: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = Threads(jobs).map(str, items())
    assert taken == 0
    for asked in range(1, 50):
        assert next(results) == str(asked)
        assert taken <= asked + 2 * jobs


def test_work_is_done_at_once() -> None:
    barrier = threading.Barrier(3, timeout=120)
    assert sorted(Threads(3).map(lambda _: barrier.wait(), range(3))) == [0, 1, 2]


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_error_comes_in_its_place_and_ends_the_work(jobs: int) -> None:
    before = set(threading.enumerate())
    results = Threads(jobs).map(lambda number: 1 // (3 - number), range(1000))
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not {thread for thread in threading.enumerate() if thread.name.startswith("odflow")} - before


def test_an_item_is_worked_on_in_its_turn() -> None:
    one_at_a_time, now, most = threading.Lock(), 0, 0

    @contextmanager
    def turn() -> Iterator[None]:
        with one_at_a_time:
            yield

    def work(_: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(0.005)
        now -= 1

    list(Threads(4, turn).map(work, range(12)))
    assert most == 1


def at_once(turns: Turns, threads: int, expected: int) -> int:
    """How many threads of this process have a turn at the same time: it waits for so many, then for more."""
    lock, now, most, enough = threading.Lock(), 0, 0, threading.Event()

    def work() -> None:
        nonlocal now, most
        with turns.turn():
            with lock:
                now += 1
                most = max(most, now)
                if most >= expected:
                    enough.set()
            enough.wait(60)
            time.sleep(0.2)
            with lock:
                now -= 1

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return most


HOLD = """
import pathlib, sys
from odflow.engines.threads import Turns

with Turns(pathlib.Path(sys.argv[1]), 3).own(lambda: False):
    print("has a turn", flush=True)
    sys.stdin.read()
"""


def test_turns_are_shared_with_other_processes_and_come_back_when_one_is_killed(tmp_path) -> None:
    turns = Turns(tmp_path, 3)
    with turns.own(lambda: False):
        assert at_once(turns, 6, 3) == 3
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert other.stdout.readline() == "has a turn\n"
            assert at_once(turns, 6, 2) == 2
        finally:
            os.kill(other.pid, signal.SIGKILL)
            other.communicate()
        assert at_once(turns, 6, 3) == 3


def test_a_stage_waits_for_its_turn_until_it_is_stopped(tmp_path) -> None:
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 3

    with Turns(tmp_path, 1).own(stopped):
        assert looks == 0
        with pytest.raises(KeyboardInterrupt), Turns(tmp_path, 1).own(stopped):
            pass
    with Turns(tmp_path, 1).own(stopped):
        assert looks == 4
