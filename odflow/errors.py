"""Every exception that odflow raises on purpose, and the exit code of each.

OdflowError           1
├── ConfigError       2   a pipeline file, a flag, a pipeline.config or a label map is wrong
├── InputError        2   a file or folder that was given is missing, damaged or does not fit
│   ├── TableError    2   a row or column of a detections table
│   └── ImageError    2   one image; stages that take many count it and go on
├── StageError        1   a stage could not do its work, though its inputs are right
├── StoreError        1   the store or an output folder cannot be written or read
│   └── RemoteError   1   the store that machines share cannot be reached or refuses
│       └── DamagedError  1   one object there is missing, half-sent or corrupt
└── GateError         3   a gate said no

A message is one line per problem: where, what was found, what was wanted, what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from odflow.terminal import shown


class OdflowError(Exception):
    """Base of all; the command line prints its message and exits with `exit_code`.

    Args:
        lines: one for each problem. Names in them may hold anything, and a line stays one line.
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__(*(shown(str(line)) for line in lines))

    @property
    def lines(self) -> list[str]:
        """A line for each problem."""
        return list(self.args)

    def __str__(self) -> str:
        """All lines."""
        return "\n".join(self.args)


class ConfigError(OdflowError):
    """A pipeline file, a flag, a training config or a label map is wrong."""

    exit_code = 2


class InputError(OdflowError):
    """A file or folder that was given is missing, damaged or does not fit."""

    exit_code = 2


class TableError(InputError):
    """A table of detections lacks a column or holds an impossible row."""


class ImageError(InputError):
    """One image cannot be read."""


class StageError(OdflowError):
    """A stage could not do its work, though its inputs are right."""


class StoreError(OdflowError):
    """The store or an output folder cannot be written or read."""


class RemoteError(StoreError):
    """The store that several machines share cannot be reached, or refuses."""


class DamagedError(RemoteError):
    """One object in the store that machines share is missing, half-sent or corrupt; others may be right."""


class GateError(OdflowError):
    """A gate said no."""

    exit_code = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """End a message with the nearest known name.

    Args:
        word: the name that is not known.
        known: the names that are.

    Returns:
        `` Did you mean "car"?``, or the known names when none is near
        (the first ten of them), each with a leading space.

    >>> nearest("fliter", ["filter", "split"])
    ' Did you mean "filter"?'
    >>> nearest("zebra", ["filter", "split"])
    ' Known: filter, split.'
    """
    names = sorted(set(known))
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f' Did you mean "{near[0]}"?'
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f" Known: {', '.join(names[:10])}{more}." if names else ""
