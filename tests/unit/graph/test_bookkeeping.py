"""Whatever became of what odflow notes for itself: it is told, made anew, and the outputs are right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odflow.cli import commands, main
from odflow.graph.disk import held
from odflow.graph.journal import Journal

PIPELINE = """\
stages:
  keep: {uses: filter, detections: data/t.csv, min_score: 0.3}
  split: {detections: "${keep.kept}", valid_fraction: 0.2}
  many: {folder: data}
"""
DEEP = 100_000
TEXTS: dict[str, bytes | None] = {
    "empty": b"",
    "blank": b" \n",
    "null": b"null",
    "list": b"[]",
    "number": b"3",
    "text": b'"a"',
    "object": b"{}",
    "cut": b'{"stages": {"keep"',
    "zeros": bytes(50),
    "not UTF-8": b"\xff\xfe\x00{",
    "Infinity": b"Infinity",
    "NaN": b"NaN",
    "1e400": b"1e400",
    "10**400": b"1" + b"0" * 400,
    "5000 digits": b"1" * 5000,
    "deep list": b"[" * DEEP,
    "deep object": b'{"stages":' * DEEP,
    "folder": None,
}
WRONG: list[Any] = [None, [], {}, -1, 1.5, 1e400, 10**400, True, "x", "\ud800", "\0", "../../x", "a\nb"]
WRONG += [[None], [[1]], {"a": None}, {"a": {"b": []}}, json.loads("[" * 300 + "]" * 300)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a pipeline runs for the first time."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "data").mkdir()
    rows = [f"{n:03}.jpg,99,99,{'car' if n % 2 else 'dog'},0.{n % 9 + 1},1,1,50,60" for n in range(30)]
    head = "filename,width,height,class,score,xmin,ymin,xmax,ymax"
    (folder / "data/t.csv").write_text("\n".join([head, *rows, ""]))
    (folder / "p.yaml").write_text(PIPELINE)
    return folder


@pytest.fixture
def again(
    made: Path, tmp_path: Path, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, bytes]]:
    """Takes the folder back to after its first run; gives the outputs. Stages run in this process."""
    from odflow.graph.registry import Registry

    known = Registry.installed()
    stages = {**{name: known.get(name) for name in ("filter", "split")}, "many": bench.stages["many"]}
    monkeypatch.setattr(Registry, "installed", lambda: Registry(stages))
    monkeypatch.setattr(commands, "_engine", lambda given: bench.engine)
    if not (made / "runs").exists():
        monkeypatch.chdir(made)
        assert main(["run", "p.yaml"]) == 0
    monkeypatch.chdir(tmp_path)

    def back() -> dict[str, bytes]:
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
        return outputs()

    return back


def outputs() -> dict[str, bytes]:
    found = [path for path in Path("runs").rglob("*") if path.suffix in (".csv", ".txt", ".pbtxt")]
    return {str(path): path.read_bytes() for path in sorted(found) if ".yours" not in str(path)}


def spoil(file: str, data: bytes | None) -> Path:
    path = sorted(Path().glob(file))[0]
    path.chmod(0o644)
    if data is None:
        path.unlink()
        path.mkdir()
        (path / "x").touch()
    else:
        path.write_bytes(data)
    return path


LOOKS = ("status p.yaml", "plan p.yaml", "run p.yaml", "gc --keep-runs 1")


def check(
    wanted: dict[str, bytes], capsys: pytest.CaptureFixture[str], *more: str, first: tuple[str, ...] = LOOKS
) -> str:
    """Every command ends well and the outputs are right; gives what was told on standard error."""
    told = ""
    for command in (*first, *more):
        capsys.readouterr()
        code = main(command.split())
        one = capsys.readouterr().err
        told += one
        assert code == 0, f"{command}: {one}"
        assert "unexpected" not in one
        assert "Traceback" not in one
    assert outputs() == wanted
    return told


FILES = {
    "run.json": "runs/p/run.json",
    "history": ".odflow/runs/*.json",
    "tree": ".odflow/trees/*",
    "mark": "runs/p/keep/.odflow-filter.json",
    "result": ".odflow/results/*/result.json",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("file", FILES)
def test_what_cannot_be_understood_is_made_anew(
    again: Callable[[], dict[str, bytes]], capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    wanted = again()
    path = spoil(FILES[file], TEXTS[text])
    told = check(wanted, capsys, "run p.yaml --force split", "gc --keep-runs 0")
    if file in ("run.json", "history"):
        assert f"warning: {path}: cannot be understood (" in told


@pytest.mark.parametrize("text", TEXTS)
def test_without_a_mark_nothing_of_the_run_before_is_taken_for_the_users(
    again: Callable[[], dict[str, bytes]], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    again()
    spoil(FILES["mark"], TEXTS[text])
    capsys.readouterr()
    assert main(["run", "p.yaml", "--set", "keep.min_score=0.5"]) == 0
    told = capsys.readouterr().err
    assert "keep/.odflow-filter.json: cannot be understood (" in told
    assert not list(Path("runs").rglob("*.csv.yours"))
    assert json.loads(Path(FILES["mark"]).read_text())["stage"] == "filter"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


@settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(st.data())
@pytest.mark.parametrize("file", ["run.json", "history", "mark"])
def test_any_value_may_be_any_other(
    again: Callable[[], dict[str, bytes]],
    capsys: pytest.CaptureFixture[str],
    file: str,
    data: st.DataObject,
) -> None:
    wanted = again()
    told = json.loads(sorted(Path().glob(FILES[file]))[0].read_text())
    *above, last = data.draw(st.sampled_from(sorted(places(told), key=repr)))
    inner = told
    for name in above:
        inner = inner[name]
    if data.draw(st.booleans()):
        del inner[last]
    else:
        inner[last] = data.draw(st.sampled_from(WRONG))
    spoil(FILES[file], json.dumps(told).encode())
    check(wanted, capsys)


def test_status_says_in_one_line_that_run_json_is_damaged(
    again: Callable[[], dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    again()
    spoil("runs/p/run.json", b'{"pipeline": "p.yaml", "state": "done", "started": "", "stages": {"keep": 3}}')
    capsys.readouterr()
    assert main(["status", "p.yaml"]) == 0
    told = capsys.readouterr()
    assert told.out == "p.yaml: its last run is not known.\n"
    assert told.err.count("\n") == 1
    assert "run.json: cannot be understood (stages.keep: " in told.err


@pytest.mark.parametrize("entry", [3, [], ["a"], ["a", "b"], ["a", 10**400], {"a": 1}, None, [["a"], 1]])
def test_a_journal_ends_before_an_entry_of_another_form(
    tmp_path: Path, entry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path / "journal", Any) as journal:
        for one in (["a", 1], entry, ["b", 2]):
            journal.append(one)
    form = tuple[str, int]
    if entry == ["a", 10**400]:
        form = tuple[str, float]
    with Journal(tmp_path / "journal", form) as journal:
        assert [list(one) for one in journal] == [["a", 1]]
        journal.append(["c", 3])
        assert [list(one) for one in journal] == [["a", 1], ["c", 3]]


def test_a_folder_in_the_place_of_a_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with Journal(tmp_path / "journal", Any) as journal:
        journal.append(1)
        assert list(journal) == [1]


@pytest.mark.parametrize("text", [text for text, data in TEXTS.items() if data is not None])
def test_whoever_holds_a_lock_is_told_whatever_its_file_says(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="odflow.run")
    with held(tmp_path / "lock", "one"):
        (tmp_path / "lock").write_bytes(TEXTS[text] or b"")
        with pytest.raises(KeyboardInterrupt), held(tmp_path / "lock", "two", lambda: True):
            pass
