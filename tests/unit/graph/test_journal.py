"""The journal of a stage that resumes, whatever became of its last line."""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.graph.journal import Journal

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.text(), st.lists(SCALARS, max_size=2))


@pytest.fixture(scope="module")
def path() -> Path:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "journal"


def written(path: Path, values: list) -> list[int]:
    """Begin the file anew with these entries; gives its size before the first and after each."""
    path.unlink(missing_ok=True)
    sizes = [0]
    with Journal(path, Any) as journal:
        for value in values:
            journal.append(value)
            sizes.append(path.stat().st_size)
    return sizes


def read(path: Path) -> list:
    with Journal(path, Any) as journal:
        return list(journal)


@settings(deadline=None, max_examples=50)
@given(st.lists(VALUES, max_size=8))
def test_entries_come_back_in_their_order(path, values):
    written(path, values)
    assert repr(read(path)) == repr(values)  # where 1 is not 1.0, nor 0.0 -0.0


@given(st.lists(st.floats(allow_nan=False)))
def test_floats_are_exact(path, values):
    written(path, [values])
    assert [value.hex() for value in read(path)[0]] == [value.hex() for value in values]


def test_what_json_does_not_have(path):
    written(path, [(1, (2.5, "a")), math.inf, math.nan])
    first, second, third = read(path)
    assert (first, second) == ([1, [2.5, "a"]], math.inf)
    assert math.isnan(third)


@settings(deadline=None, max_examples=15)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_cut_off_at_every_byte(path, values):
    sizes = written(path, values)
    data = path.read_bytes()
    for end in range(len(data) + 1):
        path.write_bytes(data[:end])
        whole = sum(size <= end for size in sizes) - 1
        with Journal(path, Any) as journal:
            assert list(journal) == values[:whole]
            journal.append("next")
        assert read(path) == [*values[:whole], "next"]


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_a_byte_that_changed_ends_it(path, values, data):
    sizes = written(path, values)
    spoiled = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(spoiled) - 1))
    spoiled[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(spoiled)
    assert read(path) == values[: sum(size <= at for size in sizes) - 1]


@given(st.binary(max_size=80))
def test_what_is_no_journal_holds_nothing(path, data):
    path.write_bytes(data)
    assert read(path) == []
    assert path.read_bytes() == b""


def test_an_entry_is_in_the_file_before_the_journal_is_closed(path):
    path.unlink(missing_ok=True)
    journal = Journal(path, Any)
    journal.append([1])
    assert json.loads(path.read_bytes().split(b" ", 1)[1]) == [1]
    assert list(journal) == [[1]]
    journal.append([2])
    assert list(journal) == [[1], [2]]
    journal.__exit__()


READING = """
import sys, tracemalloc
from pathlib import Path
from typing import Any
from odflow.graph.journal import Journal

def read():
    with Journal(Path(sys.argv[1]), Any) as journal:
        assert sum(len(entry) for entry in journal) == 400 * 1_000

read()  # imports
tracemalloc.start()
read()
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_number_of_entries(path):
    """In a process of its own: tracemalloc counts what other threads allocate."""
    written(path, [[1.5] * 400] * 1_000)
    ended = subprocess.run([sys.executable, "-c", READING, path], stdout=subprocess.PIPE, check=True)
    assert int(ended.stdout) < path.stat().st_size / 20
