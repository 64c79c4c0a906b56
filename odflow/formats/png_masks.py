"""Masks as PNG files: of class numbers, or of colours that a palette names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import ConfigError, ImageError, InputError
from odflow.formats.images import open_image
from odflow.formats.mask_classes import MaskClasses
from odflow.formats.masks import IGNORE, EncodedMask, MaskSet, check_size, encode_mask, find_mask_files
from odflow.regular import read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_BIT_DEPTH, _COLOR_TYPE = 24, 25  # where a PNG's header has them
_PLAIN_GREY = b"\x08\x00"
_SHOWN = 5
_IGNORED_NAMES = re.compile(r"ignor|void|border|boundar|unlabel|unknown|don.?t.?care|\bnone\b", re.IGNORECASE)


def index_masks(folder: Path, classes: MaskClasses) -> MaskSet:
    """Take a folder of PNG files whose pixels are class numbers, grey or with a palette.

    Raises:
        InputError: no PNG file.
        ConfigError: a class number above 255.
    """
    names = _within_bytes(classes)
    files = find_mask_files(folder, ".png")
    return MaskSet(names, {key: IndexMask(path, classes.path) for key, path in files.items()})


def color_masks(folder: Path, classes: MaskClasses) -> MaskSet:
    """Take a folder of PNG files whose colours are classes.

    Raises:
        InputError: no PNG file.
        ConfigError: no colours, or a class number above 255.
    """
    names = _within_bytes(classes)
    if not classes.colors:
        raise ConfigError(f'{classes.path}: has no colours. Wanted colors:, as in "(128, 0, 0)": flower.')
    files = find_mask_files(folder, ".png")
    return MaskSet(names, {key: ColorMask(path, classes.path, classes.colors) for key, path in files.items()})


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read a PNG of class numbers, grey or with a palette, as (height, width) uint8.

    Raises:
        ImageError: missing or damaged.
        InputError: no PNG, 16 bits a pixel, or colours.
    """
    return _numbers_of(path, *_open(path))


@dataclass(frozen=True, slots=True)
class IndexMask:
    """A PNG of class numbers, and the file that names the classes."""

    path: Path
    named_by: Path

    @property
    def place(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, size: tuple[int, int], numbers: Mapping[int, int]) -> EncodedMask:
        """Read it, see `Mask`; the file's own bytes where nothing has to change."""
        data, image = _open(self.path)
        check_size(self.place, image.size, size)
        plain = data[_BIT_DEPTH : _COLOR_TYPE + 1] == _PLAIN_GREY
        if not plain:
            from PIL import Image

            image = Image.fromarray(_numbers_of(self.path, data, image))
        pixels = np.array(image.histogram(), np.int64)
        found = np.flatnonzero(pixels).tolist()
        unknown = {number: pixels[number] for number in found if number not in numbers and number != IGNORE}
        if unknown:
            raise InputError(_unknown(self.path, "numbers", unknown, self.named_by))
        if plain and all(numbers.get(number, number) == number for number in found):
            return EncodedMask(data, *image.size, pixels)
        table = np.array([numbers.get(number, number) for number in range(256)], np.uint8)
        return encode_mask(table.take(np.asarray(image)))


@dataclass(frozen=True, slots=True)
class ColorMask:
    """A PNG of colours; the number of each colour, and the file that names them."""

    path: Path
    named_by: Path
    colors: Mapping[tuple[int, int, int], int]

    @property
    def place(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, size: tuple[int, int], numbers: Mapping[int, int]) -> EncodedMask:
        """Read it, see `Mask`."""
        data, image = _open(self.path)
        check_size(self.place, image.size, size)
        if data[_BIT_DEPTH] == 16:
            raise InputError(_too_deep(self.path))
        if "A" in image.getbands() and image.getextrema()[-1] != (255, 255):
            raise InputError(
                f"{self.path}: has transparent pixels, which have no class. Save it without alpha."
            )
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.int32), -1, 0)
        pixels = red << 16 | green << 8 | blue
        ordered = sorted(self.colors)
        known = np.array([r << 16 | g << 8 | b for r, g, b in ordered], np.int32)
        at = np.searchsorted(known, pixels).clip(max=len(known) - 1)
        self._check(pixels[known[at] != pixels])
        table = [numbers.get(self.colors[color], IGNORE) for color in ordered]
        return encode_mask(np.array(table, np.uint8).take(at))

    def _check(self, unknown: NDArray[np.int32]) -> None:
        if unknown.size:
            values, counts = np.unique(unknown, return_counts=True)
            colors = {
                (v >> 16, v >> 8 & 255, v & 255): n for v, n in zip(values.tolist(), counts, strict=True)
            }
            raise InputError(_unknown(self.path, "colours", colors, self.named_by))


def _open(path: Path) -> tuple[bytes, Image.Image]:
    """The bytes of a PNG file, and its pixels decoded."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from None
    with open_image(path, data) as image:
        image.load()
        form = image.format
    if form != "PNG":
        raise InputError(f"{path}: is {form}, which does not keep every value. Wanted: a PNG.")
    return data, image


def _numbers_of(path: Path, data: bytes, image: Image.Image) -> NDArray[np.uint8]:
    if data[_BIT_DEPTH] == 16:
        raise InputError(_too_deep(path))
    if image.mode not in ("1", "L", "P"):
        raise InputError(
            f"{path}: is {image.mode}, colours, where class numbers are wanted (grey or a palette). "
            "Say what the colours mean: format: color."
        )
    pixels = np.asarray(image, np.uint8)
    if image.mode == "L" and data[_BIT_DEPTH] < 8:  # Pillow spreads few bits over 0 to 255
        pixels = pixels // np.uint8(255 // (2 ** data[_BIT_DEPTH] - 1))
    return pixels


def _too_deep(path: Path) -> str:
    return f"{path}: has 16 bits a pixel, where a class is 0 to 255. Save it with 8 bits."


def _unknown(path: Path, what: str, counts: Mapping[Any, int], named_by: Path) -> str:
    shown = ", ".join(f"{value} ({count} pixels)" for value, count in list(counts.items())[:_SHOWN])
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return f"{path}: has the {what} {shown}{more}, which {named_by} lacks. Name them there, or mend the mask."


def _within_bytes(classes: MaskClasses) -> dict[int, str]:
    """The names; 255 may be named as what is ignored, and nothing else."""
    if max(classes.names) > IGNORE:
        raise ConfigError(f"{classes.path}: has the class number {max(classes.names)}; wanted: 0 to 254.")
    last = classes.names.get(IGNORE)
    if last is not None and not _IGNORED_NAMES.search(last):
        raise ConfigError(
            f'{classes.path}: class {IGNORE} is "{last}"; pixels of {IGNORE} are ignored, so it would not be '
            "learnt. Give it another number in the masks, or name it ignore."
        )
    return {number: name for number, name in classes.names.items() if number != IGNORE}
