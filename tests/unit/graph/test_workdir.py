"""Below runs/: what of the user's is at an output's place is moved beside, by name, and `plan` tells it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from odflow.errors import OdflowError
from odflow.graph.pipeline import Selection
from odflow.graph.plan import Planner, plan
from odflow.graph.record import read_record
from odflow.graph.remote import Remote
from odflow.graph.run import run
from odflow.graph.store import Store
from odflow.graph.workdir import Workdir

Tree = Callable[[Path], dict[str, bytes]]

PIPELINE = """\
stages:
  write: {text: hello}
  spread: {uses: folder, source: in.txt}
"""
TEXT, FOLDER = Path("runs/p/write/text.txt"), Path("runs/p/spread/folder")


@pytest.fixture
def chain(bench: Any) -> Any:
    bench.write(PIPELINE)
    Path("in.txt").write_text("in")
    return bench


def moves(bench: Any, *words: str, **selection: Any) -> list[str]:
    """What `plan` tells of what a run would move."""
    record = read_record(Path("runs/p"))
    last = record.stages if record else {}
    pipeline, chosen = bench.read(*words, **selection), Selection(**selection)
    steps = plan(pipeline, chosen, Planner(bench.store, last, chosen.force))
    return [line for step in steps for line in Workdir(Path("runs/p"), bench.store, last).moves(step)]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def edit(path: Path) -> None:
    path.write_text("mine")


def edit_same_size(path: Path) -> None:
    before = path.stat()
    path.write_text("M" + path.read_text()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


RUNS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "cached": ([], {}),
    "forced": ([], {"force": ("write", "spread")}),
    "made anew": (["write.text=other"], {}),
}


@pytest.mark.parametrize(("words", "selection"), RUNS.values(), ids=list(RUNS))
def test_an_edited_copy_is_not_overwritten(
    chain: Any, words: list[str], selection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chain.run()
    edit(TEXT)
    told = moves(chain, *words, **selection)
    assert told == [f"{TEXT} was edited since write wrote it; a run moves it to {TEXT}.yours."]
    chain.run(*words, **selection)
    assert TEXT.read_text() == ("other" if words else "hello")
    assert Path(f"{TEXT}.yours").read_text() == "mine"
    assert warnings(caplog) == [f"{TEXT} was edited since write wrote it; it is now {TEXT}.yours."]
    caplog.clear()
    assert not moves(chain, *words)
    assert set(chain.states(*words).values()) == {"cached"}
    assert not warnings(caplog)


def test_an_edit_that_keeps_size_and_time_is_not_overwritten_by_another_result(chain: Any) -> None:
    chain.run()
    edit_same_size(TEXT)
    chain.run()
    assert TEXT.read_text() == "Mello", "as good as untouched, and left alone"
    chain.run("write.text=other")
    assert Path(f"{TEXT}.yours").read_text() == "Mello"


@pytest.mark.parametrize(("words", "selection"), RUNS.values(), ids=list(RUNS))
def test_a_users_file_in_an_output_folder_is_not_overwritten(
    chain: Any, words: list[str], selection: Any, tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    chain.run()
    (FOLDER / "deep/mine").mkdir()
    (FOLDER / "deep/mine/old.record").write_text("precious")
    edit(FOLDER / "top.txt")
    if words:
        words = ["spread.source=other.txt"]
        Path("other.txt").write_text("other")
    line = (
        f"{FOLDER} holds 1 file that folder did not write (deep/mine/old.record) and 1 file that was edited "
        f"since folder wrote it (top.txt)"
    )
    assert moves(chain, *words, **selection) == [f"{line}; a run moves them to {FOLDER}.yours."]
    chain.run(*words, **selection)
    assert f"{line}; they are now {FOLDER}.yours." in caplog.text
    assert tree(Path(f"{FOLDER}.yours")) == {"deep/mine/old.record": b"precious", "top.txt": b"mine"}
    assert tree(FOLDER) == {"deep/copy.txt": b"other" if words else b"in", "top.txt": b"top"}


@pytest.mark.parametrize("there", ["file", "folder", "link to a folder", "link to a file", "link to nothing"])
@pytest.mark.parametrize("place", [TEXT, FOLDER])
def test_what_a_user_put_there_before_the_first_run_is_not_overwritten(
    chain: Any, place: Path, there: str, tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    place.parent.mkdir(parents=True)
    Path("mine/deep").mkdir(parents=True)
    for name in ("mine/top.txt", "mine/deep/copy.txt"):
        Path(name).write_text("precious")
    if there == "file":
        place.write_text("precious")
    elif there == "folder":
        shutil.copytree("mine", place)
    else:
        target = {"folder": "mine", "file": "mine/top.txt", "nothing": "gone"}[there.split()[-1]]
        place.symlink_to(Path(target).absolute())
    (told,) = moves(chain)
    assert told.startswith(f"{place} ")
    chain.run()
    assert f"now {place}.yours." in caplog.text
    aside = Path(f"{place}.yours")
    assert aside.is_symlink() == there.startswith("link")
    held = (
        aside.read_bytes() if aside.is_file() else tree(aside).get("top.txt", b"") if aside.exists() else b""
    )
    assert held == (b"" if there == "link to nothing" else b"precious")
    assert set(tree(Path("mine")).values()) == {b"precious"}
    assert TEXT.read_text() == "hello"
    assert sorted(tree(FOLDER)) == ["deep/copy.txt", "top.txt"]


def test_what_was_moved_before_is_not_overwritten(chain: Any) -> None:
    chain.run()
    for number in range(3):
        TEXT.write_text(f"mine {number}")
        (FOLDER / "mine.txt").write_text(str(number))
        chain.run()
    for number, ending in enumerate(("yours", "yours.2", "yours.3")):
        assert Path(f"{TEXT}.{ending}").read_text() == f"mine {number}"
        assert Path(f"{FOLDER}.{ending}/mine.txt").read_text() == str(number)


def test_what_is_elsewhere_is_left_alone(chain: Any, tree: Tree) -> None:
    mine = {"a.txt": "1", "write/b.txt": "2", "spread/folder2/c.txt": "3", "other/text.txt": "4"}
    for name, text in mine.items():
        Path("runs/p", name).parent.mkdir(parents=True, exist_ok=True)
        Path("runs/p", name).write_text(text)
    for words in ([], [], ["write.text=other"]):
        assert not moves(chain, *words)
        chain.run(*words)
    found = tree(Path("runs/p"))
    assert {name: found[name].decode() for name in mine} == mine
    assert not any("yours" in name for name in found)


@pytest.mark.parametrize("gone", ["nothing", "mark", "result"])
def test_a_file_that_was_only_touched_is_no_edit(
    chain: Any, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    chain.run()
    for path in (TEXT, FOLDER / "top.txt", FOLDER / "deep/copy.txt"):
        path.touch()
    if gone == "mark":
        Path("runs/p/write/.odflow-write.json").unlink()
    elif gone == "result":
        shutil.rmtree(".odflow")
    assert not moves(chain, "write.text=other")
    chain.run("write.text=other")
    assert TEXT.read_text() == "other"
    assert not warnings(caplog)
    assert not list(Path("runs").rglob("*.yours"))


def test_a_copy_that_nobody_knows_any_more_is_the_users(chain: Any) -> None:
    """As a run of an earlier odflow left it, its store removed since."""
    chain.run()
    Path("runs/p/write/.odflow-write.json").unlink()
    shutil.rmtree(".odflow")
    chain.run("write.text=other")
    assert Path(f"{TEXT}.yours").read_text() == "hello"


def test_a_result_that_is_fetched_overwrites_nothing(chain: Any, caplog: pytest.LogCaptureFixture) -> None:
    remote = Path("remote").absolute()
    remote.mkdir()
    pipeline, chosen = chain.read(), Selection()
    for number in range(2):
        store = Store(Path(f"store{number}"), Remote(f"file://{remote}"))
        outcome = run(pipeline, chosen, store, Path("runs/p"), chain.engine)
        edit(TEXT)
    assert outcome.record.stages["write"].state == "fetched"
    assert Path(f"{TEXT}.yours").read_text() == "mine"
    assert f"{TEXT}.yours" in caplog.text


def test_another_stage_of_the_same_name_overwrites_only_what_odflow_wrote(bench: Any) -> None:
    bench.write("stages:\n  one: {uses: write}\n")
    bench.run()
    bench.write("stages:\n  one: {uses: fail, how: silent}\n")
    assert bench.states() == {"one": "failed"}
    bench.write("stages:\n  one: {uses: write, text: again}\n")
    bench.run()
    assert not list(Path("runs").rglob("*.yours"))


@pytest.mark.parametrize("text", ["mine", "{}", '{"stages": {}}', '{"name": "my run", "stages": {"a": 1}}'])
def test_a_run_json_of_the_user_is_not_overwritten(
    chain: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path("runs/p").mkdir(parents=True)
    Path("runs/p/run.json").write_text(text)
    chain.run()
    assert Path("runs/p/run.json.yours").read_text() == text
    assert "run.json is not what a run of odflow writes; it is now runs/p/run.json.yours." in caplog.text


def test_a_log_that_is_a_folder_of_the_users_is_not_overwritten(chain: Any) -> None:
    Path("runs/p/write/stage.log").mkdir(parents=True)
    Path("runs/p/write/stage.log/mine.txt").write_text("precious")
    chain.run()
    assert Path("runs/p/write/stage.log").is_file()
    assert Path("runs/p/write/stage.log.yours/mine.txt").read_text() == "precious"


def test_what_a_killed_run_left_beside_is_not_overwritten(chain: Any) -> None:
    """Killed after the old folder was renamed, before the user's file in it was moved."""
    chain.run()
    left = FOLDER.with_name(".odflow-old-folder")
    shutil.copytree(FOLDER, left)
    (left / "mine.txt").write_text("precious")
    chain.run()
    assert not left.exists()
    assert Path(f"{FOLDER}.yours/mine.txt").read_text() == "precious"
    assert [path.name for path in Path(f"{FOLDER}.yours").iterdir()] == ["mine.txt"]


