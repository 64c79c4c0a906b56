"""The standard streams of this process."""

from __future__ import annotations

import io
import sys


def take_any_text() -> None:
    """Have standard output and error show what their encoding lacks as ``\\xe9``, instead of failing.

    A terminal may be ASCII, and a file's name may be no text at all.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
