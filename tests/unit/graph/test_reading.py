"""Pipeline files: what they mean, and all that can be wrong with them."""

from pathlib import Path
from time import process_time
from typing import Any

import pytest
from pydantic import field_validator

from odflow.errors import ConfigError
from odflow.graph.pipeline import Reference

SOUND = """\
params:
  folder: data
  source: ${params.folder}/in.txt
  times: 2
  nothing: null
stages:
  join:
    parts: [ '${write.written}', '${params.source}', "${spread.folder}/deep/copy.txt" ]
    end: ${params.nothing}
    lines: ["${params.times} times", "${params.folder}"]
  write:
    times: ${params.times}
  spread:
    uses: folder
    source: ${params.source}
"""


@pytest.fixture
def sound(bench: Any) -> Any:
    bench.write(SOUND)
    Path("data").mkdir()
    Path("data/in.txt").write_text("in")
    return bench


def problems(bench: Any, *settings: str, **selection: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        bench.read(*settings, **selection)
    return str(raised.value).splitlines()


def test_params_keep_their_type_and_stand_inside_texts(sound: Any) -> None:
    nodes = sound.read().nodes
    assert nodes["write"].stage.times == 2
    assert nodes["join"].stage.lines == ["2 times", "data"]
    assert nodes["join"].stage.end is None
    assert nodes["spread"].uses == "folder"


def test_references_are_edges_and_decide_the_order(sound: Any) -> None:
    pipeline = sound.read()
    assert list(pipeline.nodes) == ["write", "spread", "join"]
    sources = [
        Reference("write", "written"),
        Path("data/in.txt"),
        Reference("spread", "folder", "deep/copy.txt"),
    ]
    assert pipeline.nodes["join"].sources() == {"parts": sources}
    assert pipeline.upstream("join") == ["write", "spread"]


def test_settings_win_over_the_file(sound: Any) -> None:
    Path("other").mkdir()
    Path("other/in.txt").touch()
    nodes = sound.read("params.folder=other", "write.times=7", "write.text='8'", "join.lines=[a, b]").nodes
    assert nodes["spread"].stage.source == Path("other/in.txt")
    assert (nodes["write"].stage.times, nodes["write"].stage.text) == (7, "8")
    assert nodes["join"].stage.lines == ["a", "b"]


@pytest.mark.parametrize(
    "word",
    ["no", "on", "null", "~", "007", "12:30:45", "1e3", "2024-01-01", ".5", "0x1F", "1_000", "=", "7"],
)
def test_a_text_stays_as_it_was_written(bench: Any, word: str) -> None:
    Path("in.txt").touch()
    bench.write(
        f"""\
        params:
          word: {word}
          words: [a, {word}]
        stages:
          write:
            names: {{a: {word}, {word}: "${{params.word}}"}}
            text: ${{params.word}}
          listed:
            uses: join
            parts: [in.txt]
            lines: ${{params.words}}
          said:
            uses: join
            parts: [in.txt]
        """
    )
    nodes = bench.read(f"said.lines=[{word}, '{word}']").nodes
    assert nodes["write"].stage.names == {"a": word, word: word}
    assert nodes["write"].stage.text == word
    assert nodes["listed"].stage.lines == ["a", word]
    assert nodes["said"].stage.lines == [word, word]


@pytest.mark.parametrize("written", ["data\\train.txt", "pre\\new.txt", "C:\\run"])
def test_a_path_of_windows_in_double_quotes_is_told(bench: Any, written: str) -> None:
    bench.write(f'stages:\n  folder:\n    source: "{written}"\n')
    (line,) = problems(bench)
    assert line.startswith(
        f"p.yaml:3: folder.source: {written} does not exist. It holds control characters: between"
    )
    assert line.isprintable()


def test_nothing_stays_nothing_where_it_may_be(bench: Any) -> None:
    Path("in.txt").touch()
    bench.write("stages:\n  join:\n    parts: [in.txt]\n  write:\n    case: null\n")
    nodes = bench.read("join.end=~", "join.lines=[null]").nodes
    assert (nodes["join"].stage.end, nodes["write"].stage.case) == (None, None)
    assert nodes["join"].stage.lines == ["null"]


@pytest.mark.parametrize(("written", "times"), [("0x1F", 31), ("1_0", 10), ("010", 8), ("1:00", 60)])
def test_a_number_is_what_yaml_makes_of_it(bench: Any, written: str, times: int) -> None:
    bench.write(
        f"stages:\n  write:\n    times: {written}\n    text: x${{params.n}}\nparams: {{n: {written}}}\n"
    )
    stage = bench.read().nodes["write"].stage
    assert (stage.times, stage.text) == (times, f"x{written}")


def test_all_problems_come_together_in_the_order_of_lines(bench: Any) -> None:
    bench.write(
        """\
        params:
          early: ${params.late}
          late: 1
          output: ${write.written}
        stages:
          write:
            text: [a]
            tims: 2
            times: 0
            case: uper
            names: {a: [1], a: 2}
          wirte:
          copy:
            uses: join
            parts: ["${write.writen}", "${wrte.written}", "${params.lat}", "a/${write.written}", gone.txt]
            lines: "${write.written}"
            joined: here.txt
          a:
            uses: join
            parts: ["${b.joined}"]
          b:
            uses: join
            parts: ["${a.joined}"]
          many:
            folder: ${write.written}
          fail:
          folder:
            source: ${folder.folder}/x/../y
        stagess: 1
        """
    )
    assert problems(bench) == [
        "p.yaml:2: ${params.late} comes too early: a param may use those above it.",
        'p.yaml:4: "${write.written}": only the inputs of stages refer to outputs.',
        "p.yaml:7: write: text is ['a']; wanted a valid string.",
        'p.yaml:8: write: "tims" is unknown. Did you mean "times"?',
        "p.yaml:9: write: times is 0; wanted greater than or equal to 1.",
        "p.yaml:10: write: case is 'uper'; wanted 'upper' or 'lower'. Did you mean \"upper\"?",
        'p.yaml:11: "a" comes twice (first at p.yaml:11).',
        "p.yaml:11: write: names['a'] is [1]; wanted a valid string.",
        'p.yaml:12: stage "wirte" is unknown. Did you mean "write"?',
        'p.yaml:15: "${params.lat}" is unknown. Did you mean "late"?',
        'p.yaml:15: copy.parts: "${write.writen}": stage "write" has no output "writen".'
        ' Did you mean "written"?',
        'p.yaml:15: copy.parts: "${wrte.written}": there is no stage "wrte". Did you mean "write"?',
        'p.yaml:15: copy.parts: "a/${write.written}": wanted ${params.NAME}, or ${STAGE.OUTPUT} at the start'
        " of a path.",
        'p.yaml:16: copy.lines: "${write.written}": only inputs refer to outputs, and lines is a parameter.',
        'p.yaml:17: copy.joined: "joined" is an output; odflow itself says where it is written.',
        "p.yaml:18: stages go in a circle: a reads b reads a.",
        'p.yaml:25: many.folder: "${write.written}" is a file; a folder is wanted.',
        'p.yaml:26: fail: "how" is missing.',
        'p.yaml:28: folder.source: "${folder.folder}/x/../y" leaves the folder of the output.',
        'p.yaml:29: "stagess" is unknown. Did you mean "stages"?',
    ]


def test_missing_inputs_come_with_the_flag_that_gives_another(sound: Any) -> None:
    Path("data/in.txt").unlink()
    Path("data/in.txt").mkdir()
    line = "p.yaml:15: spread.source: data/in.txt is a folder; a file is wanted."
    assert problems(sound, "join.parts=[gone]") == [
        "--set join.parts=[gone]: join.parts: gone does not exist. Give another with --set join.parts=PATH.",
        f"{line} Give another with --set params.source=PATH.",
    ]


def test_a_stage_says_what_a_path_stands_for(sound: Any) -> None:
    class Prefix(sound.stages["many"]):
        @field_validator("listed")
        @classmethod
        def _index(cls, path: Path) -> Path:
            return path.with_suffix(".index")

    sound.stages["prefix"] = Prefix
    sound.write(SOUND + "  prefix: {folder: data, listed: data/ckpt}\n")
    line = "p.yaml:16: prefix.listed: data/ckpt.index does not exist."
    assert problems(sound) == [f"{line} Give another with --set prefix.listed=PATH."]
    Path("data/ckpt.index").touch()
    assert sound.read().nodes["prefix"].stage.listed == Path("data/ckpt.index")


def test_inputs_of_stages_that_will_not_run_may_be_missing(sound: Any) -> None:
    Path("data/in.txt").unlink()
    assert list(sound.read(until="write").nodes) == ["write", "spread", "join"]
    assert len(problems(sound, until="join")) == 2


def test_what_flags_name_must_be_there(sound: Any) -> None:
    assert problems(
        sound, "wite.times=1", "params.tims=1", "nothing", "write.tims=3", only="jion", force=("wrte",)
    ) == [
        '--set wite.times=1: there is no stage "wite". Did you mean "write"?',
        '--set params.tims=1: there is no params.tims in p.yaml. Did you mean "times"?',
        "--set nothing: wanted params.NAME=VALUE or STAGE.FIELD=VALUE.",
        '--set write.tims=3: write: "tims" is unknown. Did you mean "times"?',
        '--only jion: there is no such stage. Did you mean "join"?',
        '--force wrte: there is no such stage. Did you mean "write"?',
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "stages:", "stages: {}", "params: {a: 1}", "stages: [a]", "just text"]
)
def test_a_file_without_stages(bench: Any, text: str) -> None:
    bench.write(text)
    assert problems(bench) == ['p.yaml:1: wanted "stages:" and below it at least one stage.']


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "params: {a: yes}\nstages: {write: {text: 'x${params.a}'}}",
            "p.yaml:2: ${params.a} is True; inside",
        ),
        ("stages: {write: 3}", 'p.yaml:1: "write" must hold names and values.'),
        ("params: [1]\nstages: {write: {}}", 'p.yaml:1: "params" must hold names and values.'),
        ("stages:\n  params: {uses: write}", 'p.yaml:2: "params" cannot name a stage'),
        ("stages:\n  ../up: {uses: write}", 'p.yaml:2: "../up" cannot name a stage'),
        (
            "params: {a: [1]}\nstages: {write: {text: 'x${params.a}'}}",
            "p.yaml:2: ${params.a} is [1]; inside a text",
        ),
    ],
)
def test_shapes_that_cannot_be(bench: Any, text: str, line: str) -> None:
    bench.write(text)
    found = problems(bench)
    assert len(found) == 1
    assert found[0].startswith(line)


