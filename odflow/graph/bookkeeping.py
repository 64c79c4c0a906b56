"""What odflow notes for itself, read again: it may be damaged, or of another odflow.

Who reads such a file gets what it should hold, or a ValueError of one line: then it is
as if the file were not there, which is told, and it is made anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from odflow.terminal import shown

T = TypeVar("T")

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Key = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern="^(tree:)?[0-9a-f]{64}$")]

_DEEPEST = 100
"""Lists and dicts inside one another: what is compared and written again recurses."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none, or nested too deep.
    """
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Understand a JSON text.

    Args:
        text: all of it.
        finite: refuse NaN and infinities, which Python's JSON has and others' has not.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    try:
        found = json.loads(text, parse_constant=_refuse if finite else None)
        _check_depth(found, _DEEPEST)
        return found
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def understood(form: TypeAdapter[T], value: Any) -> T:
    """Take a value for what it should be.

    Raises:
        ValueError: it is not; the message names the place of the first fault.
    """
    try:
        return form.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(shown(f"{place[:100]}: {first['msg']}")) from error
    except (RecursionError, OverflowError) as error:
        raise ValueError(type(error).__name__) from error


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not left:
        raise RecursionError
    for item in value.values() if isinstance(value, dict) else value:
        _check_depth(item, left - 1)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")
