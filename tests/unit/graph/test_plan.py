"""What would run, and why."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from odflow.errors import InputError

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


def test_before_the_first_run(chain: Any) -> None:
    assert chain.reasons() == {
        "write": "never ran",
        "spread": "never ran",
        "join": "write will run, spread will run",
    }
    assert sorted(path.name for path in Path().iterdir()) == ["in.txt", "p.yaml"]


def test_after_a_run_all_is_cached(chain: Any) -> None:
    chain.run()
    assert set(chain.reasons().values()) == {""}


def test_a_parameter_is_named_with_its_values(chain: Any) -> None:
    chain.run()
    reasons = chain.reasons("write.times=3", "write.text=hi", "join.lines=[x]")
    assert reasons["write"] == 'text "hello" -> "hi", times 2 -> 3'
    assert reasons["join"] == 'write will run, lines [] -> ["x"]'
    assert reasons["spread"] == ""


def test_an_input_is_named(chain: Any) -> None:
    chain.run()
    Path("in.txt").write_text("other")
    assert chain.reasons() == {"write": "", "spread": "in.txt changed", "join": "spread will run"}


def test_a_version_is_named(chain: Any) -> None:
    chain.run()

    class Newer(chain.stages["write"]):  # type: ignore[misc]
        """The same code, changed."""

        version = 2

    chain.stages["write"] = Newer
    assert chain.reasons()["write"] == "write: version 1 -> 2"


def test_another_stage_under_the_same_name(chain: Any) -> None:
    chain.run()
    text = "stages: {write: {times: 2}, join: {uses: folder, source: '${write.written}'}}"
    chain.write(text)
    assert chain.reasons() == {"write": "", "join": "uses join -> folder"}


def test_a_forced_stage(chain: Any) -> None:
    chain.run()
    assert chain.reasons(force=("write",)) == {"write": "forced", "spread": "", "join": "write will run"}


def test_a_result_that_is_gone(chain: Any) -> None:
    outcome = chain.run()
    key = outcome.record.stages["write"].key
    (Path(".odflow/results") / key / "outputs" / "text.txt").unlink()
    assert chain.reasons()["write"] == "output missing"


def test_how_the_last_run_ended(bench: Any) -> None:
    bench.write("stages: {fail: {how: stage}}")
    bench.run()
    assert bench.reasons() == {"fail": "failed last time"}
    bench.write("stages: {fail: {how: interrupt}}")
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert bench.reasons() == {"fail": "was interrupted"}


def test_an_older_result_is_cached_again(chain: Any) -> None:
    chain.run()
    chain.run("write.times=3")
    assert set(chain.reasons().values()) == {""}


def test_a_change_that_gives_the_same_bytes_stops_there(chain: Any) -> None:
    chain.write("stages: {write: {text: aa, times: 1}, join: {parts: ['${write.written}']}}")
    assert chain.states() == {"write": "done", "join": "done"}
    assert chain.states("write.text=a", "write.times=2") == {"write": "done", "join": "cached"}


def test_only_what_was_asked_for_is_planned(chain: Any) -> None:
    chain.run()
    assert list(chain.reasons(until="write")) == ["write"]
    assert list(chain.reasons(only="join")) == ["join"]


def test_a_file_that_an_output_lacks_is_named(chain: Any) -> None:
    chain.write(
        "stages: {spread: {uses: folder, source: in.txt}, join: {parts: ['${spread.folder}/deep/cop.txt']}}"
    )
    chain.run(until="spread")
    with pytest.raises(
        InputError, match=r'^join\.parts: .* holds no "deep/cop\.txt"\. Did you mean "deep/copy\.txt"'
    ):
        chain.plan()


def test_a_broken_record_is_a_warning(chain: Any, caplog: pytest.LogCaptureFixture) -> None:
    chain.run()
    for text in ("{", "[]", '{"stages": {"write": {"nonsense": 1}}}'):
        caplog.clear()
        Path("runs/p/run.json").write_text(text)
        assert set(chain.reasons().values()) == {""}
        assert "runs/p/run.json: cannot be understood" in caplog.text


def test_what_changed_in_a_folder_is_counted(bench: Any) -> None:
    bench.write("stages: {many: {folder: data}}")
    Path("data").mkdir()
    for name in "abcd":
        Path("data", name).write_text(name)
    bench.run()
    assert bench.reasons() == {"many": ""}
    for name in "xyz":
        Path("data", name).write_text(name)
    Path("data/a").write_text("other")
    assert bench.reasons() == {"many": "folder: 3 files added, 1 changed"}
    Path("data/b").unlink()
    assert bench.reasons() == {"many": "folder: 3 files added, 1 removed, 1 changed"}
    shutil.rmtree(".odflow/trees")
    assert bench.reasons() == {"many": "folder changed"}, "where it is not known what it held"


def test_a_file_that_an_input_names_is_a_reason(bench: Any) -> None:
    bench.write("stages: {many: {folder: data, listed: list.txt}}")
    Path("data").mkdir()
    Path("list.txt").write_text("../beside.txt")
    Path("beside.txt").write_text("1")
    bench.run()
    Path("beside.txt").write_text("2")
    assert bench.reasons() == {"many": "files that its inputs name changed"}


def test_the_version_of_a_package_is_a_reason(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.stages["write"].packages = ("tensorflow", "no-such-package")
    try:
        chain.run()
        assert set(chain.reasons().values()) == {""}
        own = metadata.version
        monkeypatch.setattr(metadata, "version", lambda name: "9.9" if name == "tensorflow" else own(name))
        assert chain.reasons()["write"] == f"tensorflow {own('tensorflow')} -> 9.9"
    finally:
        del chain.stages["write"].packages


def test_a_lost_result_is_a_reason(chain: Any) -> None:
    chain.run()
    shutil.rmtree(".odflow/results")
    assert chain.reasons()["write"] == "output missing"
