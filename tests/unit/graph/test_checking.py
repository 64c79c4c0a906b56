"""Stages tell what they know to be wrong before any of them runs."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from odflow.cli import main
from odflow.errors import ConfigError, InputError
from odflow.graph import InputFile, Job, OutputFile, Stage, output
from odflow.graph.checking import Checking
from odflow.graph.pipeline import Selection
from odflow.graph.reading import read_pipeline
from odflow.graph.registry import Registry


class Grow(Stage):
    """Write a number, one above that of its input."""

    source: InputFile | None = Field(None, description="a number")
    limit: int = Field(9, description="the number may not be above this")
    steps: list[int] = Field([1], description="how much is added, each above 0")

    number: OutputFile = output("number.txt")

    def check(self, checking: Checking) -> None:
        before = checking.expected("source") if self.source else 0
        given = checking.given("source") if self.source else None
        if given:
            before = checking.attempt(lambda: _number(given), "source")
        for index, step in enumerate(self.steps):
            if step < 1:
                checking.problem(f"is {step}; wanted a number above 0.", "steps", index)
        if isinstance(before, int):
            after = before + sum(self.steps)
            checking.expect("number", after)
            if after > self.limit:
                checking.problem(f"{after} is above {self.limit}.", "limit")

    def run(self, job: Job) -> None:
        before = _number(self.source) if self.source else 0
        self.number.write_text(str(before + sum(self.steps)))


def _number(path: Path) -> int:
    text = path.read_text()
    if not text.isdecimal():
        raise InputError(f"{path}: is no number.")
    return int(text)


REGISTRY = Registry({"grow": Grow})


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes p.yaml in a folder to work in."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        (tmp_path / "p.yaml").write_text(textwrap.dedent(text))
        return Path("p.yaml")

    return write


def told(path: Path, *settings: str, selection: Selection | None = None) -> list[str]:
    chosen = selection or Selection()
    try:
        read_pipeline(path, REGISTRY, settings, chosen).check(chosen, Path())
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_what_stages_expect_flows_along_the_edges(pipeline: Any) -> None:
    path = pipeline(
        """\
        stages:
          a: {uses: grow}
          b: {uses: grow, source: "${a.number}", steps: [1, 1]}
          c:
            uses: grow
            source: ${b.number}
            limit: 3
        """
    )
    assert told(path) == ["p.yaml:7: c.limit: 4 is above 3."]
    assert told(path, "c.limit=4") == []
    assert told(path, "a.steps=[3]") == ["p.yaml:7: c.limit: 6 is above 3."]
    assert told(path, selection=Selection(until="b")) == []


def test_all_is_told_together_with_what_the_file_itself_has_wrong(pipeline: Any) -> None:
    path = pipeline(
        """\
        params: {most: 0}
        stages:
          a: {uses: grow, limit: "${params.most}"}
          b: {uses: grow, source: missing.txt}
          c:
            uses: grow
            steps:
              - 1
              - -1
          d: {uses: groww}
        """
    )
    lines = told(path)
    assert [line.partition(" ")[0] for line in lines] == ["p.yaml:1:", "p.yaml:4:", "p.yaml:9:", "p.yaml:10:"]
    assert lines[0] == "p.yaml:1: a.limit: 1 is above 0."
    assert lines[2] == "p.yaml:9: c.steps: is -1; wanted a number above 0."
    assert told(path, "params.most=-5")[0] == "--set params.most=-5: a.limit: 1 is above -5."


def test_what_is_wrong_with_one_file_is_told_once(pipeline: Any, tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("many")
    path = pipeline("stages: {a: {uses: grow, source: n.txt}, b: {uses: grow, source: n.txt}}")
    assert told(path) == ["p.yaml:1: a.source: n.txt: is no number."]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_nothing_runs_before_the_check(command: str, pipeline: Any, capsys: Any) -> None:
    pipeline("stages: {a: {uses: grow}, b: {uses: grow, source: '${a.number}', limit: 1}}")
    assert main([command, "p.yaml"], REGISTRY) == 2
    assert capsys.readouterr().err == "p.yaml:1: b.limit: 2 is above 1.\n"
    assert not Path("runs/p/a").exists()


def test_a_stage_by_itself_is_checked(pipeline: Any, tmp_path: Path, capsys: Any) -> None:
    pipeline("")
    assert main(["grow", "--limit", "0", "--steps", "1", "-2", "--out", "out"], REGISTRY) == 2
    assert capsys.readouterr().err == "grow: --steps: is -2; wanted a number above 0.\n"
    assert main(["grow", "--limit", "0", "--out", "out"], REGISTRY) == 2
    assert capsys.readouterr().err == "grow: --limit: 1 is above 0.\n"
    assert main(["grow", "--out", "out"], REGISTRY) == 0


def test_a_run_checks_unless_all_is_cached(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = []
    monkeypatch.setattr(Grow, "check", lambda self, _: checks.append(self.limit))
    bench.stages = {"grow": Grow}
    bench.write("stages: {a: {uses: grow}, b: {uses: grow, source: '${a.number}', limit: 8}}")
    assert bench.states() == {"a": "done", "b": "done"}
    assert checks == [9, 8]
    assert bench.states() == {"a": "cached", "b": "cached"}
    assert checks == [9, 8]
    assert bench.states("b.steps=[3]") == {"a": "cached", "b": "done"}
    assert checks == [9, 8, 9, 8]


def test_a_refused_run_leaves_what_was_there(bench: Any) -> None:
    bench.stages = {"grow": Grow}
    bench.write("stages: {a: {uses: grow}, b: {uses: grow, source: '${a.number}', limit: 8}}")
    bench.run()
    with pytest.raises(ConfigError, match=r"^--set b\.limit=1: b\.limit: 2 is above 1\.$"):
        bench.run("b.limit=1")
    assert Path("runs/p/b/number.txt").read_text() == "2"
    assert bench.states() == {"a": "cached", "b": "cached"}
