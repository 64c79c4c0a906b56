"""labels.json: what a script inside Blender writes beside its renders.

A list with an entry an image: `{"image": "0.png", "meshes": {"Cube": {"x1", "y1", "x2", "y2"}}}`.
Coordinates are shares of the image, 0 to 1, and **y counts from the bottom**, as in Blender's
camera space; here they are turned over. A mesh is called after its class; Blender tells meshes of
one name apart by a number, so `Cube.001` is one more object of the class Cube.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError, TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.drawn_boxes import Drawing, DrawnBox
from odflow.formats.image_names import name_inside, same_letters
from odflow.formats.images import ImageFile
from odflow.formats.text_files import decode_text, has_controls, read_bytes
from odflow.reading import reads
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd

_FORM = 'a list of {"image": name, "meshes": {name: {"x1", "y1", "x2", "y2"}}}'
_NUMBER = re.compile(r"\.\d{3,}$")  # Blender's, on the second mesh of a name
_SIDES = ("x1", "y1", "x2", "y2")
_SLACK = 1e-6  # what sums of rounded shares may be outside the image


@dataclass(frozen=True, slots=True)
class LabelledRenders:
    """What a labels.json says.

    Attributes:
        drawings: by the name of the image, for those that have one entry, whether they show
            something or not.
        strangers: the images of other entries, which there are not.
        faults: what is wrong with other entries, a line each.
    """

    drawings: dict[str, Drawing] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@reads("a labels.json")
def read_labels_json(path: Path, images: Iterable[ImageFile]) -> LabelledRenders:
    """Read the boxes of renders.

    Args:
        path: the file.
        images: all that there are. An entry is for the one that it names relative to the
            file's folder, or by the name that tables hold.

    Returns:
        The boxes in shares, y from the top. A coordinate that is none or outside 0 to 1, or a box
        that ends before it starts, is a fault of its image; an image that comes twice, a mesh that
        comes twice in an image, or an entry that is none is one of the file. The lines name entry,
        image and mesh.

    Raises:
        InputError: the file cannot be read or is not such JSON.
    """
    path, images = Path(path), list(images)
    known = _Renders(path.parent, images)
    labelled = LabelledRenders()
    for number, entry in enumerate(_list(path), 1):
        place = f"{path}: entry {number}"
        try:
            said, meshes = _entry(place, entry)
            name = known.find(said)
            if name is None:
                labelled.strangers.append(said)
            elif name in labelled.drawings:
                raise TableError(f"{place}: {said} has an entry before. Wanted one an image.")
            else:
                labelled.drawings[name] = _drawing(f"{place} ({shown(said)[:100]})", meshes)
        except TableError as fault:
            labelled.faults.append(str(fault))
    return labelled


class _Renders:
    """Images by what entries call them: relative to the file's folder, or as tables do."""

    def __init__(self, folder: Path, images: Sequence[ImageFile]) -> None:
        self._folder = folder
        self._names = {image.name: image.name for image in images}
        self._names |= {str(image.path.absolute()): image.name for image in images}
        self._lettered = {same_letters(said): name for said, name in self._names.items()}

    def find(self, said: str) -> str | None:
        """The image that is called so, be it with accents in another Unicode form; None for none."""
        ways = (str((self._folder / said).absolute()), said)
        found = (
            known.get(key(way))
            for known, key in ((self._names, str), (self._lettered, same_letters))
            for way in ways
        )
        return next(filter(None, found), None)


