"""YAML and JSON files that name classes; every name is the text that was written.

YAML reads `no`, `007`, `12:30:45` and `null` as false, 7, 45045 and nothing; here they are names.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from odflow.errors import ConfigError
from odflow.formats.config_text import read_text
from odflow.left_out import Faults
from odflow.terminal import shown

MAX_BYTES = 512 * 1024
"""Far more names than any data set has; YAML is read slowly."""

_NUMBER = re.compile(r"\d{1,9}")
_NO_NAMES = (*(f"tag:yaml.org,2002:{name}" for name in ("python", "binary", "set", "omap", "pairs")), "!")
"""Beginnings of tags that stand for something else than text."""


class Named(NamedTuple):
    """One entry of a list or a mapping: the number in the list, or the key, and the text there."""

    line: int
    key: str
    text: str


class ClassFile:
    """A file whose mapping holds lists or mappings of names.

    Args:
        path: of the file.

    Raises:
        ConfigError: it cannot be read, is no text, or is not YAML.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        text = read_text(self.path, "a YAML file with names:", MAX_BYTES)
        try:
            root = yaml.SafeLoader(text).get_single_node()
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as YAML or JSON ({_said(error)}).") from None
        self._nodes: dict[str, yaml.Node] = {}
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                self._nodes.setdefault(key.value, value)

    def entries(self, name: str) -> list[Named]:
        """The entries of a list or mapping; none where the file lacks it, or holds nothing there.

        Raises:
            ConfigError: it is a single value, or an entry has no name, one with control characters,
                or a key that comes twice. A line for each, with file and line.
        """
        node = self._nodes.get(name)
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")):
            return []
        if isinstance(node, yaml.SequenceNode):
            pairs = [(str(number), item) for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            pairs = [(_key(key), item) for key, item in node.value]
        else:
            raise ConfigError(
                f'{self.path}: {name}: is "{shown(str(node.value))[:40]}". Wanted a list or a mapping.'
            )
        return self._named(name, pairs)

    def _named(self, name: str, pairs: list[tuple[str, Any]]) -> list[Named]:
        faults = Faults()
        found: dict[str, Named] = {}
        for key, item in pairs:
            one = Named(
                item.start_mark.line + 1, key, item.value if isinstance(item, yaml.ScalarNode) else ""
            )
            first = found.setdefault(key, one)
            fault = _fault(one, item) or (
                "" if first is one else f" comes twice (first in line {first.line})."
            )
            if fault:
                faults.add(f"{self.path}:{one.line}: {name}: {shown(key)[:40]}{fault}")
        faults.raise_all(ConfigError)
        return list(found.values())


def class_number(key: str) -> int | None:
    """The number that a key is, from 0; None where it is none."""
    return int(key) if _NUMBER.fullmatch(key) else None


def _fault(entry: Named, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not entry.text:
        return ' has no class name. Quote a colour: "(128, 0, 0)".'
    if node.tag.startswith(_NO_NAMES):
        return f" has the tag {shown(node.tag)}; wanted a class name."
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in entry.text):
        return f' is "{shown(entry.text)[:40]}"; a name holds no control characters.'
    return ""


def _key(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    mark = getattr(error, "problem_mark", None)
    what = shown(getattr(error, "problem", None) or str(error).splitlines()[0]).replace("unexpected ", "")
    if what == "found end of stream":
        mark, what = getattr(error, "context_mark", mark), "the quote that begins here is not closed"
    return f"line {mark.line + 1}: {what}" if mark else what
