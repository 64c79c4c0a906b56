"""A reader of protobuf's text form that needs no schema and knows every line.

Grammar: https://protobuf.dev/reference/protobuf/textformat-spec/ (without extensions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from odflow.errors import ConfigError
from odflow.formats.prototext_parser import Entry, Fault, Parser
from odflow.left_out import Faults
from odflow.terminal import shown

__all__ = ["Entry", "Fault", "Reading", "parse", "raise_faults", "read"]


@dataclass(frozen=True)
class Reading:
    """What a text holds, and what is wrong with it.

    Attributes:
        entries: the fields that could be read.
        faults: in the order in which they were found.
        whole: all messages and quotes are closed, so that every field stands where it was meant.
    """

    entries: list[Entry]
    faults: list[Fault]
    whole: bool


def parse(path: Path, text: str) -> list[Entry]:
    """Read a message in text form.

    Args:
        path: what errors name.
        text: the whole file.

    Returns:
        Its fields in order; a field that repeats comes several times.

    Raises:
        ConfigError: a line for each syntax error, with file and line.
    """
    reading = read(path, text)
    raise_faults(path, reading.faults)
    return reading.entries


def read(path: Path, text: str, fits: Callable[[list[Entry]], int] = lambda _: 0) -> Reading:
    """Read a message in text form as far as that can be done.

    Args:
        path: what errors name.
        text: the whole file.
        fits: how many entries are where they do not belong; tells which bracket is missing.

    Raises:
        ConfigError: messages are nested deeper than `MAX_DEPTH`.
    """
    parser = Parser(path, text)
    first = parser.scanner.peek()
    if first.text in ("{", "["):
        raise ConfigError(
            f"{path}:{first.line}: begins with {first.text}, as JSON does; wanted: protobuf text."
        )
    entries = parser.message("", None)
    parser.blame(entries, fits)
    return Reading(entries, parser.faults, parser.whole)


def raise_faults(path: Path | str, faults: Iterable[Fault]) -> None:
    """Raise what is wrong, in the order of the lines.

    Raises:
        ConfigError: there is a fault; a line for each of the first.
    """
    told = Faults()
    for line, message in sorted(dict.fromkeys(faults), key=lambda fault: fault.line):
        told.add(shown(f"{path}:{line}: {message}"))
    told.raise_all(ConfigError)
