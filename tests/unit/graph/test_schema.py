"""The JSON Schema accepts what a pipeline may hold and refuses what it may not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from odflow.errors import ConfigError
from odflow.graph.schema import schema

jsonschema = pytest.importorskip("jsonschema", reason="needs the package jsonschema")

SOUND = [
    "stages: {write: }",
    "params: {a: 1, b: [x]}\nstages: {write: {times: '${params.a}', names: {a: '${params.b}'}}}",
    "stages: {write: {case: '${params.c}'}}",
    "stages: {a: {uses: write}, join: {parts: ['${a.written}', x], lines: [a]}}",
    "stages: {join: {parts: '${params.parts}'}}",
    "stages: {write: {uses: join, parts: [a]}}",
]
WRONG = [
    "stages: {}",
    "stages: {wirte: {}}",
    "stages: {a: {uses: wirte}}",
    "stages: {write: {tims: 1}}",
    "stages: {write: {times: x}}",
    "stages: {write: {times: 0}}",
    "stages: {write: {case: uper}}",
    "stages: {write: {written: x}}",
    "stages: {join: {}}",
    "stages: {a: {uses: join, parts: [1]}}",
    "stagess: {write: {}}",
]


@pytest.mark.parametrize("text", SOUND)
def test_accepts(bench: Any, text: str) -> None:
    made = schema(bench.registry)
    jsonschema.Draft202012Validator.check_schema(made)
    jsonschema.Draft202012Validator(made).validate(yaml.safe_load(text))


@pytest.mark.parametrize("text", WRONG)
def test_refuses_what_reading_refuses(bench: Any, text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema(bench.registry)).validate(yaml.safe_load(text))
    bench.write(text)
    Path("a").touch()
    with pytest.raises(ConfigError):
        bench.read()
