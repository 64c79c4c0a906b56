"""The grammar of protobuf's text form, read on after mistakes so that one never hides the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from odflow.errors import ConfigError
from odflow.formats.escapes import advice, unescape
from odflow.formats.prototext_tokens import CURLY, Scanner, Token
from odflow.terminal import shown

MOST_FAULTS = 1000
"""Faults that are kept of a text."""

MAX_DEPTH = 64
"""Messages inside messages; the API's deepest config has 12."""

LONGEST_TRIED, MOST_TRIED = 100_000, 16
"""Characters of a text in which a missing bracket is looked for, and places where it is tried."""

_CLOSING = {"{": "}", "<": ">"}
_LONGEST = 60


@dataclass(frozen=True)
class Entry:
    """One field of a message: its value is text (a scalar) or entries (a message).

    Attributes:
        line: of the value, or of the name of a message.
        name: of the field.
        value: what quotes held, escapes read; a word as it stands; entries.
        quoted: the value stood in quotes.
        bare: the quotes were missing, which is told.
        raw: what stood between the quotes, without what is told already.
        end: the line where a message is closed.
    """

    line: int
    name: str
    value: str | list[Entry]
    quoted: bool = field(default=False, compare=False)
    bare: bool = field(default=False, compare=False)
    raw: str = field(default="", compare=False)
    end: int = field(default=0, compare=False)


class Fault(NamedTuple):
    """What is wrong in a line."""

    line: int
    message: str


class _Block(NamedTuple):
    """A message that is open: its field, where it begins, and how far that line is indented."""

    name: str
    line: int
    indent: int
    closing: str


