"""The command line, in this process."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from odflow.cli import main
from odflow.graph import InputFile, InputFolder, InputPath, Job, OutputFile, Stage, output
from odflow.graph.registry import Registry


class Show(Stage):
    """Show every field.

    More about it, with 100% of the facts.
    """

    source: InputFile = Field(description="what to read, any file")
    parts: list[InputPath] = Field(default_factory=list, description="more to read")
    where: InputFolder | None = None
    score: float = Field(0.5, ge=0, le=1, description="lowest score, 0 to 1")
    count: int | None = Field(None, description="how many")
    classes: list[str] | None = Field(None, description="classes to keep")
    rename: dict[str, str] = Field(default_factory=dict, description="new names")
    scores: dict[str, float] = Field(default_factory=dict)
    size: tuple[int, int] = Field((3, 4), description="width and height, pixels")
    keep_empty: bool = Field(False, description="keep images without a box")
    unit: Literal["pixels", "share"] = Field("pixels", description="of sizes")

    shown: OutputFile = output("shown.json", "every field, as JSON")

    def run(self, job: Job) -> None:
        self.shown.write_text(self.model_dump_json(include=set(self.parameters()), indent=1))
        job.say(f"read {self.source.name}")
        job.log.warning("odd")


class Crash(Stage):
    """Crash."""

    made: OutputFile = output("made.txt")

    def run(self, job: Job) -> None:
        raise ZeroDivisionError("so\nit is")


REGISTRY = Registry({"show": Show, "crash": Crash})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; what main sets up for the whole process is taken back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    (tmp_path / "in.txt").write_text("in")
    (tmp_path / "p.yaml").write_text("stages:\n  show: {source: in.txt}\n")
    log = logging.getLogger("odflow")
    before = log.handlers, log.propagate, log.level
    yield tmp_path
    log.handlers, log.propagate, log.level = before


def shown(*words: str) -> dict[str, Any]:
    import json

    assert main(["show", "--source", "in.txt", "--out", "out", *words], REGISTRY) == 0
    found: dict[str, Any] = json.loads(Path("out/shown.json").read_text())
    return found


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--score 0.25", "score", 0.25),
        ("--score=1", "score", 1.0),
        ("--count 7", "count", 7),
        ("--classes person car", "classes", ["person", "car"]),
        ("--classes person --classes car", "classes", ["person", "car"]),
        ("--classes 1", "classes", ["1"]),
        ("--rename a=b c=d=e", "rename", {"a": "b", "c": "d=e"}),
        ("--scores car=0.5 --scores person=1", "scores", {"car": 0.5, "person": 1.0}),
        ("--size 10 20", "size", [10, 20]),
        ("--keep-empty", "keep_empty", True),
        ("--no-keep-empty", "keep_empty", False),
        ("--unit share", "unit", "share"),
        ("--parts in.txt p.yaml", "score", 0.5),
    ],
)
def test_flags_say_what_fields_hold(words: str, field: str, value: object) -> None:
    assert shown(*words.split())[field] == value


def test_what_is_said_goes_to_standard_output_and_remarks_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown()
    told = capsys.readouterr()
    assert told.out == "show: read in.txt\n"
    assert told.err == "show: warning: odd\n"


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("shwo", ['"shwo" is neither a command nor a stage. Did you mean "show"?']),
        ("rnu p.yaml", ['"rnu" is neither a command nor a stage. Did you mean "run"?']),
        ("show --sorce in.txt", ['show: "--sorce" is unknown. Did you mean "--source"? See --help.']),
        (
            "--nonsense",
            ['python -m odflow: "--nonsense" is unknown. Known: --debug, --help, --version. See --help.'],
        ),
        ("run", ["run: the following arguments are required: PIPELINE. See --help."]),
        (
            "run p.yaml --only a --until b",
            ["run: argument --until: not allowed with argument --only. See --help."],
        ),
        ("run p.yaml --jobs 0", ["--jobs is '0'; wanted a whole number from 1."]),
        ("run gone.yaml", ["gone.yaml: cannot be read (No such file or directory)."]),
        ("status gone.yaml", ["gone.yaml: there is no such pipeline file."]),
        ("show --out out", ['show: "--source" is missing: what to read, any file.']),
        ("show --source in.txt", ['show: "--out" is missing: folder for the outputs.']),
        ("show --out out --source gone.txt", ["show: --source: gone.txt does not exist."]),
        ("show --out out --source .", ["show: --source: . is a folder; a file is wanted."]),
        ("show --out out --source in.txt --rename a", ["--rename a: wanted NAME=VALUE."]),
        (
            "show --out out --source in.txt --score 2 --count x --unit pixel --scores car=x --size 1 2 3",
            [
                "show: --score is '2'; wanted less than or equal to 1.",
                "show: --count is 'x'; wanted a valid integer, unable to parse string as an integer.",
                "show: --scores['car'] is 'x'; wanted a valid number, unable to parse string as a number.",
                "show: --size is ['1', '2', '3']; Tuple should have at most 2 items after validation, not 3.",
                "show: --unit is 'pixel'; wanted 'pixels' or 'share'. Did you mean \"pixels\"?",
            ],
        ),
        (
            "plan p.yaml --set show.source=gone",
            [
                "--set show.source=gone: show.source: gone does not exist."
                " Give another with --set show.source=PATH."
            ],
        ),
    ],
)
def test_what_is_wrong_is_a_line_each_and_code_2(
    words: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split(), REGISTRY) == 2
    told = capsys.readouterr()
    assert told.err.splitlines() == lines
    assert told.out == ""
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "words", ["show --source in.txt --out {}", "run p.yaml --workdir {}", "status {}.yaml", "plan {}.yaml"]
)
def test_a_name_longer_than_the_file_system_takes_is_told(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.format("a" * 300).split(), REGISTRY) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search("aaa.*(longer than the file system takes|File name too long)", line)


def test_a_crash_is_one_line_and_a_traceback_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crash", "--out", "out"], REGISTRY) == 1
    assert capsys.readouterr().err == "unexpected ZeroDivisionError: so (--debug shows where)\n"
    assert main(["--debug", "crash", "--out", "out"], REGISTRY) == 1
    assert "Traceback" in capsys.readouterr().err
    Path("c.yaml").write_text("stages: {crash: {}}")
    assert main(["run", "c.yaml", "--debug"], REGISTRY) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_of_a_stage_tells_fields_defaults_and_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", "--help"], REGISTRY)
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "More about it, with 100% of the facts.",
        "--source FILE what to read, any file (needed)",
        "--where FOLDER",
        "--score X lowest score, 0 to 1 (0.5 if left out)",
        "--count N how many",
        "--rename NAME=TEXT",
        "--scores NAME=X",
        "--size N",
        "--keep-empty, --no-keep-empty keep images without a box (no if left out)",
        "--unit {pixels,share}",
        "shown.json every field, as JSON",
    ):
        assert part in text
    assert "--shown" not in text


def test_run_plan_status(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> list[str]:
        assert main(list(words), REGISTRY) == 0
        return capsys.readouterr().out.splitlines()

    assert told("status", "p.yaml") == ["p.yaml: has not run yet."]
    assert told("plan", "p.yaml") == ["stage  state  why", "show   run    never ran"]
    first = told("run", "p.yaml", "--workdir", "w")
    assert first[:2] == ["show: read in.txt", "stage  state  seconds  peak memory"]
    assert first[2].startswith("show   done ")
    assert first[3].startswith("done: 1 ran, ")
    second = told("run", "p.yaml", "--workdir", "w")
    assert second[0] == "show: read in.txt"
    assert second[-1] == "nothing to do: all 1 stages are cached. Outputs: w"
    assert (
        told("plan", "p.yaml", "--set", "show.score=0.7", "--workdir", "w")[1]
        == "show   run    score 0.5 -> 0.7"
    )
    status = told("status", "p.yaml", "--workdir", "w")
    assert status[0].startswith("p.yaml: done, ")
    assert status[2].endswith("w/show/shown.json")
    assert told("graph", "p.yaml")[0] == "flowchart LR"
    assert told("graph", "p.yaml", "--format", "dot")[0] == "digraph {"
    assert told("schema")[0] == "{"
    assert Path(".odflow/results").is_dir()


def test_the_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODFLOW_STORE", "elsewhere")
    assert main(["run", "p.yaml"], REGISTRY) == 0
    assert Path("elsewhere/results").is_dir()
    assert not Path(".odflow").exists()


def test_stages_lists_what_works_and_warns_of_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import EntryPoint

    broken = [EntryPoint("broken", "no_such_module:Stage", "odflow.stages")]
    assert main(["stages"], Registry({"show": Show, "broken": broken})) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == ["stage  what for", "show   Show every field."]
    assert told.err.startswith('warning: stage "broken" (no_such_module:Stage')


def test_a_field_that_a_flag_of_every_stage_hides(capsys: pytest.CaptureFixture[str]) -> None:
    class Clash(Show):
        """Clash."""

        jobs: int = 1

    assert main(["clash", "--out", "out"], Registry({"clash": Clash})) == 2
    assert capsys.readouterr().err == "Clash.jobs: --jobs is a flag of every stage. Rename the field.\n"
