"""The fields of a stage as flags."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic.fields import FieldInfo

from odflow.cli.parser import Parser
from odflow.errors import ConfigError
from odflow.graph.stage import Stage
from odflow.graph.written import members

_WORDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


def flag(field: str) -> str:
    """How a field is written on the command line.

    >>> flag("min_score")
    '--min-score'
    """
    return "--" + field.replace("_", "-")


def add_fields(parser: Parser, stage: type[Stage]) -> None:
    """Add a flag for every input and parameter of a stage."""
    inputs = parser.add_argument_group("inputs")
    parameters = parser.add_argument_group("parameters")
    for name, field in stage.model_fields.items():
        if name in stage.output_fields():
            continue
        if flag(name) in parser._option_string_actions:
            raise ConfigError(
                f"{stage.__name__}.{name}: {flag(name)} is a flag of every stage. Rename the field."
            )
        group = inputs if name in stage.inputs() else parameters
        group.add_argument(
            flag(name), dest=name, default=argparse.SUPPRESS, help=_help(field), **_how(name, field, stage)
        )


def given_fields(stage: type[Stage], found: argparse.Namespace) -> dict[str, Any]:
    """What the flags say, as values for the fields.

    Raises:
        ConfigError: a pair is not NAME=VALUE.
    """
    values = {name: value for name, value in vars(found).items() if name in stage.model_fields}
    for name, value in values.items():
        if _shape(stage.model_fields[name].annotation)[0] is dict:
            values[name] = dict(_pair(name, text) for text in value)
    return values


def _how(name: str, field: FieldInfo, stage: type[Stage]) -> dict[str, Any]:
    """The arguments of argparse for a field; its values stay texts, which pydantic reads."""
    origin, inner = _shape(field.annotation)
    if origin is bool:
        return {"action": argparse.BooleanOptionalAction}
    if name in stage.inputs():
        word = {"file": "FILE", "folder": "FOLDER", "path": "PATH"}[stage.inputs()[name].kind]
    else:
        word = _word(inner)
    if origin is dict:
        return {"nargs": "+", "action": "extend", "metavar": f"NAME={word}"}
    if origin is list:
        return {"nargs": "+", "action": "extend", "metavar": word}
    return {"metavar": word}


def _shape(annotation: Any) -> tuple[type, Any]:
    """Whether a field takes one value, several (list), pairs (dict) or a switch (bool), and of what."""
    members = list(_members(annotation))
    for member in members:
        origin, arguments = typing.get_origin(member), typing.get_args(member)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return dict, arguments[1]
        if isinstance(origin, type) and issubclass(origin, Collection):
            return list, arguments[0]
    if members == [bool]:
        return bool, bool
    return str, members[0] if members else str


def _members(annotation: Any) -> Iterator[Any]:
    """The types of a union without None."""
    return (member for member in members(annotation) if member is not type(None))


def _word(inner: Any) -> str:
    """What stands for a value in --help."""
    members = list(_members(inner))
    if members and typing.get_origin(members[0]) is Literal:
        return "{" + ",".join(str(choice) for choice in typing.get_args(members[0])) + "}"
    return _WORDS.get(members[0], "VALUE") if members else "VALUE"


def _help(field: FieldInfo) -> str:
    about = (field.description or "").replace("%", "%%")
    if field.is_required():
        return f"{about} (needed)".strip()
    default = field.get_default(call_default_factory=True)
    if default in (None, [], {}, (), ""):
        return about
    return f"{about} ({_plain(default)} if left out)".strip()


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _pair(name: str, text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals:
        raise ConfigError(f"{flag(name)} {text}: wanted NAME=VALUE.")
    return left, right
