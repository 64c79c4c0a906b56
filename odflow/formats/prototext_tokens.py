"""The words, strings and brackets of protobuf's text form."""

from __future__ import annotations

import re
from typing import NamedTuple

_CURLY = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u201b\u2039\u203a`\u00b4"
CURLY = tuple(_CURLY)
"""Quotation marks of word processors and of other languages; none is protobuf's."""

_TOKEN = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<open>["'][^\n]*)
      | (?P<word>[-+.\w]+)
      | (?P<mark>[{{}}<>\[\]:;,=])
      | (?P<curly>[{_CURLY}])
      | (?P<other>[^\s\w{{}}<>\[\]:;,="'{_CURLY}\#+.-]+)""",
    re.VERBOSE,
)
_LONGEST = 400
"""Characters of a text without quotes that are looked at, so that long lines take no longer."""

_BARE = re.compile(rf"[^{{}}<>\[\],;\"'\n{_CURLY}#]{{0,{_LONGEST}}}")
_ILL_QUOTED = re.compile(rf"[^{{}}\[\]\n\"{_CURLY}]*")
_COMMENT = re.compile(r"\s//")
_WORDS = re.compile(r"[-.\w]+(\s+[-.\w]+)*")
_NAMED = re.compile(r"\s*[:=](?!//)")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_PLAIN = re.compile(r"[-+.\d].*|true|false")


class Token(NamedTuple):
    """A piece of the text; its kind is the name of a group of the pattern, or "end"."""

    line: int
    kind: str
    text: str
    start: int
    margin: int
    """How far its line is indented."""
    first: bool
    """It is the first one of its line."""


class Scanner:
    """Reads tokens one by one, so that a text that lacks its quotes can be taken whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line = 1
        """Of the last token that was taken."""
        self._at, self._row = 0, 1
        self._margin, self._first = 0, True
        self._ahead: list[Token] = []

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one of those after it."""
        while len(self._ahead) <= ahead:
            self._ahead.append(self._scan())
        return self._ahead[ahead]

    def next(self) -> Token:
        """Take a token; at the end of the text it is "end", again and again."""
        token = self.peek()
        self._ahead.pop(0)
        self.line = token.line
        return token

    def bare(self, token: Token) -> str:
        """The text that begins with a token and needs quotes; empty where the token is all there is."""
        if len(token.text) >= _LONGEST:
            return ""
        found = _BARE.match(self.text, token.start)
        text = _COMMENT.split(found.group())[0].rstrip() if found else ""
        first, *rest = text.split(maxsplit=1) or [""]
        if first.startswith(("//", "/*")) or (first == token.text and not self._goes_on(token, rest)):
            return ""
        if _NAMED.match(text, len(token.text)) and not _DRIVE.match(text):
            return ""
        if _PLAIN.fullmatch(token.text) and first.startswith(f"{token.text}//"):
            return ""
        return text

    def _goes_on(self, token: Token, rest: list[str]) -> bool:
        """Whether more words of the same text follow a word in its line, and no name of a field."""
        if not rest or _PLAIN.fullmatch(token.text) or not _WORDS.fullmatch(rest[0]):
            return False
        end = self.text.find(rest[0], token.start) + len(rest[0])
        following = self.text[end : end + 80].lstrip()[:1]
        return following not in ("{", "<", "[")

    def take_bare(self) -> str:
        """Take the text that `bare` finds, with a quote that stands at its end alone."""
        token = self.peek()
        text = self.bare(token)
        end = token.start + len(text)
        self._go(token, end + (self.text[end : end + 1] in ('"', "'", *CURLY)))
        return text

    def take_ill_quoted(self) -> tuple[str, str, str]:
        """Take a text whose first quote is typographic, or that is not closed.

        Returns:
            The first quote, the text, and the quote that ends it; empty where none does.
        """
        token = self.peek()
        mark, start = token.text[0], token.start + 1
        found = _ILL_QUOTED.match(self.text, start)
        end = found.end() if found else start
        ending = self.text[end : end + 1]
        if mark not in CURLY and ending not in CURLY:
            end, ending = self._line_end(start), ""
        self._go(token, end + (ending in ('"', *CURLY)))
        return mark, self.text[start:end].rstrip(), ending

    def skip_line(self) -> None:
        """Go on with the next line, or before it with the next bracket of a message."""
        line = self.line
        while self.peek().line == line and self.peek().kind != "end":
            if self.peek().text in ("{", "}", "<", ">"):
                break
            self._ahead.pop(0)

    def skip_comment(self, token: Token) -> None:
        """Go on after a comment of C, which began with this token."""
        end = self._line_end(token.start)
        if token.text.startswith("/*"):
            closed = self.text.find("*/", token.start)
            end = closed + 2 if closed >= 0 else len(self.text)
        self._go(token, end)

    def _go(self, token: Token, end: int) -> None:
        """Take a token with all that follows it up to a place."""
        self._ahead.clear()
        self.line = token.line
        self._row = token.line + self.text.count("\n", token.start, end)
        self._at = end

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return end if end >= 0 else len(self.text)

    def _scan(self) -> Token:
        while self._at < len(self.text):
            match = _TOKEN.match(self.text, self._at)
            assert match is not None  # the groups take any character
            kind, text = str(match.lastgroup), match.group()
            token = Token(self._row, kind, text, self._at, self._margin, self._first)
            rest = text.rpartition("\n")[2]
            self._row += text.count("\n")
            self._at = match.end()
            if kind != "space":
                self._first = False
                return token
            if rest != text or token.start == 0:
                self._margin, self._first = len(rest.expandtabs()), True
        return Token(self._row, "end", "", len(self.text), 0, True)
