"""Runs: what is done, what is kept, what fails and how that is told."""

import json
import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odflow.errors import InputError, StoreError
from odflow.graph.pipeline import Selection
from odflow.graph.run import run

CHAIN = """\
stages:
  write: {times: 2}
  spread: {uses: folder, source: in.txt}
  join: {parts: ["${write.written}", "${spread.folder}/deep/copy.txt"]}
"""


@pytest.fixture
def chain(bench: Any) -> Any:
    bench.write(CHAIN)
    Path("in.txt").write_text("in")
    return bench


def test_outputs_are_where_the_user_looks_for_them(chain: Any) -> None:
    assert chain.states() == {"write": "done", "spread": "done", "join": "done"}
    assert Path("runs/p/join/joined.txt").read_text() == "hellohelloin"
    assert Path("runs/p/spread/folder/empty").is_dir()
    Path("runs/p/join/joined.txt").write_text("a user may write here")


def test_the_second_run_does_nothing_and_says_the_same(
    chain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.run()
    first = capsys.readouterr().out
    before = {path: path.stat().st_ino for path in Path("runs").rglob("*.txt")}
    assert chain.states() == {"write": "cached", "spread": "cached", "join": "cached"}
    assert capsys.readouterr().out == first == "write: 2 times\n"
    assert {path: path.stat().st_ino for path in Path("runs").rglob("*.txt")} == before


def test_run_json_tells_all(chain: Any) -> None:
    chain.run()
    record = json.loads(Path("runs/p/run.json").read_text())
    join = record["stages"]["join"]
    assert (record["pipeline"], record["state"]) == ("p.yaml", "done")
    assert (join["state"], join["uses"], join["version"], len(join["key"])) == ("done", "join", 1, 64)
    assert join["outputs"] == {"joined": "runs/p/join/joined.txt"}
    assert join["parameters"] == {"lines": []}
    assert [source["path"] for source in join["inputs"]["parts"]] == [
        "runs/p/write/text.txt",
        "runs/p/spread/folder/deep/copy.txt",
    ]
    told = subprocess.run(["sha256sum", "runs/p/write/text.txt"], capture_output=True, text=True, check=True)
    assert join["inputs"]["parts"][0]["digest"] == told.stdout.split()[0]
    assert record["stages"]["write"]["said"] == ["2 times"]


@pytest.mark.parametrize("harm", ["edit", "remove", "add", "replace"])
def test_what_a_user_does_below_runs_never_reaches_the_store(
    chain: Any, harm: str, tree: Callable[[Path], dict[str, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    chain.run()
    store, runs = tree(Path(".odflow/results")), tree(Path("runs/p/spread"))
    victim = Path("runs/p/spread/folder/deep/copy.txt")
    if harm == "edit":
        with victim.open("a") as file:
            file.write("more")
    elif harm == "remove":
        victim.unlink()
    elif harm == "add":
        victim.with_name("new.txt").touch()
    else:
        shutil.rmtree("runs/p/spread/folder")
        Path("runs/p/spread/folder").touch()
    assert set(chain.states().values()) == {"cached"}
    assert tree(Path(".odflow/results")) == store
    kept = {
        "edit": {"folder.yours/deep/copy.txt": b"inmore"},
        "remove": {},
        "add": {"folder.yours/deep/new.txt": b""},
        "replace": {"folder.yours": b""},
    }[harm]
    assert tree(Path("runs/p/spread")) == runs | kept
    assert ("folder.yours" in caplog.text) == bool(kept)


def test_a_lost_work_folder_is_filled_again(chain: Any, tree: Callable[[Path], dict[str, bytes]]) -> None:
    chain.run()
    before = tree(Path("runs/p/join"))
    shutil.rmtree("runs")
    assert set(chain.states().values()) == {"cached"}
    assert tree(Path("runs/p/join")) == before


def test_only_until_and_force(chain: Any) -> None:
    with pytest.raises(
        InputError, match=r"^--only join: write has to run first \(never ran\)\. Use --until join\.$"
    ):
        chain.run(only="join")
    assert chain.states(until="spread") == {"spread": "done"}
    assert chain.states(until="join") == {"write": "done", "spread": "cached", "join": "done"}
    assert chain.states(only="join") == {"join": "cached"}
    assert chain.states(force=("write",)) == {"write": "done", "spread": "cached", "join": "cached"}
    assert list(json.loads(Path("runs/p/run.json").read_text())["stages"]) == ["write", "spread", "join"]


def test_a_failure_stops_only_what_reads_from_it(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench.write(
        """\
        stages:
          fail: {how: gate}
          join: {parts: ["${fail.nothing}"]}
          deeper: {uses: join, parts: ["${join.joined}"]}
          write: {}
        """
    )
    outcome = bench.run()
    assert {name: stage.state for name, stage in outcome.record.stages.items()} == {
        "fail": "failed",
        "join": "not run",
        "deeper": "not run",
        "write": "done",
    }
    assert (outcome.exit_code, outcome.record.state) == (3, "failed")
    assert "fail: 0.4 is below 0.5." in caplog.text
    assert "join: not run, since fail has no result." in caplog.text


@pytest.mark.parametrize(
    ("how", "message", "code"),
    [
        ("stage", "fail: runs/p/fail/nothing.txt: no.", 1),
        ("gate", "fail: 0.4 is below 0.5.", 3),
        ("unexpected", "fail: unexpected ZeroDivisionError: first (--debug shows where)", 1),
        ("silent", "fail: did not write its output nothing (nothing.txt).", 1),
        ("folder", "fail: its output nothing (nothing.txt) is not a file.", 1),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    bench: Any, how: str, message: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench.write(f"stages: {{fail: {{how: {how}}}}}")
    outcome = bench.run()
    assert outcome.exit_code == code
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [message]
    assert outcome.record.stages["fail"].error == message
    assert [path.name for path in Path("runs/p/fail").iterdir()] == ["stage.log"]
    assert sorted(path.name for path in Path(".odflow").iterdir()) == ["runs", "staging", "version"]
    assert not list(Path(".odflow/staging").iterdir())


def test_messages_name_files_as_the_user_finds_them(bench: Any) -> None:
    bench.write("stages: {write: {}, fail: {how: stage, source: '${write.written}'}}")
    assert bench.run().record.stages["fail"].error == "fail: runs/p/write/text.txt: no."


def test_a_full_disk_below_a_stage(bench: Any) -> None:
    bench.write("stages: {fail: {how: disk}}")
    outcome = bench.run()
    assert outcome.exit_code == 1
    assert "the disk is full (No space left on device; " in (outcome.record.stages["fail"].error or "")
    assert not list(Path(".odflow/staging").iterdir())


@pytest.mark.parametrize("where", ["store", "runs"])
def test_a_full_disk_below_the_store_or_the_outputs(
    bench: Any, small_disk: Path, where: str, tree: Callable[[Path], dict[str, bytes]]
) -> None:
    bench.write("stages: {write: {text: '0123456789'}}")
    store, workdir = Path(".odflow"), Path("runs/p")
    Path(".odflow" if where == "store" else "runs").symlink_to(small_disk)
    bench.run()
    before = tree(small_disk)
    outcome = run(bench.read("write.times=200000"), Selection(), bench.store, workdir, bench.engine)
    assert outcome.exit_code == 1
    message = outcome.record.stages["write"].error or ""
    assert "the disk is full" in message
    assert "\n" not in message
    assert outputs(tree(small_disk)) == outputs(before)
    assert store.exists()


def outputs(found: dict[str, bytes]) -> dict[str, bytes]:
    """Without what tells of runs."""
    return {
        name: data
        for name, data in found.items()
        if not name.endswith("run.json") and not name.startswith("runs/2")
    }


TALLY = "stages: {tally: {upto: 10, stop: stop.txt}}"


def test_an_interrupted_stage_goes_on(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.write(TALLY)
    Path("stop.txt").touch()
    monkeypatch.setenv("TALLY_STOPS_AT", "4")
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    record = json.loads(Path("runs/p/run.json").read_text())
    assert (record["state"], record["stages"]["tally"]["state"]) == ("interrupted", "interrupted")
    assert [path.name for path in Path("runs/p/tally").iterdir()] == ["stage.log"]
    assert bench.reasons() == {"tally": "was interrupted"}
    monkeypatch.delenv("TALLY_STOPS_AT")
    assert bench.states("tally.step=2") == {"tally": "done"}, "another key starts anew"
    assert bench.states() == {"tally": "done"}
    said = [line for line in capsys.readouterr().out.splitlines() if "starts" in line]
    assert said == ["tally: starts at 0", "tally: starts at 0", "tally: starts at 4"]
    assert not list(Path(".odflow/staging").iterdir())


def test_force_starts_anew(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.write(TALLY)
    Path("stop.txt").touch()
    monkeypatch.setenv("TALLY_STOPS_AT", "4")
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    monkeypatch.delenv("TALLY_STOPS_AT")
    bench.run(force=("tally",))
    assert capsys.readouterr().out.splitlines()[-1] == "tally: starts at 0"


def test_an_interrupted_stage_that_cannot_go_on_leaves_nothing(bench: Any) -> None:
    bench.write("stages: {write: {}, fail: {how: interrupt}, after: {uses: write, times: 3}}")
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    record = json.loads(Path("runs/p/run.json").read_text())
    assert {name: stage["state"] for name, stage in record["stages"].items()} == {
        "write": "done",
        "fail": "interrupted",
    }
    assert not list(Path(".odflow/staging").iterdir())


def test_a_work_folder_that_cannot_be(chain: Any) -> None:
    Path("runs").touch()
    with pytest.raises(StoreError, match=r"^runs/p: cannot be written \(Not a directory\)"):
        chain.run()


def test_a_list_file_covers_the_files_that_it_names(bench: Any) -> None:
    bench.write("stages: {many: {folder: data/deep, listed: list.txt}}")
    Path("data/deep").mkdir(parents=True)
    Path("beside.txt").write_text("1")
    Path("list.txt").write_text("../../beside.txt ../gone.txt")
    assert bench.states() == {"many": "done"}
    assert bench.states() == {"many": "cached"}
    Path("beside.txt").write_text("2")
    assert bench.states() == {"many": "done"}
    Path("data/gone.txt").write_text("3")
    assert bench.states() == {"many": "done"}
