"""Label maps: the Object Detection API's `StringIntLabelMap` in protobuf text form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from odflow.errors import ConfigError, nearest
from odflow.formats.config_text import read_text
from odflow.formats.escapes import advice, unescape
from odflow.formats.prototext import Entry, Fault, raise_faults, read
from odflow.reading import reads
from odflow.terminal import shown

MOST_FAULTS = 100
"""Faults that are looked for: each takes a search for the nearest name."""

LAST_ID = 2**31 - 1
"""The API's records and graphs hold ids in 32 bits."""

_SKIPPED = ("keypoints", "ancestor_ids", "descendant_ids", "frequency", "instance_count")
_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_LONGEST = 20
_FIELDS = ("id", "name", "display_name", *_SKIPPED)


@dataclass(frozen=True)
class Label:
    """One class of a label map."""

    id: int
    name: str
    display_name: str = ""


@dataclass(frozen=True)
class LabelMap:
    """The classes that a model or a set of records knows.

    Attributes:
        labels: the classes in the order of the file, without the item of id 0 named
            "background", which some maps hold.
        ids: the id of each class, by its name and by its display name.
        names: what to call each id: its display name, else its name.
    """

    labels: tuple[Label, ...]
    ids: dict[str, int] = field(init=False, compare=False, repr=False)
    names: dict[int, str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        shown = {one.display_name: one.id for one in reversed(self.labels) if one.display_name}
        object.__setattr__(self, "ids", shown | {one.name: one.id for one in self.labels})
        object.__setattr__(self, "names", {one.id: one.display_name or one.name for one in self.labels})

    def to_text(self) -> str:
        """Write the map in protobuf text form; `read_label_map` gives an equal one back."""
        return "".join(map(_item_text, self.labels))


@reads("a label map", ConfigError)
def read_label_map(path: Path) -> LabelMap:
    """Read a label map.

    Args:
        path: a `.pbtxt` file of `item { id name display_name }`. The API's other
            fields (keypoints, ancestor_ids, ...) may be there; they are skipped.

    Returns:
        The classes. Large maps give several ids one display name: `ids` holds the first.

    Raises:
        ConfigError: no such file, not text, syntax errors, unknown fields, items without id
            or name, ids below 1 (0 is for "background" only) or above `LAST_ID`, names with
            control characters, ids or names that come twice. A line for each, with file and line.
    """
    path = Path(path)
    reading = read(path, read_text(path, "a label map (.pbtxt)"), _misplaced)
    faults, labels = list(reading.faults), []
    lines: dict[tuple[str, int | str], int] = {}
    for entry in reading.entries if reading.whole else ():
        if len(faults) > MOST_FAULTS:
            break
        if any(entry.line <= line <= entry.end for line, _ in reading.faults):
            continue  # what it lacks may be what could not be read
        wrong = list(_item_faults(entry))
        label = None if wrong else _label(entry)
        faults += wrong
        if label and label.id > 0:
            faults += _twice(entry.line, label, lines)
            labels.append(label)
    raise_faults(path, faults)
    if not labels:
        raise ConfigError(f"{path}: holds no class. Wanted: item {{ id: 1 name: 'person' }} and so on.")
    return LabelMap(tuple(labels))


def _misplaced(entries: list[Entry]) -> int:
    """How many fields are outside of items, and items inside of others."""
    inside = [inner for entry in entries if isinstance(entry.value, list) for inner in entry.value]
    return sum(entry.name != "item" for entry in entries) + sum(inner.name == "item" for inner in inside)


def _item_faults(entry: Entry) -> Iterator[Fault]:
    """What is wrong with an item in itself."""
    if entry.name != "item" or isinstance(entry.value, str):
        yield Fault(entry.line, f'found "{shown(entry.name)}", wanted item {{ id name display_name }}.')
        return
    found: dict[str, Entry] = {}
    for inner in entry.value:
        if inner.name not in _FIELDS:
            near = nearest(inner.name, _FIELDS)
            yield Fault(inner.line, f'an item has no field "{shown(inner.name)}".{near}')
        elif inner.name in found and inner.name not in _SKIPPED:
            yield Fault(inner.line, f"the item has its {inner.name} twice. Keep one of them.")
        found.setdefault(inner.name, inner)
    names = [found[name] for name in ("name", "display_name") if name in found]
    for inner in names:
        yield from (Fault(inner.line, fault) for fault in filter(None, [_wrong_name(inner)]))
    named = next((str(inner.value) for inner in names if inner.value), "")
    if "id" not in found or not named:
        lacking = "its id" if named else "its name"
        yield Fault(entry.line, f"the item lacks {lacking}. Add it.")
    if "id" in found:
        fault = _wrong_id(named, found["id"])
        yield from (Fault(found["id"].line, one) for one in filter(None, [fault]))


def _wrong_name(field: Entry) -> str:
    """What is wrong with a name; empty when nothing is."""
    if not isinstance(field.value, str):
        return f"item.{field.name} is a message {{ }}; wanted: text in quotes."
    if not field.quoted:
        text = shown(field.value)
        return f'item.{field.name} is {text}; wanted: text in quotes. Write "{text}".'
    read_name = unescape(field.raw)
    fault = read_name.odd or read_name.unknown
    return f"item.{field.name}: {fault}. {advice(field.raw)}" if fault else ""


def _wrong_id(name: str, field: Entry) -> str:
    """What is wrong with an id; empty when nothing is."""
    text = field.value if isinstance(field.value, str) else "a message"
    told = f'the id of "{shown(name)}" is {shown(text[:_LONGEST])}'
    if field.quoted:
        return f"{told}, in quotes; wanted a whole number without them."
    if not _NUMBER.fullmatch(text):
        return f"{told}; wanted a whole number."
    number = _number(text)
    if number < 0 or (number == 0 and name != "background"):
        return f"{told}; ids count from 1."
    return f"{told}; wanted at most {LAST_ID}." if number > LAST_ID else ""


def _label(item: Entry) -> Label:
    """The class of an item without faults."""
    values = {inner.name: str(inner.value) for inner in item.value if isinstance(inner, Entry)}
    shown_as = values.get("display_name", "")
    return Label(_number(values["id"]), values.get("name") or shown_as, shown_as)


def _number(text: str) -> int:
    """Decimal, hexadecimal or octal, as protobuf reads it; some number above `LAST_ID` where it is long."""
    digits = text.lstrip("-").lower()
    if len(digits) > _LONGEST:
        return LAST_ID + 1
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    return int(text, base)


def _twice(line: int, label: Label, lines: dict[tuple[str, int | str], int]) -> Iterator[Fault]:
    for what, value in (("id", label.id), ("name", label.name)):
        if (what, value) in lines:
            taken = f"is taken by the item of line {lines[what, value]}"
            wanted = f"Give each class its own {what}."
            yield Fault(line, f'{what} {shown(f"{value}")} ("{shown(label.name)}") {taken}. {wanted}')
        lines.setdefault((what, value), line)


def _item_text(label: Label) -> str:
    shown = f"  display_name: {_quoted(label.display_name)}\n" if label.display_name else ""
    return f"item {{\n  id: {label.id}\n  name: {_quoted(label.name)}\n{shown}}}\n"


def _quoted(text: str) -> str:
    for found, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(found, written)
    return f'"{text}"'
