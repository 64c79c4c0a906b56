"""Reading many files side by side."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.graph.hashing import _settled, hash_files
from odflow.graph.listing import stamp
from tests.settled import settle

SIZES = [0, 1, 55, 56, 64, 2047, 2048, 2**18 - 1, 2**18, 2**18 + 1, 5 * 2**20]


def stamped(paths: list[Path]) -> list[tuple[str, str]]:
    return [(str(path), stamp(path.stat())) for path in paths]


@settings(deadline=None, max_examples=10)
@given(sizes=st.lists(st.sampled_from(SIZES), max_size=300), seed=st.binary(min_size=1, max_size=9))
def test_digests_are_those_of_sha256sum(
    sizes: list[int], seed: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / f"{number}" for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        path.write_bytes((b"%d" % number + seed * (size // len(seed) + 1))[:size])
    told = subprocess.run(["sha256sum", *paths], capture_output=True, text=True, check=True, input="").stdout
    wanted = [line.split()[0] for line in told.splitlines()] if paths else []
    assert [hashed.sha256 for hashed in hash_files(stamped(paths))] == wanted


def test_only_an_old_file_that_is_as_it_was_seen_lasts(tmp_path: Path) -> None:
    old, fresh, grown = (tmp_path / name for name in ("old", "fresh", "grown"))
    for path in (old, fresh, grown):
        path.write_text("text")
    settle(tmp_path)
    soon = time.time() + 60  # a slow machine must not make it old
    os.utime(fresh, (soon, soon))
    seen, before = stamped([old, fresh, grown]), grown.stat()
    with grown.open("r+") as file:
        file.write("TEXT")
    os.utime(grown, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [hashed.lasting for hashed in hash_files(seen)] == [True, False, False]


@pytest.mark.parametrize(
    ("changed", "began", "settled"),
    [
        (10**18, 10**18 + 10**9, False),  # no fraction of a millisecond: perhaps a clock of two seconds
        (10**18, 10**18 + 3 * 10**9, True),
        (10**18 + 1, 10**18 + 10**8, True),
        (10**18 + 1, 10**18 + 10**7, False),
        (10**18 + 1, 10**18, False),
    ],
)
def test_a_write_leaves_another_time_after_a_tick_of_the_clock(
    changed: int, began: int, settled: bool
) -> None:
    assert _settled(changed, began) == settled


@pytest.mark.parametrize("count", [1, 500])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, count: int) -> None:
    paths = [tmp_path / f"{number}" for number in range(count)]
    for path in paths:
        path.touch()
    seen = stamped(paths)
    paths[-1].unlink()
    with pytest.raises(FileNotFoundError) as error:
        list(hash_files(seen))
    assert error.value.filename == str(paths[-1])