def write_labels_json(boxes: pd.DataFrame, path: Path, images: Iterable[str], folder: str = "") -> None:
    """Write boxes as labels.json; `read_labels_json` gives them back.

    Objects of one class in an image are called `Cube`, `Cube.001`, `Cube.002`, in the order of
    their rows. Scores and other columns are not kept.

    Args:
        boxes: with `COLUMNS`.
        path: the file.
        images: the names of all images, in the order of the file: one without a box has no meshes.
        folder: of the images, relative to the file's.

    Raises:
        TableError: a box of an image that is not among them, or a class whose name ends like
            `.001`, which would be read as another class.
    """
    entries: dict[str, dict[str, dict[str, float]]] = {name: {} for name in images}
    counts: Counter[tuple[str, str]] = Counter()
    for row in boxes[COLUMNS].itertuples(index=False, name=None):
        name, width, height, label, _, xmin, ymin, xmax, ymax = row
        if name not in entries:
            raise TableError(f"{path}: a box is of {name}, which is not among the {len(entries)} images.")
        if _NUMBER.search(label):
            raise TableError(f'{path}: class "{label}" ends like the number of a mesh. Rename the class.')
        number = counts[name, label]
        counts[name, label] += 1
        entries[name][f"{label}.{number:03}" if number else label] = {
            "x1": xmin / width,
            "y1": 1 - ymax / height,
            "x2": xmax / width,
            "y2": 1 - ymin / height,
        }
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    listed = [{"image": prefix + name, "meshes": meshes} for name, meshes in entries.items()]
    Path(path).write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _entry(place: str, entry: Any) -> tuple[str, dict[str, Any]]:
    """The image that an entry names, and its meshes."""
    if isinstance(entry, _Twice):
        raise TableError(
            f'{place}: "{shown(entry.name)[:40]}" comes twice in one place. Wanted each name once.'
        )
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        raise TableError(f"{place}: names no image. Wanted {_FORM}.")
    said, meshes = entry["image"], entry.get("meshes")
    name = name_inside(said)
    if name is None:
        raise TableError(f"{place}: {shown(said)[:100]} leads out of the folder. Name an image inside it.")
    if isinstance(meshes, _Twice):
        return _entry(place, meshes)
    if not isinstance(meshes, dict):
        raise TableError(f"{place} ({shown(said)[:100]}): has no meshes. Wanted {_FORM}.")
    return name, meshes


def _drawing(place: str, meshes: dict[str, Any]) -> Drawing:
    drawing = Drawing(place, shares=True)
    for mesh, box in meshes.items():
        try:
            where, label = f"{place}: {shown(mesh)[:40]}", _NUMBER.sub("", mesh)
            if not label.strip() or has_controls(label):
                raise TableError(f"{where}: its name is no class. Wanted text, without control characters.")
            x1, y1, x2, y2 = _box(where, box)
            drawing.boxes.append(DrawnBox(label, (x1, 1 - y2, x2, 1 - y1)))
        except TableError as fault:
            drawing.faults.append(str(fault))
    return drawing


def _list(path: Path) -> list[Any]:
    try:
        content = json.loads(decode_text(read_bytes(path), str(path)), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}). Wanted {_FORM}.") from None
    if not isinstance(content, list):
        raise InputError(f"{path}: holds no list of images. Wanted {_FORM}.")
    return content


@dataclass(frozen=True, slots=True)
class _Twice:
    """Stands for an object of JSON in which a name comes twice: JSON would let the last win."""

    name: str


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found = dict(pairs)
    if len(pairs) == len(found):
        return found
    return _Twice(Counter(name for name, _ in pairs).most_common(1)[0][0])


def _box(place: str, box: Any) -> list[float]:
    sides: list[Any] = [box.get(side) for side in _SIDES] if isinstance(box, dict) else []
    if not sides or not all(type(side) in (int, float) for side in sides):
        raise TableError(f"{place}: has no box. Wanted x1, y1, x2 and y2, each a number from 0 to 1.")
    for name, side in zip(_SIDES, sides, strict=True):
        if not -_SLACK <= side <= 1 + _SLACK:
            wanted = "wanted a share of the image, 0 to 1"
            raise TableError(f"{place}: {name} is {side!s:.20}; {wanted}.")
    x1, y1, x2, y2 = sides
    if x2 < x1 or y2 < y1:
        found = f"x1 {x1:g}, x2 {x2:g}, y1 {y1:g}, y2 {y2:g}"
        raise TableError(f"{place}: the box has a negative size ({found}; y counts from the bottom).")
    return [min(max(float(side), 0.0), 1.0) for side in sides]
