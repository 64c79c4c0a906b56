"""Locks: one at a time holds each, wherever files and folders go meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from odflow.errors import StoreError
from odflow.graph.disk import held, is_at

TAKEN = 40


def replaced(path: Path) -> None:
    path.with_name("new").touch()
    path.with_name("new").replace(path)


def swapped_back(path: Path) -> None:
    path.rename(path.with_name("off"))
    path.with_name("off").rename(path)


def linked(path: Path) -> None:
    path.rename(path.with_name("off"))
    path.symlink_to("off")


@pytest.mark.parametrize(
    ("change", "there"),
    [(os.unlink, False), (replaced, False), (swapped_back, True), (linked, True)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_an_open_file_is_at_its_path_or_not(
    tmp_path: Path, change: Callable[[Path], None], there: bool
) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        assert is_at(file, path)
        change(path)
        assert is_at(file, path) is there


def test_a_lock_is_held_by_one_at_a_time_though_its_folder_comes_and_goes(tmp_path: Path) -> None:
    """As stages by themselves do that make the same --out, fail at once, and leave no empty folder."""
    lock = tmp_path / "out/lock"
    inside: list[int] = []

    def take(number: int) -> int:
        with held(lock, "the test"):
            inside.append(number)
            alone = inside == [number]
            inside.remove(number)
        with suppress(OSError):
            lock.parent.rmdir()
        return alone

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(take, range(8 * TAKEN)))
    assert not lock.exists()


def test_the_lock_of_another_is_not_removed_where_somebody_removed_ours(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held(lock, "the first"):
        lock.unlink()
        lock.write_text("another's")
    assert lock.read_text() == "another's"


@pytest.mark.parametrize("way", ["file", "nowhere"])
def test_a_place_where_no_lock_can_be_is_told(tmp_path: Path, way: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("gone/gone")
    with pytest.raises(StoreError, match=f"{way}.*: cannot be written"), held(tmp_path / way / "lock", "it"):
        pytest.fail("it is held")
