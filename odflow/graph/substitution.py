"""Put the values of a pipeline's params in the place of ``${params.name}``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from odflow.errors import ConfigError
from odflow.graph.document import Address, Document

PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")

MOST_FILLED = 1 << 20
"""Characters and values of a pipeline whose params are filled in: a few lines can stand for gigabytes."""


class Params:
    """The params of a pipeline. A param may use those above it.

    Args:
        document: the pipeline; it notes what is wrong.

    Attributes:
        unsound: addresses of stage fields whose value could not be made.

    Raises:
        ConfigError: what they stand for is larger than `MOST_FILLED`.
    """

    def __init__(self, document: Document) -> None:
        self.unsound: set[Address] = set()
        self._document = document
        self._values: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._texts: dict[str, dict[Address, str]] = {}
        self._filled = 0
        for at, text in document.texts.items():
            self._note_text(at, text)
        for name, written in document.data["params"].items():
            before = self._filled
            value = self.fill(written, ("params", name))
            self._sizes[name] = self._filled - before
            for text in strings(value):
                if "${" in text:
                    document.problem(f'"{text}": only the inputs of stages refer to outputs.', "params", name)
            self._values[name] = value

    def fill(self, value: Any, address: Address) -> Any:
        """Replace ``${params.name}`` in all texts of a value.

        A text that is nothing else becomes the param's value with its type; inside a
        longer text the value is written out. Other ``${...}`` stay.

        Raises:
            ConfigError: all that was filled in is larger than `MOST_FILLED`; the message has the line.
        """
        self._count(1, address)
        if isinstance(value, dict):
            return {key: self.fill(item, (*address, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*address, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        self._count(len(value), address)
        whole = PLACEHOLDER.fullmatch(value)
        if whole and whole[1].startswith("params."):
            self._share(whole[1].removeprefix("params."), address)
            return self._value(whole[1], address)
        return PLACEHOLDER.sub(lambda match: self._inside(match, address), value)

    def _inside(self, match: re.Match[str], address: Address) -> str:
        if not match[1].startswith("params."):
            return match[0]
        value = self._value(match[1], address)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            message = f"{match[0]} is {value!r:.100}; inside a text only a text or a number can stand."
            self._unsound(message, address)
            return ""
        text = self._document.texts.get(("params", match[1].removeprefix("params.")), str(value))
        self._count(len(text), address)
        return text

    def _share(self, name: str, address: Address) -> None:
        """Count a param once more, and note that its values are written at an address as they are in it."""
        self._count(self._sizes.get(name, 0), address)
        for at, text in list(self._texts.get(name, {}).items()):
            self._document.texts[address + at] = text
            self._note_text(address + at, text)

    def _note_text(self, address: Address, text: str) -> None:
        if address[:1] == ("params",):
            self._texts.setdefault(str(address[1]), {})[address[2:]] = text

    def _count(self, size: int, address: Address) -> None:
        self._filled += size
        if self._filled > MOST_FILLED:
            raise ConfigError(
                f"{self._document.place(*address)}: with its params filled in the pipeline has more than "
                f"{MOST_FILLED} characters and values. Use shorter params, or use them less often."
            )

    def _value(self, written: str, address: Address) -> Any:
        name = written.removeprefix("params.")
        if name in self._values:
            return self._values[name]
        if address[0] == "params" and name in self._document.data["params"]:
            self._unsound(f"${{{written}}} comes too early: a param may use those above it.", address)
        else:
            near = self._document.nearest(name, self._document.data["params"])
            self._unsound(f'"${{{written}}}" is unknown.{near}', address)
        return ""

    def _unsound(self, message: str, address: Address) -> None:
        self._document.problem(message, *address)
        self.unsound.add(address[:3])


def strings(value: Any) -> Iterator[str]:
    """All texts inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)
