"""YOLO annotations: a text file an image, one object a line: class, then shares of the image.

Five values are class, centre and size of a box; a sixth is its score. An odd number of them from
seven on are class and the points of a polygon, which becomes the box around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from odflow.errors import ConfigError, InputError, TableError
from odflow.formats.class_file import ClassFile, class_number
from odflow.formats.drawn_boxes import Drawing, DrawnBox
from odflow.formats.text_files import decode_text, lines_of, read_bytes
from odflow.reading import reads
from odflow.terminal import shown

SLACK = 0.01
"""Share of the image by which a value may lie outside 0 to 1, as rounding and augmentation make it."""

_START = 4096  # bytes that tell what a text file is

_WANTED = "wanted 5 numbers: class, centre x and y, width and height as shares of the image"


@reads("a YAML file with names:", ConfigError)
def read_yolo_names(path: Path) -> dict[int, str]:
    """Read the class names of a data set's YAML file.

    Args:
        path: a YAML file with `names:`, a list, or a mapping from number to name.

    Returns:
        The name of each class number; numbers count from 0.

    Raises:
        ConfigError: no such file, not YAML, or no such names in it. Names are the text that was
            written: `no`, `007`.
    """
    names: dict[int, str] = {}
    for line, key, name in ClassFile(path).entries("names"):
        number = class_number(key)
        if number is None:
            found = f'"{shown(key)[:40]}" is no class number'
            raise ConfigError(f"{path}:{line}: {found}; wanted names: a list, or number: name.")
        names[number] = name
    if not names:
        raise ConfigError(f"{path}: has no class names. Wanted names: a list, or number: name.")
    return names


@reads("a YOLO annotation")
def read_yolo(path: Path, names: Mapping[int, str], keypoints: int = 0) -> Drawing:
    """Read a text file, see `parse_yolo`.

    Raises:
        InputError: it cannot be read, or is not text in UTF-8 (or what its byte order mark says).
    """
    return parse_yolo(decode_text(read_bytes(path), str(path)), str(path), names, keypoints)


def is_yolo(path: Path) -> bool:
    """Tell whether a text file looks like annotations: it is empty, or begins with five numbers.

    Folders of data sets hold other text too: classes.txt, lists of images, licences.
    """
    try:
        start = decode_text(read_bytes(path)[:_START], str(path))
    except InputError:
        return False
    first = next((line for line in lines_of(start) if line.strip()), None)
    words = (first or "").replace(",", " ").split()
    return first is None or (len(words) >= 5 and not any(math.isnan(_number(word)) for word in words[1:5]))


def parse_yolo(text: str, place: str, names: Mapping[int, str], keypoints: int = 0) -> Drawing:
    """Take the objects of a text file; an empty one shows nothing.

    Args:
        text: of the whole file.
        place: what messages call it.
        names: the name of each class number.
        keypoints: values of keypoints after each box, before its score; they are not taken.

    Returns:
        Boxes in shares. A line that is none is a fault: another number of values, an unknown class
        number, a negative size, a value further outside 0 to 1 than `SLACK`.
    """
    drawing = Drawing(place, shares=True)
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        try:
            drawing.boxes.append(_box(line, names, keypoints))
        except TableError as fault:
            drawing.faults.append(f"{place}:{number}: {fault}")
    return drawing


def _box(line: str, names: Mapping[int, str], keypoints: int) -> DrawnBox:
    index, *values = _numbers(line, keypoints)
    if index not in names:
        known = f"{min(names)} to {max(names)}"
        raise TableError(f"class {index:g} has no name; the names are of {known}.")
    label = names[int(index)]
    with_keypoints = 0 < keypoints <= len(values) - 4
    if with_keypoints:
        del values[4 : 4 + keypoints]
    elif len(values) > 5:
        xs, ys = values[::2], values[1::2]
        _check_shares(values)
        return DrawnBox(label, (min(xs), min(ys), max(xs), max(ys)), outline=True)
    x, y, width, height = values[:4]
    if width < 0 or height < 0:
        raise TableError(f"the box has a negative size ({width:g} by {height:g}).")
    _check_shares(values[:4])
    score = values[4] if len(values) == 5 else 1.0
    if not 0 <= score <= 1:
        raise TableError(f"the sixth value, the score, is {score:g}; wanted 0 to 1.")
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return DrawnBox(label, corners, score, keypoints=with_keypoints)


def _numbers(line: str, keypoints: int) -> list[float]:
    words = line.split()
    numbers = [_number(word) for word in words]
    polygon = not keypoints and len(words) > 6 and len(words) % 2
    if polygon or len(words) in (5, 6, 5 + keypoints, 6 + keypoints):
        if all(map(math.isfinite, numbers)):
            return numbers
        if not math.isfinite(numbers[0]) and all(map(math.isfinite, numbers[1:])):
            raise TableError(f'the class is "{shown(words[0])[:40]}"; wanted its number.')
    with_keypoints = f", and {keypoints} values of keypoints" if keypoints else ""
    commas = " Separate them by blanks, not by commas." if "," in line else ""
    raise TableError(
        f"found {len(words)} values ({shown(line.strip())[:40]}); {_WANTED}{with_keypoints}.{commas}"
    )


def _number(word: str) -> float:
    try:
        return float(word) if "_" not in word else math.nan
    except ValueError:
        return math.nan


def _check_shares(values: list[float]) -> None:
    for value in values:
        if not -SLACK <= value <= 1 + SLACK:
            raise TableError(
                f"has the value {value:g}; wanted shares of the image, 0 to 1. "
                "Are these pixels? Divide them by the image's width and height."
            )
