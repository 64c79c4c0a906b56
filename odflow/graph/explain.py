"""Say in one line what is wrong with a stage's fields."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from odflow.errors import nearest
from odflow.graph.patterns import WILD
from odflow.graph.stage import Kind, Stage
from odflow.regular import kind_of
from odflow.terminal import shown

_WANTED = {"file": "a file", "folder": "a folder", "path": "a file or a folder"}

Location = tuple[str | int, ...]

_ESCAPED = (
    " It holds control characters: between double quotes a backslash begins an escape; write / or \\\\."
)


def faults(
    error: ValidationError, stage: type[Stage], fields: Mapping[str, Any], label: Callable[[str], str]
) -> Iterator[tuple[Location, str]]:
    """Turn pydantic's findings into lines, one for each place.

    Args:
        error: what the fields were refused with.
        stage: the class.
        fields: what was given.
        label: how the user writes a field: ``min_score`` or ``--min-score``.

    Yields:
        Where in the fields, and what was found and wanted there.
    """
    seen = set()
    for detail in error.errors():
        location = _written(detail["loc"], fields)
        if location not in seen:
            seen.add(location)
            yield location, _line(detail, location, stage, label)


def wrong_path(path: Path, kind: Kind) -> str:
    """What is wrong with a path that a stage is to read; "" when nothing is."""
    try:
        there = path.exists()
    except OSError as error:  # a name too long for the file system, a folder without permission
        return f"{shown(str(path))} cannot be read ({error.strerror}). Give {_WANTED[kind]}."
    if not there:
        wrong = "matches no file" if WILD & set(str(path)) else "does not exist"
        return f"{shown(str(path))} {wrong}.{_ESCAPED if _holds_controls(path) else ''}"
    if not path.is_file() and not path.is_dir():
        found = kind_of(path.stat().st_mode)
        return f"{path} is {found}; only files and folders are read. Give {_WANTED[kind]}."
    if kind == "file" and not path.is_file():
        return f"{path} is a folder; a file is wanted."
    if kind == "folder" and not path.is_dir():
        return f"{path} is a file; a folder is wanted."
    return ""


def _holds_controls(path: Path) -> bool:
    return any(unicodedata.category(char) == "Cc" for char in str(path))


def _line(detail: ErrorDetails, location: Location, stage: type[Stage], label: Callable[[str], str]) -> str:
    field = str(location[0]) if location else ""
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not field:
        return message
    if detail["type"] == "extra_forbidden":
        known = [label(name) for name in stage.model_fields if name not in stage.output_fields()]
        return f'"{label(field)}" is unknown.{nearest(label(field), known)}'
    if detail["type"] == "missing" and len(location) == 1:
        about = stage.model_fields[field].description
        return f'"{label(field)}" is missing' + (f": {about}." if about else ".")
    where = label(field) + "".join(f"[{step!r}]" for step in location[1:])
    if detail["type"] == "value_error":
        return f"{where}: {message}"
    wanted = message.replace("Input should be ", "wanted ", 1)
    return f"{where} is {reprlib.repr(detail['input'])}; {wanted}.{_near(detail)}"


def _near(detail: ErrorDetails) -> str:
    if detail["type"] != "literal_error":
        return ""
    known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
    near = nearest(str(detail["input"]), known)
    return near if "Did you mean" in near else ""


def _written(location: Location, fields: Any) -> Location:
    """Keep the steps that lead through what was given; pydantic adds its own for unions and keys."""
    found: list[str | int] = list(location[:1])
    value = fields.get(location[0]) if location else None
    for step in location[1:]:
        inside = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(inside, dict) and step in inside:
            value = inside[step]
            found.append(step)
    return tuple(found)
