r"""The escapes of protobuf's strings: what they stand for, and where one was not meant.

A path of Windows (``"C:\tensorflow1"``) is full of them: some stand for nothing, others for
a tab or a line end.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from odflow.terminal import shown

_ESCAPE = re.compile(
    r"""\\(?: (?P<octal>[0-7]{1,3}) | [xX](?P<hex>[0-9a-fA-F]{1,2})
          | u(?P<short>[0-9a-fA-F]{4}) | U(?P<long>[0-9a-fA-F]{8}) | (?P<letter>.) )""",
    re.VERBOSE | re.DOTALL,
)
_LETTERS = dict(zip("ntrabfv\\'\"?", "\n\t\r\a\b\f\v\\'\"?", strict=True))
_NAMES = {"\t": "a tab", "\n": "a line end", "\r": "a line end", "\0": "a NUL"}
_DIGITS = {"x": "1 or 2", "X": "1 or 2", "u": "4", "U": "8"}
_LONGEST = 100


@dataclass(frozen=True)
class Text:
    r"""What a string between its quotes stands for.

    Attributes:
        value: the text. An escape that stands for nothing (``\d``) stays as it is, as in
            protobuf's own reader for Python.
        malformed: what is wrong with an escape that cannot be read; empty when nothing is.
        unknown: which escape stands for nothing, said likewise.
        odd: which escape, or character, stands for what no path and no name holds: a control
            character, or a plain letter.
    """

    value: str
    malformed: str = ""
    unknown: str = ""
    odd: str = ""


def unescape(raw: str) -> Text:
    r"""Read the text between two quotes.

    >>> unescape(r"C:\Users").malformed
    '\\U is no escape (8 hexadecimal digits must follow)'
    >>> unescape(r"data\train.record").odd
    '\\t stands for a tab'
    """
    parts: list[bytes] = []
    found: dict[str, str] = {}
    at = 0
    for match in _ESCAPE.finditer(raw):
        parts.append(_bytes(raw[at : match.start()]))
        at = match.end()
        value, fault, what = _meaning(match)
        if fault:
            found.setdefault(fault, what)
        parts.append(value)
    parts.append(_bytes(raw[at:]))
    joined = b"".join(parts)
    try:
        text = joined.decode("utf-8")
    except UnicodeDecodeError as error:
        text = joined.decode("utf-8", "replace")
        found.setdefault("malformed", f"byte 0x{joined[error.start]:02x} is not UTF-8 text")
    control = next((char for char in text if unicodedata.category(char) == "Cc"), "")
    if control:
        found.setdefault("odd", f"it holds {_named(control)}")
    return Text(text, **found)


def advice(raw: str) -> str:
    r"""How to write a text whose backslashes begin escapes.

    >>> print(advice(r"C:\data"))
    A backslash begins an escape: write "C:/data" or "C:\\data".
    """
    if "\\" not in raw:
        return "Take it out."
    if len(raw) > _LONGEST:
        return r"A backslash begins an escape: write / or \\ in its place."
    slashes, doubled = (shown(re.sub(r"\\+", mark, raw)) for mark in ("/", r"\\\\"))
    return f'A backslash begins an escape: write "{slashes}" or "{doubled}".'


def _meaning(match: re.Match[str]) -> tuple[bytes, str, str]:
    """The bytes of an escape; what kind of fault it is, and how it is said."""
    escape, letter = match.group(), match["letter"]
    if match["octal"] or match["hex"]:
        code = int(match["octal"], 8) & 255 if match["octal"] else int(match["hex"], 16)
        return bytes([code]), *_oddity(escape, chr(code) if code < 128 else "")
    if match["short"] or match["long"]:
        code = int(match["short"] or match["long"], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            return b"", "malformed", f"{escape} is no character"
        return _bytes(chr(code)), *_oddity(escape, chr(code))
    if letter in _DIGITS:
        return b"", "malformed", rf"\{letter} is no escape ({_DIGITS[letter]} hexadecimal digits must follow)"
    if letter not in _LETTERS:
        return _bytes(escape), "unknown", f"{shown(escape)} is no escape"
    meant = _LETTERS[letter]
    return _bytes(meant), *(_oddity(escape, meant) if letter.isalpha() else ("", ""))


def _oddity(escape: str, char: str) -> tuple[str, str]:
    """Nobody writes a letter as an escape on purpose, nor a control character into a path or name."""
    if not char or not (char.isascii() or unicodedata.category(char) == "Cc"):
        return "", ""
    return "odd", f"{escape} stands for {_named(char)}"


def _named(char: str) -> str:
    if unicodedata.category(char) != "Cc":
        return f'"{char}"'
    return _NAMES.get(char, f"the control character {ord(char):#04x}")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
