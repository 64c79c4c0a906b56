"""The JSON Schema of pipeline files, for editors."""

from __future__ import annotations

from typing import Any

from odflow.graph.pipeline import NAME
from odflow.graph.reading import MOST_RETRIES
from odflow.graph.registry import Registry
from odflow.graph.stage import Needs, Stage, summary

_PLACEHOLDER = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_SCALARS = {"string", "number", "integer", "boolean", "null"}


def schema(registry: Registry) -> dict[str, Any]:
    """Describe pipeline files with the stages that are installed; a broken one is told and left out.

    Returns:
        A JSON Schema of draft 2020-12. Wherever a value may stand, ``${...}`` may too.
    """
    stages = registry.working()
    named = f"^{NAME.pattern}$"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "odflow pipeline",
        "type": "object",
        "required": ["stages"],
        "additionalProperties": False,
        "properties": {
            "params": {"type": ["object", "null"], "propertyNames": {"pattern": named}},
            "stages": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": named},
                "properties": {name: _by_name(name) for name in stages},
                "additionalProperties": {"$ref": "#/$defs/uses"},
            },
        },
        "$defs": {
            "uses": _by_uses(list(stages)),
            **{f"stage.{name}": _stage(one) for name, one in stages.items()},
        },
    }


def _by_name(name: str) -> dict[str, Any]:
    own = {"$ref": f"#/$defs/stage.{name}"}
    return {"if": {"type": "object", "required": ["uses"]}, "then": {"$ref": "#/$defs/uses"}, "else": own}


def _by_uses(names: list[str]) -> dict[str, Any]:
    cases = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": {"$ref": f"#/$defs/stage.{name}"},
        }
        for name in names
    ]
    return {"type": "object", "required": ["uses"], "properties": {"uses": {"enum": names}}, "allOf": cases}


def _stage(stage: type[Stage]) -> dict[str, Any]:
    full = stage.model_json_schema()
    models = full.pop("$defs", {})
    fields = {name: field for name, field in full["properties"].items() if name not in stage.output_fields()}
    return {
        "type": ["object", "null"],
        "description": summary(stage),
        "required": [name for name in full.get("required", []) if name in fields],
        "additionalProperties": False,
        "properties": {
            "uses": {"type": "string"},
            "retries": {"type": "integer", "minimum": 0, "maximum": MOST_RETRIES},
            "needs": Needs.model_json_schema(),
            **{name: _open(field, models) for name, field in fields.items()},
        },
    }


def _open(field: Any, models: dict[str, Any]) -> Any:
    """Let ``${...}`` stand for a value and for every value inside it."""
    if "$ref" in field:
        field = {
            **models[field["$ref"].rpartition("/")[2]],
            **{k: v for k, v in field.items() if k != "$ref"},
        }
    about = {key: field[key] for key in ("title", "description", "default") if key in field}
    rest = {key: value for key, value in field.items() if key not in about}
    for key in ("items", "additionalProperties"):
        if isinstance(rest.get(key), dict):
            rest[key] = _open(rest[key], models)
    for key in ("anyOf", "prefixItems"):
        if key in rest:
            rest[key] = [_open(one, models) for one in rest[key]]
    if "properties" in rest:
        rest["properties"] = {name: _open(one, models) for name, one in rest["properties"].items()}
    return {**about, "anyOf": [rest, _PLACEHOLDER]}
