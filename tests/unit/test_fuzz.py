"""Whatever a file of a user's holds, its reader reads it or refuses it by name, soon.

`benchmarks/fuzz.py` tries as many as there is time for.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from odflow.errors import OdflowError
from odflow.graph.document import parse
from odflow.odapi.assignment import set_field
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fuzz.damage import piece
from fuzz.readers import READERS, attempt

sys.path.pop(0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_by_name(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    counts = {"read": 0, "refused": 0}
    for content in islice(reader.contents(name), reader.tests):
        outcome = attempt(reader, tmp_path, content)
        assert outcome.kind in counts, (outcome.said, content[:2000])
        counts[outcome.kind] += 1
    assert counts["read"] > 0, counts


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


def test_whatever_a_field_of_a_config_is_set_to_it_is_set_or_told() -> None:
    for number in range(2000):
        random, config = Random(number), TrainEvalPipelineConfig()
        with suppress(OdflowError):
            set_field(config, path_of(random), value_of(random))
        assert len(config.ListFields()) <= 1


def test_whatever_a_flag_sets_it_is_yaml_or_told() -> None:
    for number in range(2000):
        with suppress(OdflowError):
            parse(piece(Random(number)), "--set")
