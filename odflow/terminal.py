"""What may be written to somebody's terminal."""

from __future__ import annotations

import logging
from typing import Any


def shown(text: str) -> str:
    r"""A text out of somebody's file, as a line on a terminal may hold it.

    Whatever moves the cursor, ends the line, turns the direction of writing or cannot be printed
    is escaped: control characters, line and paragraph separators, bidirectional overrides, bytes
    that are no UTF-8.

    >>> shown("red\n")
    'red\\n'
    >>> print(shown("a\x1b[2J\u202eb\udcff"))
    a\x1b[2J\u202eb\udcff
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class OneLine(logging.Formatter):
    """A record stays one line, whatever the names in it hold; only a traceback has several."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message."""
        return shown(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """The traceback."""
        return "\n".join(map(shown, super().formatException(ei).split("\n")))
