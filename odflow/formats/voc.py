"""Pascal VOC annotations: one XML file an image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from odflow.errors import InputError, TableError
from odflow.formats.detections import COLUMNS
from odflow.formats.images import ImageFile, image_size

if TYPE_CHECKING:
    import pandas as pd


def read_voc(annotations: Path, images: Iterable[ImageFile]) -> pd.DataFrame:
    """Read the annotations of some images.

    The XML file of `a/b.jpg` is `a/b.xml`, or `b.xml`, in the folder; its own <filename> is
    not looked at (tools leave stale ones). Coordinates are taken as they stand.

    Args:
        annotations: the folder of the XML files.
        images: the images to read for; one without an XML file gives no row.

    Returns:
        `COLUMNS`, score 1, and `difficult` (0 or 1); image sizes are those of the images.

    Raises:
        InputError: an XML file that is damaged, declares entities, or is for an image of
            another size. The message names it.
        TableError: a box without a coordinate or of negative size.
    """
    import pandas as pd

    rows = [row for image in images for row in _rows(voc_file(annotations, image.name), image)]
    return pd.DataFrame(rows, columns=[*COLUMNS, "difficult"])


def voc_file(annotations: Path, name: str) -> Path | None:
    """The XML file of an image, if there is one."""
    beside = (Path(annotations) / name).with_suffix(".xml")
    for path in (beside, Path(annotations) / beside.name):
        if path.is_file():
            return path
    return None


def _rows(path: Path | None, image: ImageFile) -> Iterator[list[object]]:
    if path is None:
        return
    root, size = _parse(path), image_size(image.path)
    said = (root.findtext("size/width"), root.findtext("size/height"))
    if all(said) and said != ("0", "0") and said != (str(size.width), str(size.height)):
        found = f"{size.width}x{size.height}"
        raise InputError(
            f"{path}: is for an image of {'x'.join(map(str, said))}, but {image.path} has {found}."
        )
    for number, thing in enumerate(root.iter("object"), 1):
        place = f"{path}: object {number}"
        box = [_number(place, thing, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        if box[2] < box[0] or box[3] < box[1]:
            raise TableError(f"{place}: the box {box} (xmin ymin xmax ymax) has a negative size.")
        name = (thing.findtext("name") or "").strip()
        if not name:
            raise TableError(f"{place}: has no name. Wanted: the class.")
        difficult = int(thing.findtext("difficult", "0").strip() == "1")
        yield [image.name, size.width, size.height, name, 1.0, *box, difficult]


def _number(place: str, thing: Element, tag: str) -> float:
    text = thing.findtext(tag)
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise TableError(f"{place}: {tag} is {text!r}; wanted a number of pixels.")
    return number


def _parse(path: Path) -> Element:
    """Parse an XML file that declares nothing: entities can blow up and read other files."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise InputError(f"{path}: has a DOCTYPE, which annotations do not need. Remove it.")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise InputError(
            f"{path}:{error.lineno}: is not XML ({expat.errors.messages[error.code]})."
        ) from None
    return builder.close()
