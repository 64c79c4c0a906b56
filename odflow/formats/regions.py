"""Objects as COCO draws them, polygons and run lengths, and masks painted from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rle = dict[str, Any]


def polygons_rle(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """Draw polygons as COCO does.

    Args:
        polygons: x y x y ... in pixels of each; parts of one object, at least one.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        The run lengths of what they cover together, compressed.

    Raises:
        InputError: fewer than three points, half a point, or one that lies further from the
            image than the image is wide or high.
    """
    from pycocotools import mask as coco

    parts = [_checked_polygon(one, height, width) for one in polygons]
    return dict(coco.merge(coco.frPyObjects(parts, height, width)))


def checked_rle(rle: object, height: int, width: int) -> Rle:
    """Take run lengths of COCO, compressed or not, compressed.

    Raises:
        InputError: they do not cover exactly the image.
    """
    from pycocotools import mask as coco

    if not isinstance(rle, dict) or rle.get("size") != [height, width]:
        found = rle.get("size") if isinstance(rle, dict) else rle
        raise InputError(
            f"run lengths of the size {found!r:.40}; wanted [{height}, {width}], height and width"
        )
    given = rle.get("counts")
    counts = list(_decompressed(given)) if isinstance(given, (str, bytes)) else given
    whole = isinstance(counts, list) and all(isinstance(one, int) and one >= 0 for one in counts)
    # The C code trusts them, and reads what is not there where they cover less.
    if not isinstance(counts, list) or not whole or sum(counts) != height * width:
        raise InputError(f"run lengths that do not add up to the {height * width} pixels of the image")
    return dict(coco.frPyObjects({"size": [height, width], "counts": counts}, height, width))


def paint(
    objects: Iterable[tuple[int, Rle]], background: int, *, height: int, width: int
) -> NDArray[np.uint8]:
    """Paint objects over each other: the larger first, so that what lies on them stays.

    Args:
        objects: class number and run lengths of each. Of two as large the later one is on top.
        background: the number of what none covers.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        (height, width) uint8.
    """
    from pycocotools import mask as coco

    mask = np.full((height, width), background, np.uint8)
    for number, rle in sorted(objects, key=lambda one: -int(coco.area(one[1]))):
        mask[coco.decode(rle).astype(bool)] = number
    return mask


def _checked_polygon(polygon: Sequence[float], height: int, width: int) -> list[float]:
    try:
        points = np.asarray(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.empty(0)
    if points.ndim != 1 or points.size < 6 or points.size % 2:
        raise InputError(f"a polygon of {np.size(points)} numbers; wanted at least 3 points, x y of each")
    size = np.tile([width, height], points.size // 2)
    if not ((points >= -size) & (points <= 2 * size)).all():  # NaN too; far points cost memory
        raise InputError(f"a polygon that leaves the image of {width}x{height} pixels by far")
    return list(points.tolist())


def _decompressed(text: str | bytes) -> Iterator[int]:
    """Run lengths out of COCO's text: 5 bits a character from 48 on, the sixth says that more come.

    From the fourth on each is the difference to the one before the last.
    """
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    last = [0, 0]
    seen = value = shift = 0
    for character in data:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            yield -1
            return
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        count = value + (last[0] if seen > 2 else 0)
        yield count
        last = [last[1], count]
        seen, value, shift = seen + 1, 0, 0
    if shift:
        yield -1
