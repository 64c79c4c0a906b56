"""Several items at once, in order, and never many of them in memory."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.inference.threads import WORKERS, map_in_order


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=60))
def test_the_results_come_in_the_order_of_the_items(items):
    def uneven(item):
        time.sleep(item % 3 / 5000)
        return item * 2

    assert list(map_in_order(uneven, items)) == [item * 2 for item in items]


def test_items_are_taken_only_as_results_are():
    taken = []

    def items():
        for item in range(10_000):
            taken.append(item)
            yield item

    results = map_in_order(str, items())
    for count in range(1, 50):
        next(results)
        assert len(taken) <= count + 2 * WORKERS + 1
    results.close()


def test_an_error_comes_at_its_turn_and_ends_it():
    begun = []

    def work(item):
        begun.append(item)
        if item == 5:
            raise ValueError("five")
        return item

    results = map_in_order(work, range(1000))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert len(begun) < 50
