"""The classes of masks: the file that names them, and which class becomes which.

A class file is YAML or JSON: `names:` (or `classes:`), a list or number: name; for colour
masks `colors:`, colour: name, where a colour is (128, 0, 0) or "#800000" and several may
have one name. Pixels of the class `ignore` become 255.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from odflow.errors import ConfigError, nearest
from odflow.formats.class_file import ClassFile, Named, class_number
from odflow.formats.masks import IGNORE, UNCOVERED
from odflow.reading import reads
from odflow.terminal import shown

BACKGROUND = "background"
IGNORED = "ignore"

_HEX = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_NUMBERS = re.compile(r"[(\[]?\s*(\d{1,3})\s*[,\s]\s*(\d{1,3})\s*[,\s]\s*(\d{1,3})\s*[)\]]?")


@dataclass(frozen=True, slots=True)
class MaskClasses:
    """What a class file says.

    Attributes:
        path: of the file, for messages.
        names: the name of each number.
        colors: the number of each colour, red green blue.
    """

    path: Path
    names: dict[int, str]
    colors: dict[tuple[int, int, int], int]


@dataclass(frozen=True, slots=True)
class ClassNumbers:
    """The classes of masks that were read.

    Attributes:
        numbers: what each number of the `MaskSet` becomes; `IGNORE` for some.
        names: the name of each number that a mask holds then.
    """

    numbers: dict[int, int]
    names: dict[int, str]


@reads("a class file", ConfigError)
def read_mask_classes(path: Path) -> MaskClasses:
    """Read a class file.

    Colours without `names:` number their classes from 0, as they first come.

    Raises:
        ConfigError: no such file, not YAML or JSON, no classes in it, or a colour that is none,
            is there twice, or is of a class that has no number.
    """
    file = ClassFile(path)
    colors = file.entries("colors")
    entries = file.entries("names") or file.entries("classes")
    if not entries:
        own = dict.fromkeys(entry.text for entry in colors if entry.text != IGNORED)
        entries = [Named(1, str(number), name) for number, name in enumerate(own)]
    if not entries:
        raise ConfigError(f"{path}: has no classes. Wanted names: a list, or number: name; or colors:.")
    names = {_number(path, entry): entry.text for entry in entries}
    return MaskClasses(path, names, _colors(path, colors, names))


def write_mask_classes(path: Path, names: Mapping[int, str]) -> None:
    """Write a class file, as JSON."""
    content = {"names": {str(number): names[number] for number in sorted(names)}}
    Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def number_classes(source: Mapping[int, str], chosen: Mapping[str, str], others: str | None) -> ClassNumbers:
    """Say which class becomes which, and by what number.

    Where nothing is mapped, the numbers of pixels stay. Otherwise, and where polygons are
    drawn, they count from 0: background first, then in the order of the source.

    Args:
        source: the class of each number, of a `MaskSet`.
        chosen: class of the source to class of the mask.
        others: what all classes become that are not in `chosen`; None: they stay.

    Raises:
        ConfigError: a class that the source lacks, more classes than a mask can hold, or none.
    """
    lacking = sorted(set(chosen) - set(source.values()))
    if lacking:
        known = source.values()
        lines = [f'classes: there is no class "{name}" to map.{nearest(name, known)}' for name in lacking]
        raise ConfigError(*lines)
    targets = {number: chosen.get(name, others or name) for number, name in sorted(source.items())}
    if chosen or others or UNCOVERED in source:
        ordered = sorted(dict.fromkeys(targets.values()), key=lambda name: name != BACKGROUND)
        names = dict(enumerate(name for name in ordered if name != IGNORED))
        number_of = {name: number for number, name in names.items()} | {IGNORED: IGNORE}
        numbers = {number: number_of[name] for number, name in targets.items()}
    else:
        names = {number: name for number, name in targets.items() if name != IGNORED}
        numbers = {number: number if number in names else IGNORE for number in targets}
    _check_count(names)
    return ClassNumbers(numbers, names)


def _check_count(names: Mapping[int, str]) -> None:
    if not names:
        raise ConfigError("classes: every class is ignored. Map one to another name.")
    if len(names) > IGNORE:
        raise ConfigError(
            f"classes: {len(names)} are more than the {IGNORE} that a mask can hold. "
            "Map them to fewer, with classes and others."
        )


def _number(path: Path, entry: Named) -> int:
    number = class_number(entry.key)
    if number is not None:
        return number
    if class_number(entry.key.removeprefix("-")) is not None:
        raise ConfigError(
            f"{path}:{entry.line}: class {entry.text} has the number {entry.key}; wanted: from 0."
        )
    wanted = "wanted names: a list, or number: name"
    found = f'class {entry.text} has no number, but "{shown(entry.key)[:40]}"'
    raise ConfigError(f"{path}:{entry.line}: {found}; {wanted}.")


def _colors(
    path: Path, entries: Iterable[Named], names: Mapping[int, str]
) -> dict[tuple[int, int, int], int]:
    numbers = {name: number for number, name in sorted(names.items(), reverse=True)} | {IGNORED: IGNORE}
    colors: dict[tuple[int, int, int], int] = {}
    for line, key, name in entries:
        color = _color(key)
        if color is None:
            raise ConfigError(
                f'{path}:{line}: "{shown(key)}" is no colour. Wanted: (128, 0, 0) or "#800000".'
            )
        if color in colors:
            raise ConfigError(f"{path}:{line}: the colour {color} is there twice.")
        if name not in numbers:
            near = nearest(name, names.values())
            raise ConfigError(f'{path}:{line}: {color} is of the class "{name}", which names: lacks.{near}')
        colors[color] = numbers[name]
    return colors


def _color(text: str) -> tuple[int, int, int] | None:
    for pattern, base in ((_HEX, 16), (_NUMBERS, 10)):
        match = pattern.fullmatch(text.strip())
        if match:
            red, green, blue = (int(part, base) for part in match.groups())
            return (red, green, blue) if max(red, green, blue) <= 255 else None
    return None
