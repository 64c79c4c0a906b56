"""YOLO annotations: a text file an image, one box a line: class, then centre and size as shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import ConfigError, TableError
from odflow.formats.detections import COLUMNS
from odflow.formats.images import ImageFile, image_size

if TYPE_CHECKING:
    import pandas as pd

_DECIMALS = 4  # of a pixel: far below what the shares resolve, and short in a table


def read_yolo_names(path: Path) -> dict[int, str]:
    """Read the class names of a data set's YAML file.

    Args:
        path: a YAML file with `names:`, a list, or a mapping from number to name.

    Returns:
        The name of each class number; numbers count from 0.

    Raises:
        ConfigError: no such file, not YAML, or no such names in it.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML ({reason}).") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(number, int) for number in names):
        raise ConfigError(f"{path}: has no class names. Wanted names: a list, or number: name.")
    return {number: str(name) for number, name in names.items()}


def read_yolo(labels: Path, images: Iterable[ImageFile], names: Mapping[int, str]) -> pd.DataFrame:
    """Read the boxes of some images.

    Args:
        labels: the folder of the text files: `a/b.txt` for the image `a/b.jpg`.
        images: the images to read for; one without a file, or with an empty one, shows
            nothing and gives no row.
        names: the name of each class number.

    Returns:
        `COLUMNS`, score 1, pixels clipped to the image.

    Raises:
        TableError: a line that is not five numbers, an unknown class number, a box of
            negative size. The message names file and line.
    """
    import pandas as pd

    rows = [row for image in images for row in _rows(Path(labels), image, names)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(labels: Path, image: ImageFile, names: Mapping[int, str]) -> Iterator[list[object]]:
    path = (labels / image.name).with_suffix(".txt")
    if not path.is_file():
        return
    size = image_size(image.path)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        index, x, y, width, height = _numbers(f"{path}:{number}", line)
        if index not in names:
            known = f"{min(names)} to {max(names)}"
            raise TableError(f"{path}:{number}: class {index:g} has no name; the names are of {known}.")
        spans = [(x - width / 2, size.width), (y - height / 2, size.height)]
        spans += [(x + width / 2, size.width), (y + height / 2, size.height)]
        box = [round(min(max(share, 0.0), 1.0) * side, _DECIMALS) for share, side in spans]
        yield [image.name, size.width, size.height, names[int(index)], 1.0, *box]


def _numbers(place: str, line: str) -> tuple[float, ...]:
    words = line.split()
    try:
        numbers = tuple(map(float, words))
    except ValueError:
        numbers = ()
    if len(numbers) != 5 or not all(map(math.isfinite, numbers)):
        wanted = "wanted 5 numbers: class, centre x and y, width and height as shares of the image"
        raise TableError(f"{place}: found {len(words)} values ({line.strip()[:40]}); {wanted}.")
    if numbers[3] < 0 or numbers[4] < 0:
        raise TableError(f"{place}: the box has a negative size ({numbers[3]:g} by {numbers[4]:g}).")
    return numbers
