"""One stage by itself: its outputs appear whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odflow.errors import OdflowError, StoreError
from odflow.graph.execute import run_alone

Tree = Callable[[Path], dict[str, bytes]]


def test_outputs_land_under_their_declared_names(bench: Any, tree: Tree) -> None:
    Path("in.txt").write_text("in")
    run_alone(bench.stages["folder"](source=Path("in.txt")), Path("out"))
    assert tree(Path("out")) == {
        ".odflow-folder.json": Path("out/.odflow-folder.json").read_bytes(),
        "folder/deep/copy.txt": b"in",
        "folder/top.txt": b"top",
        "listing.txt": b"deep/copy.txt\n",
    }


def test_a_success_replaces_the_outputs_and_nothing_else(bench: Any, tree: Tree) -> None:
    Path("out/folder/old").mkdir(parents=True)
    Path("out/listing.txt").mkdir()
    Path("out/mine.txt").write_text("mine")
    Path("in.txt").write_text("in")
    run_alone(bench.stages["folder"](source=Path("in.txt")), Path("out"))
    made = ["folder/deep/copy.txt", "folder/top.txt", "listing.txt"]
    assert sorted(tree(Path("out"))) == [".odflow-folder.json", *made, "mine.txt"]
    assert not Path("out/folder/old").exists()


@pytest.mark.parametrize("how", ["stage", "gate", "unexpected", "silent", "folder", "disk", "interrupt"])
def test_a_failure_changes_nothing(bench: Any, how: str, tree: Tree) -> None:
    stage = bench.stages["fail"](how=how)
    with pytest.raises((OdflowError, ZeroDivisionError, KeyboardInterrupt)):
        run_alone(stage, Path("fresh/out"))
    assert not Path("fresh/out").exists()
    Path("out").mkdir()
    Path("out/nothing.txt").write_text("old")
    with pytest.raises((OdflowError, ZeroDivisionError, KeyboardInterrupt)):
        run_alone(stage, Path("out"), overwrite=True)
    assert tree(Path("out")) == {"nothing.txt": b"old"}
    assert [path.name for path in Path("out").iterdir()] == ["nothing.txt"]


def test_an_interrupted_stage_goes_on_with_the_same_key_only(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("stop.txt").touch()
    tally = bench.stages["tally"](upto=10, stop=Path("stop.txt"))

    def interrupt_at(number: int) -> None:
        monkeypatch.setenv("TALLY_STOPS_AT", str(number))
        with pytest.raises(KeyboardInterrupt):
            run_alone(tally, Path("out"))
        monkeypatch.delenv("TALLY_STOPS_AT")

    interrupt_at(4)
    assert run_alone(tally, Path("out")).said == ["starts at 4"]
    interrupt_at(4)
    other = tally.model_copy(update={"step": 2})
    assert run_alone(other, Path("out")).said == ["starts at 0"]
    assert Path("out/counted.txt").read_text() == "20"
    interrupt_at(4)
    Path("stop.txt").write_text("another content")
    assert run_alone(tally, Path("out")).said == ["starts at 0"]
    assert sorted(path.name for path in Path("out").iterdir()) == [".odflow-tally.json", "counted.txt"]


def test_a_place_where_no_folder_can_be(bench: Any) -> None:
    Path("file").touch()
    with pytest.raises(StoreError, match=r"^file/out.*: cannot be written \(Not a directory\)"):
        run_alone(bench.stages["write"](), Path("file/out"))


@pytest.mark.parametrize("how", ["left alone", "written to", "put back as it was"])
def test_work_is_gone_on_with_while_no_input_was_written_to(
    bench: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("stop.txt").write_text("0")
    tally = bench.stages["tally"](upto=4, stop=Path("stop.txt"))
    monkeypatch.setenv("TALLY_STOPS_AT", "2")
    with pytest.raises(KeyboardInterrupt):
        run_alone(tally, Path("out"))
    monkeypatch.delenv("TALLY_STOPS_AT")
    before = Path("stop.txt").stat()
    if how != "left alone":
        Path("stop.txt").write_text("1")
    if how == "put back as it was":
        Path("stop.txt").write_text("0")
        os.utime("stop.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run_alone(tally, Path("out")).said == [f"starts at {2 if how == 'left alone' else 0}"]
