"""Files of many items each, whatever a stopped run left of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import StageError
from odflow.graph.execute import InProcess
from odflow.graph.job import Job
from odflow.graph.shards import Shard, write_shards

ITEMS = list(range(23))
COUNT = 4


class Power:
    """Goes off after so many items; keeps what it was used for."""

    def __init__(self, lasts: int = 1000) -> None:
        self.lasts, self.used = lasts, list[int]()

    def make(self, items: list[int]) -> Iterator[int]:
        for item in islice(items, self.lasts):
            self.used.append(item)
            yield item**2
        if self.lasts < len(items):
            raise KeyboardInterrupt


def write(path: Path, made: Iterator[int]) -> Shard:
    """The even ones a line each; the odd ones are noted."""
    numbers = list(made)
    even = [number for number in numbers if number % 2 == 0]
    path.write_text("".join(f"{number}\n" for number in even))
    return Shard(len(even), [number for number in numbers if number % 2])


def fault(path: Path, size: int) -> str | None:
    found = path.read_text().count("\n") if path.exists() else 0
    return None if found == size else f"has {found} lines of {size}."


def shards(staging: Path) -> dict[Path, list[int]]:
    return {staging / f"out/{n}.txt": ITEMS[n::COUNT] for n in range(COUNT)}


def run(staging: Path, power: Power) -> tuple[list[Shard], dict[str, bytes]]:
    (staging / "out").mkdir(parents=True, exist_ok=True)
    job = Job("write", staging, InProcess())
    written = write_shards(job, shards(staging), power.make, write, fault)
    return written, {path.name: path.read_bytes() for path in (staging / "out").iterdir()}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_stopped_and_torn_ends_as_if_left_alone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    undisturbed, staging = tmp_path_factory.mktemp("undisturbed"), tmp_path_factory.mktemp("stopped")
    expected = run(undisturbed, Power())
    lasts = data.draw(st.integers(0, len(ITEMS) - 1))
    with pytest.raises(KeyboardInterrupt):
        run(staging, Power(lasts))
    whole = {path.name for path in (staging / "out").iterdir()}
    assert len(whole) == sum(lasts >= end for end in accumulate(map(len, shards(staging).values())))
    for name in sorted(whole):
        content = expected[1][name]
        end = data.draw(st.just(len(content)) | st.integers(0, len(content)))
        (staging / "out" / name).write_bytes(content[:end])
        if end < len(content):
            whole.remove(name)
    power = Power()
    assert run(staging, power) == expected
    assert sorted(power.used) == sorted(
        item for path, items in shards(staging).items() if path.name not in whole for item in items
    )


def test_a_file_that_is_not_whole_is_never_named(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    job = Job("write", tmp_path, InProcess())
    with pytest.raises(StageError, match=r"^0\.txt is odd\. Check the disk\.$"):
        write_shards(job, shards(tmp_path), Power().make, write, lambda path, size: "is odd.")
    assert not list((tmp_path / "out").iterdir())


def test_no_items_are_a_file_too(tmp_path: Path) -> None:
    job = Job("write", tmp_path, InProcess())
    assert write_shards(job, {tmp_path / "none": []}, Power().make, write, fault) == [Shard(0, [])]
    assert (tmp_path / "none").read_bytes() == b""
