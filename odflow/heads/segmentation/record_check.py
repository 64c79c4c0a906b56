"""Look through records of images and masks before a training is started on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from odflow.errors import InputError
from odflow.formats.example import decode_example
from odflow.formats.images import check_pixels
from odflow.formats.masks import IGNORE
from odflow.formats.record_check import Looking, check_each

if TYPE_CHECKING:
    from odflow.formats.example import Value

_HEADER = slice(24, 26)  # bit depth and colour type of a PNG
_GREY = b"\x08\x00"


def check_masks(files: Sequence[Path], classes: int, looking: Looking | None = None) -> int:
    """Read every record, and verify that it has a whole image and a mask of its size, of these classes.

    Args:
        files: TFRecord files.
        classes: how many; their numbers count from 0.
        looking: how, and how deep images are looked at; masks are decoded.

    Returns:
        How many images there are.

    Raises:
        InputError: there is none, or records that training cannot use; see `check_each`.
    """
    return check_each(files, partial(_look, classes=classes), looking, writer="segmentation.records")


def _look(payload: bytes, classes: int) -> None:
    features = decode_example(payload)
    try:
        image, mask = (_picture(features[f"image/{key}encoded"]) for key in ("", "segmentation/class/"))
    except (KeyError, IndexError) as error:
        raise InputError(f"no image with a mask ({error}). Give what segmentation.records wrote.") from None
    if mask[_HEADER] != _GREY:
        raise InputError("its mask is no PNG of 8-bit grey. Give what segmentation.records wrote.")
    (size, _), (mask_size, pixels) = _opened(image, counts=False), _opened(mask, counts=True)
    if size != mask_size:
        found = "its mask has {}x{} pixels, the image {}x{}".format(*mask_size, *size)
        raise InputError(f"{found}. Write the records anew.")
    unknown = [number for number in np.flatnonzero(pixels[:IGNORE]).tolist() if number >= classes]
    if unknown:
        raise InputError(
            f"its mask has the class numbers {', '.join(map(str, unknown[:5]))}; wanted: 0 to {classes - 1}. "
            "Give the classes.json that was written with the records."
        )


def _picture(value: Value) -> bytes:
    if not isinstance(value, list):
        raise InputError("image or mask is a list of numbers; wanted: the bytes of a picture.")
    return value[0]


def _opened(data: bytes, *, counts: bool) -> tuple[tuple[int, int], list[int]]:
    """Width and height, and how many pixels there are of each value."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data)) as image:
            check_pixels("an image", *image.size)
            return image.size, image.histogram() if counts else []
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"an image that cannot be read ({error}).") from None