NAMES = some.sampled_from(
    [
        "write/text.txt",
        "spread/folder",
        "spread/listing.txt",
        "spread/folder.yours",
        "run.json",
        "mine",
        "write",
    ]
)
PLACES = some.tuples(NAMES, some.sampled_from(["", "/top.txt", "/deep/copy.txt", "/new", "/deep"])).map(
    "".join
)
ACTS = some.tuples(
    some.lists(PLACES, max_size=4, unique=True),
    some.sampled_from(["hello", "other"]),
    some.booleans(),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=some.lists(ACTS, min_size=1, max_size=4))
def test_overwrite_property_no_byte_of_a_user_is_lost_below_runs(
    chain: Any, monkeypatch: pytest.MonkeyPatch, acts: list[tuple[list[str], str, bool]]
) -> None:
    """The user writes anywhere below runs/ between runs that are cached, made anew, or forced."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    shutil.rmtree("runs", ignore_errors=True)
    theirs: dict[Path, str] = {}
    for number, (names, text, force) in enumerate(acts):
        for name in names:
            place = Path("runs/p", name)
            if ".yours" in name and place.exists():
                continue  # what was moved aside is the user's to spoil
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(f"{number} {name}")
                theirs[place] = f"{number} {name}"
            except OSError:
                continue  # another file or folder is in the way
        Path("in.txt").write_text(text)
        with suppress(OdflowError):  # a file is where a stage's folder should be
            chain.run(f"write.text={text}", force=("write", "spread") if force else ())
    held = {path.read_text() for path in Path("runs").rglob("*") if path.is_file()}
    assert set(theirs.values()) <= held
