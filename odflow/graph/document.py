"""A YAML file whose every value knows its line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from odflow.errors import ConfigError, nearest
from odflow.reading import reads
from odflow.regular import read_regular
from odflow.terminal import shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 50_000

MOST_NEAREST = 100
"""Names that a nearest one is looked for of: thousands of them would take minutes."""

Address = tuple[str | int, ...]

_READ = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float"))
"""Kinds of scalars that there are here. What YAML takes for a date, or for a word of its own, is text."""


_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in found if tag in _READ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Document:
    """Plain dicts, lists and scalars, where each was written, and what is wrong with them.

    Attributes:
        data: the values; None for an empty file.
        problems: place and message, as they are found.
        texts: how values that are no texts were written, such as ``007`` for 7.
    """

    def __init__(self, data: Any, reader: _Reader) -> None:
        self.data, self.problems, self.texts = data, reader.problems, reader.texts
        self._places = reader.places
        self._asked = 0

    def problem(self, message: str, *address: str | int) -> None:
        """Note that something is wrong with the value at an address."""
        self.problems.append((self.place(*address), message))

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """End a message with the nearest known name, as `odflow.errors` does; of the first alone."""
        self._asked += 1
        return nearest(word, known) if self._asked <= MOST_NEAREST else ""

    def raise_problems(self) -> None:
        """Raise what was noted, in the order of the lines.

        Raises:
            ConfigError: one line for each problem.
        """
        found = sorted(dict.fromkeys(self.problems), key=lambda problem: _line(problem[0]))
        if found:
            raise ConfigError(*(f"{place}: {message}" for place, message in found))

    def place(self, *address: str | int) -> str:
        """``FILE:LINE`` or ``--set NAME=VALUE`` of a value, or of what it was left out of."""
        while address and address not in self._places:
            address = address[:-1]
        return self._places[address]

    def set(self, address: Address, value: Document, place: str) -> None:
        """Put what another document holds in a mapping that is there; `place` is where it comes from."""
        target = self.data
        for step in address[:-1]:
            target = target[step]
        target[address[-1]] = value.data
        inside = len(address)
        self._places = {at: line for at, line in self._places.items() if at[:inside] != address}
        self._places[address] = place
        self.texts = {at: text for at, text in self.texts.items() if at[:inside] != address}
        self.texts |= {address + at: text for at, text in value.texts.items()}


@reads("a YAML file", ConfigError)
def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: there is none, it is not YAML, or it is too large or too deep.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: has {path.stat().st_size} bytes; a pipeline has at most {MAX_BYTES}.")
        text = read_regular(path).decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}).") from error
    return parse(text, str(path), lines=True)


def parse(text: str, place: str, *, lines: bool = False) -> Document:
    """Parse YAML text.

    Args:
        text: one YAML document.
        place: what messages and places call it.
        lines: add ``:LINE`` to places.

    Raises:
        ConfigError: as `read_document`.
    """
    reader = _Reader(place, lines)
    try:
        loader = reader.loader = yaml.SafeLoader(text)
        loader.yaml_implicit_resolvers = _RESOLVERS
        node = loader.get_single_node()
        data = None if node is None else reader.read(node, ())
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(error, place, lines)) from error
    except RecursionError as error:
        raise ConfigError(f"{place}: is nested too deep (more than {MAX_DEPTH} levels).") from error
    reader.places.setdefault((), f"{place}:1" if lines else place)
    return Document(data, reader)


class _Reader:
    loader: yaml.SafeLoader

    def __init__(self, place: str, lines: bool) -> None:
        self.places: dict[Address, str] = {}
        self.problems: list[tuple[str, str]] = []
        self.texts: dict[Address, str] = {}
        self._place, self._lines = place, lines
        self._values = 0

    def read(self, node: yaml.Node, address: Address) -> Any:
        place = self._where(node)
        self.places[address] = place
        self._values += 1
        # Aliases make a small file mean a huge one, so values count where they are used.
        if self._values > MAX_VALUES:
            raise ConfigError(f"{place}: more than {MAX_VALUES} values.")
        if len(address) > MAX_DEPTH:
            raise ConfigError(f"{place}: is nested too deep (more than {MAX_DEPTH} levels).")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, address)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*address, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, address)

    def _scalar(self, node: yaml.Node, address: Address) -> Any:
        if node.tag not in _READ:
            message = f"could not determine a constructor for the tag {node.tag!r}"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        try:
            value = self.loader.construct_object(node)
        except (ValueError, KeyError, IndexError):  # 0b_ looks like a number; !!bool maybe
            return node.value
        if node.value and not isinstance(value, str):
            self.texts[address] = node.value
        return value

    def _mapping(self, node: yaml.MappingNode, address: Address) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append((self._where(key), "a key must be one word."))
            elif key.value in data:
                first = self.places[(*address, key.value)]
                self.problems.append((self._where(key), f'"{key.value}" comes twice (first at {first}).'))
            else:
                # The text as written: YAML would make a class named `no` into false.
                data[key.value] = self.read(value, (*address, key.value))
                self.places[(*address, key.value)] = self._where(key)
        return data

    def _where(self, node: yaml.Node) -> str:
        return f"{self._place}:{node.start_mark.line + 1}" if self._lines else self._place


def _line(place: str) -> int:
    number = place.rpartition(":")[2]
    return int(number) if number.isdecimal() and not place.startswith("--") else 0


def _syntax(error: yaml.YAMLError, place: str, lines: bool) -> str:
    mark = getattr(error, "problem_mark", None)
    what = shown(getattr(error, "problem", None) or str(error).splitlines()[0]).replace("unexpected ", "")
    if what == "found end of stream":
        mark, what = getattr(error, "context_mark", mark), "the quote that begins here is not closed"
    if "escape" in what:
        what += "; between double quotes a backslash begins an escape: write / or \\\\ in its place"
    if mark is None or not lines:
        return f"{place}: is not YAML: {what}."
    return f"{place}:{mark.line + 1}: is not YAML: {what} (column {mark.column + 1})."
