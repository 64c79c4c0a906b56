"""Masks that eyes can read: a palette, and masks laid over their images."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor

from odflow.formats.contact_sheet import class_colours
from odflow.formats.mask_classes import BACKGROUND
from odflow.formats.masks import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOTHING, _IGNORED = (0, 0, 0), (224, 224, 192)
_COVER = 0.55
"""How much of an image a colour hides."""


def mask_colours(classes: Sequence[str]) -> dict[str, str]:
    """The colour of each class but background, in hexadecimal notation."""
    return class_colours(name for name in classes if name != BACKGROUND)


def palette(classes: Sequence[str]) -> NDArray[np.uint8]:
    """The colour of each number (256, 3) RGB: black for background and what is no class, 255 pale."""
    colours = mask_colours(classes)
    table = np.full((256, 3), _NOTHING, np.uint8)
    for number, name in enumerate(classes):
        if name in colours:
            table[number] = ImageColor.getrgb(colours[name])
    table[IGNORE] = _IGNORED
    return table


def encode_coloured(mask: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Write class numbers (height, width) uint8 as PNG: 8 bits a pixel, the number, and a palette."""
    image = Image.fromarray(mask)
    image.putpalette(colours.tobytes())
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def overlay(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lay a mask over its image, the borders of its regions opaque.

    Args:
        picture: (height, width, 3) RGB; not written to.
        mask: (height, width) class numbers.
        colours: (256, 3); what is black there stays as it is.

    Returns:
        (height, width, 3) RGB.
    """
    coloured = colours[mask]
    covered = (coloured != _NOTHING).any(axis=2, keepdims=True)
    share = np.where(_borders(mask)[..., None], 1.0, _COVER) * covered
    return np.rint(picture * (1 - share) + coloured * share).astype(np.uint8)


def _borders(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels have another number beside, above or below them."""
    borders = np.zeros(mask.shape, np.bool_)
    for one, other in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = mask[one] != mask[other]
        borders[one] |= differ
        borders[other] |= differ
    return borders
