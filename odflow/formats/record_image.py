"""The picture inside a record: one meaning for all who read it, TensorFlow's.

Boxes and masks of a record are those of the pixels as they are stored, so nothing here is turned
by EXIF.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import ImageError
from odflow.formats.image_check import Size, Verify, check_image
from odflow.formats.images import (
    MOST_PIXELS,
    PIXELS_OPENED,
    image_format,
    open_image,
    orientation,
    read_stored,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BMP_MODES = ("L", "RGB", "RGBA")


def read_record_image(
    place: Path | str, data: bytes, stated: Size | None = None, most_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """Decode the picture of a record, as `read_stored` does.

    Args:
        place: what errors name.
        data: what image/encoded holds.
        stated: what image/width and image/height say.
        most_pixels: of the picture, by its header.

    Returns:
        (height, width, 3) uint8, not to be written to.

    Raises:
        ImageError: it cannot be decoded, has another size, or more pixels.
    """
    pixels = read_stored(Path(place), data, most_pixels)
    _check_size(place, data, stated, Size(pixels.shape[1], pixels.shape[0]))
    return pixels


def check_record_image(
    place: Path | str, data: bytes, stated: Size | None = None, verify: Verify = "pixels"
) -> Size:
    """Verify that the picture of a record is whole, of the size that it says, and read alike by all.

    Args:
        place: what errors name.
        data: what image/encoded holds.
        stated: what image/width and image/height say.
        verify: how deep; see `check_image`.

    Returns:
        Its size as it is stored.

    Raises:
        ImageError: it is not.
    """
    size = check_image(place, data, verify)
    _check_size(place, data, stated, size)
    if image_format(data) == "bmp":
        with open_image(Path(place), data) as image:
            if image.mode not in _BMP_MODES:
                raise ImageError(
                    f"{place}: is a BMP with a palette, which TensorFlow misreads. Make it a PNG."
                )
    return size


def _check_size(place: Path | str, data: bytes, stated: Size | None, found: Size) -> None:
    if stated is None or stated == found:
        return
    with open_image(Path(place), data, gif=True, most_pixels=PIXELS_OPENED) as image:
        turn = orientation(image)
    why = f"; EXIF turns it (orientation {turn}), TensorFlow does not" if turn > 1 else ""
    raise ImageError(
        f"{place}: image/width and image/height are {stated.width} and {stated.height}, the picture is "
        f"stored as {found.width}x{found.height}{why}. Write the record anew, with boxes of the stored "
        "picture."
    )
