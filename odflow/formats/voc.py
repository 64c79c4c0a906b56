"""Pascal VOC annotations: one XML file an image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from odflow.errors import InputError, TableError
from odflow.formats.drawn_boxes import Drawing, DrawnBox
from odflow.formats.numbers import FAR
from odflow.formats.text_files import read_bytes
from odflow.formats.xml_files import parse_xml
from odflow.reading import reads
from odflow.terminal import shown

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_TURNED = ("cx", "cy", "w", "h", "angle")  # of roLabelImg; the angle in radians
_POINT = re.compile(r"([xy])\d*")
_LINE_BREAK = re.compile(r"\s*[\x00-\x1f\x7f-\x9f]\s*")  # what pretty printers put into names


@reads("a VOC annotation")
def read_voc(path: Path) -> Drawing:
    """Read an XML file, see `parse_voc`.

    Raises:
        InputError: it cannot be read, is not XML or not of VOC's form. The message names file and line.
    """
    return parse_voc(read_bytes(path), str(path))


def parse_voc(data: bytes, place: str) -> Drawing:
    """Take the objects of an XML file.

    Its <filename> is not looked at (tools leave stale ones). Coordinates are taken as they stand.
    An object without a box is taken by the box around its polygon, its corners or its turned box.
    What is inside an object, such as a <part>, is none by itself.

    Args:
        data: of the whole file, in any encoding that Python knows.
        place: what messages call it.

    Returns:
        Boxes in pixels; an object without name, without a box, or whose box ends before it starts
        is a fault. A size that is no number above 0 counts as not given.

    Raises:
        InputError: not XML, has a DOCTYPE, is in an unknown encoding, or is no annotation.
    """
    tree = parse_xml(data, place, "object")
    if not tree.items and not tree.root.tag.lower().startswith("annotation"):
        raise InputError(f"{place}: is no VOC annotation: it begins with <{shown(tree.root.tag)[:40]}>.")
    drawing = Drawing(place, size=_size(tree.root))
    for number, (line, thing) in enumerate(tree.items, 1):
        try:
            drawing.boxes.append(_box(thing))
        except TableError as fault:
            drawing.faults.append(f"{place}:{line}: object {number}: {fault}")
    return drawing


def _size(root: Element) -> tuple[float, float] | None:
    width, height = (_number(root.findtext(f"size/{side}")) for side in ("width", "height"))
    return (width, height) if width > 0 and height > 0 else None


def _box(thing: Element) -> DrawnBox:
    name = _LINE_BREAK.sub(" ", (thing.findtext("name") or "").strip())
    if not name:
        raise TableError("has no name. Wanted: the class.")
    if len(thing.findall("bndbox")) > 1:
        raise TableError("has more than one bndbox. Wanted: one object for each.")
    difficult = int((thing.findtext("difficult") or "").strip().lower() in ("1", "true"))
    box = thing.find("bndbox")
    if box is not None and not all(box.find(side) is None for side in _SIDES):
        return DrawnBox(name, _corners(box), difficult=difficult)
    xs, ys = _outline(thing)
    if len(xs) < 2 or len(xs) != len(ys):
        raise TableError("has no bndbox with xmin, ymin, xmax and ymax, and no polygon.")
    corners = (round(min(xs), 4), round(min(ys), 4), round(max(xs), 4), round(max(ys), 4))
    return DrawnBox(name, corners, difficult=difficult, outline=True)


def _corners(box: Element) -> tuple[float, float, float, float]:
    xmin, ymin, xmax, ymax = (_pixels(box, side) for side in _SIDES)
    if xmax < xmin or ymax < ymin:
        found = f"{xmin:g} {ymin:g} {xmax:g} {ymax:g}"
        raise TableError(f"the box {found} (xmin ymin xmax ymax) has a negative size.")
    return xmin, ymin, xmax, ymax


def _outline(thing: Element) -> tuple[list[float], list[float]]:
    """The x and the y of the corners of whatever else an object is drawn by."""
    turned = thing.find("robndbox")
    if turned is not None:
        return _around(*(_pixels(turned, name) for name in _TURNED))
    found: dict[str, list[float]] = {"x": [], "y": []}
    for shape in ("polygon", "rotated_bndbox", "bndbox"):
        for axis, element in _points(thing.find(shape)):
            found[axis].append(_pixels(element, "."))
    return found["x"], found["y"]


def _around(x: float, y: float, width: float, height: float, angle: float) -> tuple[list[float], list[float]]:
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    across, down = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return [x - across, x + across], [y - down, y + down]


def _points(shape: Element | None) -> Iterator[tuple[str, Element]]:
    """<x> and <y> in <pt> or <point>, or <x1>, <y1>, <x2>, ..."""
    for element in () if shape is None else shape.iter():
        match = _POINT.fullmatch(element.tag)
        if match:
            yield match.group(1), element


def _pixels(element: Element, tag: str) -> float:
    text = element.findtext(tag) if tag != "." else element.text
    number = _number(text)
    if math.isnan(number):
        name = f"{element.tag}/{tag}" if tag != "." else element.tag
        raise TableError(f"{name} is {_quoted(text)}; wanted a number of pixels.")
    return number


def _quoted(text: str | None) -> str:
    return "missing" if text is None else repr(text[:40])


def _number(text: str | None) -> float:
    """A number, NaN for anything else."""
    try:
        number = float(text or "") if "_" not in (text or "") else math.nan
    except ValueError:
        return math.nan
    return number if abs(number) <= FAR else math.nan