DOUBLED = [
    *["  a{n}: '${{params.a{m}}}${{params.a{m}}}'", "  a{n}: ['${{params.a{m}}}', '${{params.a{m}}}']"],
    "  a{n}: {{b: '${{params.a{m}}}', c: '${{params.a{m}}}'}}",
]


@pytest.mark.parametrize("line", DOUBLED, ids=["text", "list", "mapping"])
@pytest.mark.parametrize("times", [26, 40])
def test_params_that_double_are_told_with_their_line(bench: Any, line: str, times: int) -> None:
    lines = [line.format(n=n, m=n - 1) for n in range(1, times + 1)]
    bench.write("\n".join(["params:", "  a0: '0123456789'", *lines, "stages:", "  write: {}"]))
    (problem,) = problems(bench)
    place, _, told = problem.partition(": ")
    assert "with its params filled in the pipeline has more than 1048576 characters and values" in told
    assert 10 < int(place.rpartition(":")[2]) < 24


@pytest.mark.parametrize(
    ("params", "stages"),
    [
        (["a: [" + "k," * 2000 + "]", "b: [" + "'${params.a}'," * 2000 + "]"], []),
        (["a: " + "x" * 1000], ["  write: {times: [" + "'${params.a}x'," * 5000 + "]}"]),
    ],
    ids=["lists", "texts"],
)
def test_what_is_used_often_is_told_likewise(bench: Any, params: list[str], stages: list[str]) -> None:
    bench.write(
        "\n".join(["params:", *(f"  {one}" for one in params), "stages:", *(stages or ["  write: {}"])])
    )
    (problem,) = problems(bench)
    assert problem.startswith(f"p.yaml:{3 if not stages else 4}: with its params filled in")


def test_names_that_are_wrong_by_the_thousand_are_told_soon(bench: Any) -> None:
    wrong = ", ".join(f"'${{x{number}.y}}'" for number in range(3000))
    others = "\n".join(f"  a{number}: {{uses: write}}" for number in range(3000))
    bench.write(f"stages:\n  join: {{parts: [{wrong}]}}\n{others}")
    began = process_time()
    assert len(problems(bench)) == 3000
    assert process_time() - began < 60  # it took minutes
