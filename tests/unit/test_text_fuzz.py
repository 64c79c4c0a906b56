"""Whatever a text file of a user's holds, an error of odflow's comes out of it, or what it says: soon.

`ODFLOW_FUZZ_EXAMPLES=100000` tries more examples of each kind than the 2,000 of every run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odflow.errors import OdflowError
from odflow.formats.class_names import read_class_names
from odflow.formats.label_map import read_label_map
from odflow.formats.mask_classes import read_mask_classes
from odflow.formats.prototext import parse
from odflow.formats.yolo import read_yolo_names
from odflow.graph.document import parse as parse_yaml
from odflow.graph.document import read_document
from odflow.odapi.assignment import set_field
from odflow.odapi.coverage_report import CoverageReport
from odflow.odapi.pipeline_config import pipeline_config_text, read_pipeline_config
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.training.translation import translate

PROJECT = Path(__file__).resolve().parents[2]
SAMPLES = PROJECT.parent / "shared/odapi"
SECONDS = 5
"""That one example may take; they are milliseconds."""

fuzz = settings(
    max_examples=int(os.environ.get("ODFLOW_FUZZ_EXAMPLES", "2000")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

MARKS = (
    *"{}<>[]:;,=\"'\\#\n\t -.0/&*!|?%@`~",
    *("“", "”", "\u2019", "«", "\0", "\x1b", "\ufeff", "é", "😀", "\u2028", "\ud800", "\x85", "\u202e"),
    *(r"\U", r"\x", r"\u00e9", r"\777", r"\t", "//", "/*", "<<: ", "!!int ", "--- ", "&a ", "*a", "? ", "- "),
    *("99999999999999999999", "-1", "1e400", "nan", "0x", "no", "null", "007", "12:30:45", "C:\\Users\\"),
    *('"C:\\Users\\x" ', "{ " * 80, "[" * 80, "item {", "id: 1", "name:", "params:", "stages:", "${params."),
)
"""What these texts are made of, and what is easily written into them."""


def piece(random: Random) -> str:
    """A mark, or some characters."""
    if random.random() < 0.8:
        return random.choice(MARKS)
    return "".join(
        chr(random.randrange(random.choice([128, 0x500, 0x11000]))) for _ in range(random.randrange(6))
    )


def damaged(random: Random, text: str) -> str:
    """A text with some pieces left out, put in, doubled or moved."""
    for _ in range(random.randint(1, 4)):
        at, length = random.randint(0, len(text)), random.randint(0, 30)
        kept, rest, line = text[:at], text[at + length :], text[at:].partition("\n")
        changed = (
            kept + rest,
            kept + piece(random) + rest,
            kept + piece(random) + text[at:],
            kept + text[at : at + length] + text[at:],
            kept + line[0] + line[1] + text[at:],
            kept + line[2],
            rest + kept,
            kept,
        )
        text = random.choice(changed)
    return text


def content(random: Random, bases: list[str]) -> bytes:
    """A damaged text, mostly; else a text of marks, or bytes of no meaning."""
    kind = random.random()
    if kind < 0.05:
        return random.randbytes(random.randrange(200))
    text = "".join(piece(random) for _ in range(random.randrange(30)))
    data = (damaged(random, random.choice(bases)) if kind < 0.85 else text).encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        at = random.randint(0, len(data))
        data = data[:at] + random.randbytes(3) + data[at:]
    return data


SEEDS = st.integers(0, 2**64)


def contents(bases: list[str]) -> st.SearchStrategy[bytes]:
    """Texts that are nearly right, by seeds: hypothesis draws one number for each, which is fast."""
    return SEEDS.map(lambda seed: content(Random(seed), bases))


def texts_of(*patterns: str) -> list[str]:
    files = [
        file for pattern in patterns for root in (PROJECT, SAMPLES) for file in sorted(root.glob(pattern))
    ]
    assert files
    return [file.read_text(encoding="utf-8") for file in files]


CONFIGS = texts_of("pipelines/*.config", "configs/*.config")
LABEL_MAPS = [text[:2000] for text in texts_of("label_maps/*.pbtxt")] + ['item { id: 1 name: "a" }\n' * 3]
PIPELINES = texts_of("pipelines/*.yaml")
NAMES = [
    "names: [cat, no, 007]\nnc: 3\n",
    "path: .\nnames:\n  0: cat\n  1: 'a b'\n  2: null\n",
    'colors:\n  (0, 0, 0): background\n  "#800000": flower\n  (0, 0, 128): ignore\n',
    '{"names": {"0": "a", "1": "b"}}',
    "cat\ndog\n",
]


def survives(read: Callable[[], Any]) -> Any:
    """What is read; None where an error of odflow's said that it cannot be, in lines that can be shown."""
    began = time.perf_counter()
    try:
        return read()
    except OdflowError as error:
        lines = str(error).split("\n")
        assert all(line.isprintable() and line for line in lines), lines
        assert "unexpected" not in lines[0]
        return None
    finally:
        assert time.perf_counter() - began < SECONDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to write examples into."""
    return tmp_path_factory.mktemp("fuzz")


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@fuzz
@given(data=contents([*LABEL_MAPS, *CONFIGS]))
def test_prototext(data: bytes) -> None:
    survives(lambda: parse(Path("a.pbtxt"), data.decode("utf-8", "surrogateescape")))


@fuzz
@given(data=contents(LABEL_MAPS))
def test_label_maps(folder: Path, data: bytes) -> None:
    labels = survives(lambda: read_label_map(written(folder, "a.pbtxt", data)))
    if labels:
        assert read_label_map(written(folder, "b.pbtxt", labels.to_text().encode())) == labels


@fuzz
@given(data=contents(CONFIGS))
def test_configs(folder: Path, data: bytes) -> None:
    config = survives(lambda: read_pipeline_config(written(folder, "a.config", data)))
    if config is None or not config.ListFields():
        return
    assert read_pipeline_config(written(folder, "b.config", pipeline_config_text(config).encode())) == config
    survives(lambda: translate(config, "a.config"))
    found = survives(lambda: translate(config, "a.config", to_train=False, inputs=False))
    if found:
        assert CoverageReport.of(config, found[1]).to_markdown()


@fuzz
@given(data=contents(PIPELINES), setting=SEEDS.map(lambda seed: piece(Random(seed))))
def test_yaml_documents(folder: Path, data: bytes, setting: str) -> None:
    document = survives(lambda: read_document(written(folder, "a.yaml", data)))
    if document:
        survives(document.raise_problems)
        assert set(document.texts) <= set(document._places)
    survives(lambda: parse_yaml(setting, "--set"))


@fuzz
@given(data=contents(NAMES), suffix=st.sampled_from([".yaml", ".txt"]))
def test_files_of_names(folder: Path, data: bytes, suffix: str) -> None:
    path = written(folder, f"names{suffix}", data)
    for read in (read_yolo_names, read_class_names, lambda path: read_mask_classes(path).names):
        names = survives(lambda read=read: read(path)) or {}
        assert all(isinstance(number, int) and isinstance(name, str) for number, name in names.items())


def path_of(random: Random) -> str:
    """A path that leads somewhere, mostly."""
    steps, message = [], TrainEvalPipelineConfig.DESCRIPTOR
    while message is not None and message.fields and random.random() < 0.9:
        field = random.choice(message.fields)
        steps.append(field.name + random.choice(["", "", "", "", "[0]", "[1]", "[99]", "[", "[-1]"]))
        message = field.message_type
    return ".".join(steps) + (piece(random) if random.random() < 0.1 else "")


VALUES = (
    True,
    None,
    7,
    -(10**30),
    0.5,
    1e300,
    float("nan"),
    ["a", 7],
    [0.5],
    [],
    "8",
    "true",
    "0.5",
    "SIGMOID",
)


def value_of(random: Random) -> Any:
    """A value that fits some field."""
    messages = "{ }", "{ adam_optimizer { } }", '{ key: "a" value: "b" }', piece(random), piece(random)
    return random.choice((*VALUES, *messages))


@fuzz
@given(
    path=SEEDS.map(lambda seed: path_of(Random(seed))), value=SEEDS.map(lambda seed: value_of(Random(seed)))
)
def test_fields_that_are_set(path: str, value: Any) -> None:
    config = TrainEvalPipelineConfig()
    survives(lambda: set_field(config, path, value))
    assert len(config.ListFields()) <= 1
