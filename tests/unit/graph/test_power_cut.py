"""A power cut at any moment leaves what was there, or what was to come: never a part that counts as whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from odflow.flushing import flush_below, make_flushed_folder
from odflow.graph.disk import copy_in_place, make_folder, write_whole
from odflow.graph.execute import InProcess, execute, run_alone
from odflow.graph.job import Job
from odflow.graph.journal import Journal
from odflow.graph.out_folder import OutFolder
from odflow.graph.shards import Shard, write_shards
from odflow.graph.store import Store

KEY = "0" * 64
Cut = Callable[[Path], Any]
NUMBERS = list(range(9))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def laid(power: Any, tmp_path: Path) -> Iterator[Path]:
    """Each different state that a cut could have left, in a folder of its own; the last is after the end."""
    power.end()
    states = [*power.states, power.flushed()]
    different = [state for number, state in enumerate(states) if state not in states[number + 1 :]]
    for number, state in enumerate(different):
        yield power.lay(state, tmp_path / f"cut{number}")


def test_what_a_cut_may_leave(place: Path, power_cut: Cut) -> None:
    """Of the tests themselves: they see what is lost."""
    (place / "old").write_text("old")
    power = power_cut(place)
    (place / "new").write_text("new")
    power.look()
    assert power.flushed() == {"": None, "old": b"old"}
    assert {"": None, "old": b"old", "new": b""} in power.states
    (place / "new").replace(place / "old")
    power.look()
    assert {"": None, "old": b""} in power.states
    flush_below(place)
    assert power.flushed() == {"": None, "old": b"new"}


def test_a_file_that_is_written_whole(place: Path, power_cut: Cut, tmp_path: Path) -> None:
    write_whole(place / "file", "old")
    power = power_cut(place)
    write_whole(place / "file", "new")
    found = [(folder / "file").read_text() for folder in laid(power, tmp_path)]
    assert set(found) == {"old", "new"}
    assert found[-1] == "new"


def test_folders_that_are_made(place: Path, power_cut: Cut) -> None:
    power = power_cut(place)
    make_folder(place / "a/b/c")
    assert list(power.flushed()) == ["", "a", "a/b", "a/b/c"]


def result_of(store: Store, stage: Any) -> dict[str, bytes] | None:
    result = store.find(KEY, stage)
    return result and files(result.folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make(store: Store, stage: Any) -> None:
    with store.claim(KEY, "folder") as staging:
        if store.find(KEY, stage):
            return
        execute(stage, staging / "work", name="folder", workers=InProcess())
        store.publish(KEY, stage, [], 1.5)


def test_a_result(bench: Any, tmp_path: Path, power_cut: Cut, caplog: pytest.LogCaptureFixture) -> None:
    Path("in.txt").write_text("in")
    stage = bench.stages["folder"](source=Path("in.txt"))
    Path("store").mkdir()
    power = power_cut(Path("store"))
    make(Store(Path("store")), stage)
    whole = files(Path(f"store/results/{KEY}/outputs"))
    assert whole
    for folder in laid(power, tmp_path):
        found = result_of(Store(folder), stage)
        make(Store(folder), stage)
        assert result_of(Store(folder), stage) == whole
    assert found == whole, "what is published is there for good"
    assert not caplog.text, "no result was ever there that was damaged"


def test_outputs_of_a_stage_by_itself(bench: Any, tmp_path: Path, power_cut: Cut) -> None:
    old, new = (bench.stages["write"](text=text) for text in ("old", "new"))
    out = tmp_path / "out"
    run_alone(old, out)
    power = power_cut(out)
    run_alone(new, out)
    found = []
    for folder in laid(power, tmp_path):
        found.append((folder / "text.txt").read_text())
        OutFolder(old, folder, "write").check()
    assert set(found) == {"old", "new"}
    assert found[-1] == "new"


def test_an_output_folder_of_a_stage_by_itself(bench: Any, tmp_path: Path, power_cut: Cut) -> None:
    out, stages = tmp_path / "out", []
    for text in ("old", "new"):
        (tmp_path / text).write_text(text)
        stages.append(bench.stages["folder"](source=tmp_path / text))
    run_alone(stages[0], out)
    power = power_cut(out)
    run_alone(stages[1], out)
    for folder in laid(power, tmp_path):
        there = list(folder.rglob("copy.txt"))
        contents = [path.read_text() for path in there if ".staging" not in str(path)]
        assert contents
        assert set(contents) <= {"old", "new"}, "one of them is always whole, here or beside"
        made = files(folder / "folder") if (folder / "folder").exists() else {}
        run_alone(stages[1], folder)
        assert (folder / "folder/deep/copy.txt").read_text() == "new"
        assert not list(folder.glob("*.yours*")), "nothing of it is taken for the user's"
    assert made == {"deep/copy.txt": b"new", "top.txt": b"top"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_copies_in_a_work_folder(place: Path, tmp_path: Path, power_cut: Cut, kind: str) -> None:
    """A copy that looks like its original, by size and time, would be believed for ever."""
    source = tmp_path / "source"
    inside = source / "deep/one" if kind == "folder" else source
    make_flushed_folder(inside.parent)
    inside.write_text("content")
    power = power_cut(place)
    copy_in_place(source, place / "copy")
    for folder in laid(power, tmp_path):
        copy = folder / "copy" / inside.relative_to(source)
        assert not (folder / "copy").exists() or copy.read_text() == "content"
    assert copy.read_text() == "content"


def test_a_journal_and_what_it_tells_of(place: Path, tmp_path: Path, power_cut: Cut) -> None:
    power = power_cut(place)
    with Journal(place / "journal", Any) as journal:
        for number in NUMBERS[:4]:
            file = place / f"deep/{number}/file"
            file.parent.mkdir(parents=True)
            file.write_text(str(number))
            journal.append(number, file)
    power.look()
    for folder in laid(power, tmp_path):
        if (folder / "journal").exists():
            with Journal(folder / "journal", Any) as journal:
                entries = list(journal)
            assert entries == NUMBERS[: len(entries)]
            for number in entries:
                assert (folder / f"deep/{number}/file").read_text() == str(number)


def test_shards_that_a_journal_tells_of(place: Path, tmp_path: Path, power_cut: Cut) -> None:
    def write(path: Path, made: Iterator[int]) -> Shard:
        items = list(made)
        path.write_text("".join(map(str, items)))
        power.look()
        return Shard(len(items), None)

    def fault(path: Path, size: int) -> str | None:  # believes what the journal says, as `records` does not
        power.look()
        return None if path.exists() else "is not there."

    def run(staging: Path) -> dict[str, bytes]:
        (staging / "out").mkdir(exist_ok=True)
        shards = {staging / f"out/{n}": NUMBERS[n::3] for n in range(3)}
        write_shards(Job("write", staging, InProcess()), shards, iter, write, fault)
        return files(staging / "out")

    power = power_cut(place)
    whole = run(place)
    for _ in range(8):
        power.look()
    for folder in laid(power, tmp_path):
        assert run(folder) == whole


def test_a_file_system_that_flushes_no_folders(
    place: Path, monkeypatch: pytest.MonkeyPatch, bench: Any
) -> None:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    run_alone(bench.stages["write"](), place / "out")
    assert (place / "out/text.txt").read_text() == "hello"


def test_only_files_are_flushed(place: Path) -> None:
    """To open a FIFO waits for whoever writes to it; what a dangling link leads to cannot be opened."""
    os.mkfifo(place / "fifo")
    (place / "link").symlink_to("nowhere")
    flush_below(place)
