"""What is left out, and what is wrong with many parts of an input: told together, with a count and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from odflow.errors import InputError, OdflowError
from odflow.terminal import shown

NAMED = 3
"""Names that a line gives; the others are counted."""

SHOWN = 10
"""Problems that are told one by one; the others are counted."""


def first_names(names: Iterable[str], most: int = NAMED) -> str:
    """The first names of many.

    >>> first_names(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    found = [shown(name) for name in names]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


@dataclass(frozen=True)
class LeftOut:
    """Things of one kind that a stage leaves out, or changes on its own account.

    Attributes:
        name: of the number in run.json: a plural in snake case, such as ``annotations_without_image``.
        number: how many there are.
        what: what they are, after the number: "XML files left out, since they have no image".
        names: of the things, or of the files that they are in.
        advice: what to do next; a sentence.
    """

    name: str
    number: int
    what: str
    names: Sequence[str] = field(default=())
    advice: str = ""

    def __str__(self) -> str:
        """One line.

        >>> print(LeftOut("files_without_image", 4, "files have no image", list("abcd"), "Add them."))
        4 files have no image (a, b, c and 1 more). Add them.
        """
        named = f" ({first_names(self.names)})" if self.names else ""
        return f"{self.number} {self.what}{named}.{self.advice and ' '}{self.advice}"


class Faults:
    """Collects what is wrong with many parts of an input, so that the first never hides the next.

    Attributes:
        lines: one for each fault, in the order in which they were found.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, fault: OdflowError | str) -> None:
        """Take a fault, or all lines of an error."""
        self.lines += fault.lines if isinstance(fault, OdflowError) else [shown(fault)]

    def raise_all(self, kind: type[OdflowError] = InputError, advice: str = "") -> None:
        """Raise what was found.

        Args:
            kind: of the error.
            advice: a last line: what to do next.

        Raises:
            OdflowError: of that kind: up to `SHOWN` faults, a line each, and how many more there are.
        """
        if not self.lines:
            return
        more = len(self.lines) - SHOWN
        told = [*self.lines[:SHOWN], *([f"... and {more} more of this kind."] if more > 0 else [])]
        raise kind(*told, *([advice] if advice else []))
