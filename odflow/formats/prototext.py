"""A reader of protobuf's text form that needs no schema and knows every line.

Grammar: https://protobuf.dev/reference/protobuf/textformat-spec/ (without extensions).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from odflow.errors import ConfigError

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>[-+.\w]+)
      | (?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)")
_LETTERS = dict(zip("ntrabfv", b"\n\t\r\a\b\f\v", strict=True))


@dataclass(frozen=True)
class Entry:
    """One field of a message: its value is text (a scalar) or entries (a message)."""

    line: int
    name: str
    value: str | list[Entry]


class _Token(NamedTuple):
    line: int
    kind: str
    text: str


def parse(path: Path, text: str) -> list[Entry]:
    """Read a message in text form.

    Args:
        path: what errors name.
        text: the whole file.

    Returns:
        Its fields in order; a field that repeats comes several times.

    Raises:
        ConfigError: a syntax error, with file and line.
    """
    return _Parser(path, text).message("end", "")


class _Parser:
    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.tokens = list(self._scan(text))
        self.at = 0

    def message(self, kind: str, closing: str) -> list[Entry]:
        """Read fields up to and with the token that closes them."""
        entries: list[Entry] = []
        while not self._take(kind, closing):
            name = self._next()
            if name.kind != "word":
                self._fail(name, "a field name" + (f' or "{closing}"' if closing else ""))
            entries.extend(self._field(name))
            self._take("mark", ",") or self._take("mark", ";")
        return entries

    def _field(self, name: _Token) -> Iterator[Entry]:
        if not self._take("mark", ":") and self.tokens[self.at].text not in ("{", "<"):
            self._fail(self.tokens[self.at], f'":" after {name.text}')
        if not self._take("mark", "["):
            yield self._value(name)
            return
        while not self._take("mark", "]"):
            yield self._value(name)
            self._take("mark", ",")

    def _value(self, name: _Token) -> Entry:
        token = self._next()
        if token.kind == "mark" and token.text in ("{", "<"):
            return Entry(name.line, name.text, self.message("mark", "}" if token.text == "{" else ">"))
        if token.kind not in ("word", "string"):
            self._fail(token, f"a value of {name.text}")
        text = token.text
        while token.kind == "string" and self.tokens[self.at].kind == "string":  # adjacent strings are one
            text += self._next().text
        return Entry(token.line, name.text, text)

    def _take(self, kind: str, text: str) -> bool:
        found = self.tokens[self.at]
        if (found.kind, found.text) != (kind, text):
            return False
        self._next()
        return True

    def _next(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _scan(self, text: str) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self._fail(
                    _Token(line, "", text[at : at + 10].split("\n")[0]), "a field, a value or a bracket"
                )
            found = match.group()
            if match.lastgroup == "string":
                yield self._unescape(line, found[1:-1])
            elif match.lastgroup != "space":
                yield _Token(line, str(match.lastgroup), found)
            line += found.count("\n")
            at = match.end()
        yield _Token(line, "end", "")

    def _unescape(self, line: int, text: str) -> _Token:
        parts = _ESCAPE.split(text)
        parts[1::2] = map(_escaped, parts[1::2])
        try:  # octal and hexadecimal escapes are bytes of UTF-8, not characters
            return _Token(line, "string", "".join(parts).encode("utf-8", "surrogateescape").decode("utf-8"))
        except UnicodeError:
            self._fail(_Token(line, "string", text), "UTF-8 text")

    def _fail(self, found: _Token, wanted: str) -> NoReturn:
        what = "the end of the file" if found.kind == "end" else f'"{found.text}"'
        raise ConfigError(f"{self.path}:{found.line}: found {what}, wanted {wanted}.")


def _escaped(code: str) -> str:
    if code[0] in "uU":
        return chr(int(code[1:], 16))
    if code[0] in "xX" and len(code) > 1:
        return bytes([int(code[1:], 16)]).decode("utf-8", "surrogateescape")
    if code.isdecimal():
        return bytes([int(code, 8) & 255]).decode("utf-8", "surrogateescape")
    return chr(_LETTERS[code]) if code in _LETTERS else code
