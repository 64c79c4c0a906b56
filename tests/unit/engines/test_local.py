"""The engine of this machine."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.engines.local import LocalEngine


@settings(deadline=None)
@given(items=st.lists(st.integers()), jobs=st.integers(1, 5))
def test_results_are_those_of_map(items: list[int], jobs: int) -> None:
    assert list(LocalEngine(jobs).map(str, items)) == list(map(str, items))


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_items_are_taken_only_as_results_are_asked_for(jobs: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = LocalEngine(jobs).map(str, items())
    assert taken == 0
    for asked in range(1, 50):
        assert next(results) == str(asked)
        assert taken <= asked + 2 * jobs


def test_work_is_done_at_once() -> None:
    barrier = threading.Barrier(3, timeout=10)
    assert sorted(LocalEngine(3).map(lambda _: barrier.wait(), range(3))) == [0, 1, 2]


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_error_comes_in_its_place_and_ends_the_work(jobs: int) -> None:
    results = LocalEngine(jobs).map(lambda number: 1 // (3 - number), range(1000))
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("odflow")]