class Parser:
    """Reads one text; what is wrong with it is in `faults`, and `whole` says whether all brackets close."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.scanner = path, Scanner(text)
        self.faults: list[Fault] = []
        self.whole = True
        self.open: list[_Block] = []
        self.closed: tuple[str, int, int] | None = None
        """The last message that was closed at the outermost level: its field, its lines."""
        self.suspects: list[tuple[_Block, int]] = []
        """Messages that hold a line, or are closed by one, further out than their own; and where."""
        self.unclosed: list[_Block] = []
        """Messages that are open at the end of the text, the innermost last."""
        self.misfits = 0
        """Lines whose indentation does not fit the messages."""

    def message(self, place: str, block: _Block | None) -> list[Entry]:
        """Read fields up to and with the bracket that closes them."""
        entries: list[Entry] = []
        while not self._ends(block):
            token = self.scanner.next()
            if block and token.first and token.margin <= block.indent and token.line > block.line:
                self._suspect(block, token)
                self.misfits += 1
            if token.kind == "word":
                entries.extend(self._field(token, f"{place}.{token.text}".lstrip(".")))
                self._take(",") or self._take(";")
            else:
                self._no_name(token)
        return entries

    def _ends(self, block: _Block | None) -> bool:
        token = self.scanner.peek()
        if token.kind == "end":
            if block and self.whole:  # else the cause is told
                self.unclosed, self.whole = list(self.open), False
            return True
        if token.text not in ("}", ">") or token.kind != "mark":
            return False
        self.scanner.next()
        if block is None:
            self._closes_nothing(token)
            return False
        if token.first and token.margin < block.indent:
            self._suspect(block, token)
        self.misfits += token.first and token.margin != block.indent
        if token.text != block.closing:
            self._break(token.line, f'found "{token.text}", wanted "{block.closing}", {_begun(block)}.')
        if len(self.open) == 1:
            self.closed = (block.name, block.line, token.line)
        return True

    def _suspect(self, block: _Block, token: Token) -> None:
        if not self.suspects or self.suspects[-1][0] is not block:
            self.suspects.append((block, token.start))

    def _field(self, name: Token, path: str) -> Iterator[Entry]:
        colon = self._colon(name)
        token = self.scanner.peek()
        if not colon and token.text not in _CLOSING:
            if token.line != name.line or token.kind in ("end", "mark"):
                self._fault(
                    name.line, f'{path} has neither ":" nor a value. Write {name.text}: and its value.'
                )
                return
            self._fault(token.line, f'found "{_short(token.text)}", wanted ":" after {name.text}.')
        if not self._take("["):
            yield from self._value(name, path)
            return
        while not self._take("]"):
            if not self._is_value(self.scanner.peek()):
                self._break(name.line, f'{path}: the list that begins here has no closing "]".')
                return
            yield from self._value(name, path)
            self._take(",")

    def _colon(self, name: Token) -> bool:
        if self._take(":"):
            return True
        if not self._take("="):
            return False
        self._fault(name.line, f'found "=", wanted ":" after {name.text}.')
        return True

    def _value(self, name: Token, path: str) -> Iterator[Entry]:
        token = self.scanner.peek()
        if token.kind == "mark" and token.text in _CLOSING:
            self.scanner.next()
            yield self._message(name, path, _CLOSING[token.text])
        elif token.kind == "string":
            yield self._string(name, path)
        elif token.kind in ("open", "curly"):
            yield self._ill_quoted(name, path)
        elif not self._is_value(token):
            self._no_value(name, path, token)
        elif self.scanner.bare(token):
            yield self._unquoted(name, path)
        else:
            self.scanner.next()
            yield Entry(token.line, name.text, token.text)

    def _is_value(self, token: Token) -> bool:
        """Whether the next token is a value, not the name of the next field, nor a bracket that closes."""
        if token.kind in ("word", "other") and self.scanner.bare(token):
            return True
        if token.kind == "word":
            return self.scanner.peek(1).text not in (":", "=", *_CLOSING)
        return token.text in _CLOSING or token.kind in ("string", "open", "curly")

    def _message(self, name: Token, path: str, closing: str) -> Entry:
        if len(self.open) >= MAX_DEPTH:
            raise ConfigError(f"{self.path}: its messages are nested too deeply to be read.")
        block = _Block(name.text, name.line, name.margin, closing)
        self.open.append(block)
        entries = self.message(path, block)
        self.open.pop()
        return Entry(name.line, name.text, entries, end=self.scanner.line)

    def _string(self, name: Token, path: str) -> Entry:
        first = self.scanner.peek()
        raw, value = "", ""
        while self.scanner.peek().kind == "string":  # adjacent strings are one
            token = self.scanner.next()
            written = token.text[1:-1]
            text = unescape(written)
            if text.malformed:
                self._fault(token.line, f"{path}: {text.malformed}. {advice(written)}")
                written = ""
            raw, value = raw + written, value + text.value
        return Entry(first.line, name.text, value, quoted=True, raw=raw)

    def _unquoted(self, name: Token, path: str) -> Entry:
        """Text that needs quotes and has none."""
        line = self.scanner.peek().line
        text = self.scanner.take_bare()
        written = text.replace("\\", "/")
        wanted = "a number, or text in quotes" if text[0] in "+-.0123456789" else "text in quotes"
        self._fault(line, f'{path} is {_short(text)}; wanted: {wanted}. Write "{_short(written)}".')
        return Entry(line, name.text, text, quoted=True, bare=True)

    def _ill_quoted(self, name: Token, path: str) -> Entry:
        """Text whose quotes are typographic, or that has only the first."""
        line = self.scanner.peek().line
        mark, text, ending = self.scanner.take_ill_quoted()
        if mark in CURLY or ending in CURLY:
            what = f"found {mark if mark in CURLY else ending}, a typographic quotation mark"
            self._fault(line, f'{path}: {what}; wanted: straight ones. Write "{_short(text)}".')
        else:
            before, escaped, _ = text.partition("\\" + mark)
            told = advice(before + "\\") if escaped or text.endswith("\\") else f"Close it with {mark}."
            self._break(line, f"{path}: the quote {mark} is not closed in this line. {told}")
        return Entry(line, name.text, text, quoted=True)

    def _no_value(self, name: Token, path: str, token: Token) -> None:
        there = "" if token.line != name.line or token.kind == "end" else f' (found "{_short(token.text)}")'
        self._fault(
            name.line, f"{path} has no value{there}. Write one after {name.text}:, or remove the field."
        )
        if token.kind == "other" or token.text in (":", "="):
            self.scanner.skip_line()

    def _no_name(self, token: Token) -> None:
        """Something stands where a field begins."""
        if token.text.startswith(("//", "/*")):
            self._fault(token.line, f'found "{token.text[:2]}", wanted a field name. Comments begin with #.')
            self.scanner.skip_comment(token)
            return
        wanted = f'a field name or "{self.open[-1].closing}"' if self.open else "a field name"
        message = f'found "{_short(token.text)}", wanted {wanted}.'
        if token.text in _CLOSING:
            self._break(token.line, message)
        elif self.whole:  # else it follows from what is told
            self._fault(token.line, message)
        if token.text not in (",", ";"):
            self.scanner.skip_line()

    def _closes_nothing(self, token: Token) -> None:
        before = ""
        if self.closed:
            name, first, last = self.closed
            before = f": {name} of line {first} is closed in line {last} already"
        self._break(
            token.line, f'found "{token.text}" that closes nothing{before}. Remove one "{token.text}".'
        )

    def blame(self, entries: list[Entry], fits: Callable[[list[Entry]], int]) -> None:
        """Tell which message has no closing bracket, where one has none.

        A bracket is tried wherever lines stand further out than the message that they are in: what then
        fits best was meant.

        Args:
            entries: what was read.
            fits: how many of the entries are where they do not belong, as far as that is known.
        """
        if not self.unclosed:
            return
        *others, culprit = self.unclosed
        least = (fits(entries), self.misfits)
        tried = MOST_TRIED if len(self.scanner.text) <= LONGEST_TRIED else 0
        for suspect, at in self.suspects[:tried]:
            trial = Parser(self.path, self._with_bracket(suspect, at))
            found = (fits(trial.message("", None)), trial.misfits)
            if found < least:
                culprit, least, others = suspect, found, []
        nor = [f"{one.name} of line {one.line}" for one in others[-2:]]
        too = f" (nor has {', nor '.join(nor)})" if nor else ""
        end = f"the file ends in line {self.scanner.peek().line}"
        found_open = f'{culprit.name} begins here and has no closing "{culprit.closing}"'
        self._fault(culprit.line, f"{found_open}{too}; {end}. Add it.")

    def _with_bracket(self, block: _Block, at: int) -> str:
        """The text with a line before that of a place which closes a message."""
        text = self.scanner.text
        line = max(text.rfind("\n", 0, at), 0)
        return text[:line] + "\n" + " " * block.indent + block.closing + text[line:]

    def _take(self, mark: str) -> bool:
        token = self.scanner.peek()
        if (token.kind, token.text) != ("mark", mark):
            return False
        self.scanner.next()
        return True

    def _break(self, line: int, message: str) -> None:
        """A fault after which fields may stand where they were not meant."""
        if self.whole:
            self._fault(line, message)
        self.whole = False

    def _fault(self, line: int, message: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(line, message))


def _begun(block: _Block) -> str:
    return f"which closes {block.name} of line {block.line}"


def _short(text: str) -> str:
    first = text.split("\n")[0]
    return shown(first if len(first) <= _LONGEST else f"{first[:_LONGEST]}...")
