"""Where the text that was written counts, and where what YAML made of it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from odflow.graph.written import as_wanted


@pytest.mark.parametrize(
    ("annotation", "value", "text", "found"),
    [
        (str, False, "no", "no"),
        (str | None, 7, "007", "007"),
        (str | None, None, "null", None),
        (str, None, "null", "null"),
        (Annotated[str, "mark"], 0.5, ".5", ".5"),
        (Path, 7, "007", "007"),
        (Annotated[Path, "mark"] | None, True, "on", "on"),
        (Path, None, "null", None),
        (bool, False, "no", False),
        (int, 7, "007", 7),
        (float, 7, "007", 7),
        (int | str, 7, "007", 7),
        (int | str, False, "no", "no"),
        (Literal["no", "yes"], False, "no", "no"),
        (Literal["a"], False, "no", False),
        (Literal[2, 4], 2, "2", 2),
        (Any, 7, "007", 7),
        (None, 7, "007", 7),
    ],
)
def test_a_text_counts_where_one_is_wanted(annotation, value, text, found):
    assert as_wanted(annotation, value, {("f",): text}, ("f",)) == found
    assert as_wanted(annotation, "x", {}, ("f",)) == "x"


@pytest.mark.parametrize(
    ("annotation", "value", "found"),
    [
        (list[str], [7, "a"], ["007", "a"]),
        (list[str] | None, [7], ["007"]),
        (tuple[str, ...], [7], ["007"]),
        (set[Literal["007"]], [7], ["007"]),
        (list[int], [7], [7]),
        (list, [7], [7]),
        (str, [7], [7]),
    ],
)
def test_lists(annotation, value, found):
    assert as_wanted(annotation, value, {("f", 0): "007"}, ("f",)) == found


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        (dict[str, str], "007"),
        (dict[str, str] | None, "007"),
        (dict[str, str | int], 7),
        (dict[str, float], 7),
        (dict, 7),
        (list[str], 7),
    ],
)
def test_mappings(annotation, found):
    assert as_wanted(annotation, {"no": 7}, {("f", "no"): "007"}, ("f",)) == {"no": found}
    nested = as_wanted(dict[str, list[str]], {"a": [7]}, {("f", "a", 0): "007"}, ("f",))
    assert nested == {"a": ["007"]}
