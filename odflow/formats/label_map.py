"""Label maps: the Object Detection API's `StringIntLabelMap` in protobuf text form."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from odflow.errors import ConfigError, nearest
from odflow.formats.prototext import Entry, parse

_SKIPPED = ("keypoints", "ancestor_ids", "descendant_ids", "frequency", "instance_count")
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


def read_label_map(path: Path) -> LabelMap:
    """Read a label map.

    Args:
        path: a `.pbtxt` file of `item { id name display_name }`. The API's other
            fields (keypoints, ancestor_ids, ...) may be there; they are skipped.

    Returns:
        The classes. Large maps give several ids one display name: `ids` holds the first.

    Raises:
        ConfigError: no such file, not text, a syntax error, an unknown field, an item
            without id or name, an id below 1 (0 is for "background" only), an id or a
            name that comes twice. The message names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Give a label map (.pbtxt).") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason}). Give a label map (.pbtxt).") from None
    labels: list[Label] = []
    lines: dict[int | str, int] = {}
    for entry in parse(path, text):
        label = _label(path, entry)
        if label.id > 0:
            _refuse_twice(path, entry.line, label, lines)
            labels.append(label)
    if not labels:
        raise ConfigError(f"{path}: holds no class. Wanted: item {{ id: 1 name: 'person' }} and so on.")
    return LabelMap(tuple(labels))


def _label(path: Path, entry: Entry) -> Label:
    if entry.name != "item" or isinstance(entry.value, str):
        raise ConfigError(
            f'{path}:{entry.line}: found "{entry.name}", wanted item {{ id name display_name }}.'
        )
    values = {"name": "", "display_name": ""}
    for inner in entry.value:
        if inner.name not in _FIELDS:
            near = nearest(inner.name, _FIELDS)
            raise ConfigError(f'{path}:{inner.line}: an item has no field "{inner.name}".{near}')
        if isinstance(inner.value, str):
            values[inner.name] = inner.value
    name = values["name"] or values["display_name"]
    number = _id(path, entry.line, name, values.get("id"))
    return Label(number, name, values["display_name"])


def _id(path: Path, line: int, name: str, text: str | None) -> int:
    if text is None or not name:
        raise ConfigError(f"{path}:{line}: the item lacks {'its id' if name else 'its name'}. Add it.")
    try:
        number = int(text, 0)
    except ValueError:
        raise ConfigError(f'{path}:{line}: the id of "{name}" is {text}; wanted a whole number.') from None
    if number < 0 or (number == 0 and name != "background"):
        raise ConfigError(f'{path}:{line}: the id of "{name}" is {number}; ids count from 1.')
    return number


def _refuse_twice(path: Path, line: int, label: Label, lines: dict[int | str, int]) -> None:
    for what, value in (("id", label.id), ("name", label.name)):
        if value in lines:
            raise ConfigError(
                f'{path}:{line}: {what} {value} ("{label.name}") is taken by the item of line '
                f"{lines[value]}. Give each class its own {what}."
            )
        lines[value] = line


def _item_text(label: Label) -> str:
    shown = f"  display_name: {_quoted(label.display_name)}\n" if label.display_name else ""
    return f"item {{\n  id: {label.id}\n  name: {_quoted(label.name)}\n{shown}}}\n"


def _quoted(text: str) -> str:
    for found, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(found, written)
    return f'"{text}"'
