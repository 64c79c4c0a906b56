"""Masks that give each pixel a class number, and the masks of a data set, whatever form they lie in.

Forms: PNG of class numbers or of colours (`png_masks`), polygons of YOLO (`yolo_masks`),
polygons and run lengths of COCO (`coco_masks`). All become (height, width) uint8 of class
numbers, where 255 is ignored; kept as PNG of 8-bit grey, which every reader knows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

import numpy as np

from odflow.errors import InputError
from odflow.formats.folder_walk import FolderWalk
from odflow.formats.image_names import same_letters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from odflow.formats.images import ImageFile

IGNORE = 255
"""The number of pixels that neither train nor count."""

UNCOVERED = -1
"""The number, in the classes of a `MaskSet`, of what no polygon covers."""

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class EncodedMask:
    """A mask of class numbers as an 8-bit grey PNG.

    Attributes:
        data: the PNG.
        width: in pixels.
        height: in pixels.
        pixels: (256,) int64, pixels of each number.
    """

    data: bytes
    width: int
    height: int
    pixels: NDArray[np.int64]


class Mask(Protocol):
    """The mask of one image, not read yet."""

    @property
    def place(self) -> str:
        """What messages call it."""

    def read(self, size: tuple[int, int], numbers: Mapping[int, int]) -> EncodedMask:
        """Read it.

        Args:
            size: width and height of its image in pixels.
            numbers: what each class number of its `MaskSet` becomes.

        Raises:
            ImageError: the file is damaged.
            InputError: it is no mask of such classes, or of another size than its image; the
                message names file and values.
        """


@dataclass(frozen=True, slots=True)
class MaskSet:
    """The masks of a data set.

    Attributes:
        classes: the class of each number that a mask can hold; `UNCOVERED` is background.
        masks: by `mask_key` of the image's name.
    """

    classes: Mapping[int, str]
    masks: Mapping[str, Mask]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Images and their masks.

    Attributes:
        pairs: sorted by image name.
        bare: names of the images without a mask.
        left: places of the masks without an image.
    """

    pairs: list[tuple[ImageFile, Mask]]
    bare: list[str]
    left: list[str]


def mask_key(name: str) -> str:
    """What pairs an image with its mask: its name without extension.

    >>> mask_key("train/a.b.jpg")
    'train/a.b'
    """
    return str(PurePosixPath(name).with_suffix(""))


def pair_masks(images: Iterable[ImageFile], masks: Mapping[str, Mask]) -> Pairing:
    """Put masks to images.

    Raises:
        InputError: two images have the same mask.
    """
    lettered = {same_letters(key): key for key in masks}
    taken: dict[str, ImageFile] = {}
    twice, bare = [], []
    for image in sorted(images, key=lambda one: one.name):
        key = mask_key(image.name)
        if key not in masks:
            key = lettered.get(same_letters(key), key)
        if key not in masks:
            bare.append(image.name)
        elif key in taken:
            twice.append(
                f"{masks[key].place}: is the mask of {taken[key].name} and of {image.name}. Rename one."
            )
        else:
            taken[key] = image
    if twice:
        raise InputError(*first_lines(twice))
    pairs = [(image, masks[key]) for key, image in taken.items()]
    return Pairing(pairs, bare, [masks[key].place for key in sorted(masks.keys() - taken)])


def encode_mask(mask: NDArray[np.uint8]) -> EncodedMask:
    """Write class numbers (height, width) uint8 as PNG."""
    from PIL import Image

    image = Image.fromarray(mask)
    buffer = BytesIO()
    # Masks are runs of equal numbers: half the time of the usual search for repeats, and smaller.
    image.save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return EncodedMask(buffer.getvalue(), *image.size, np.array(image.histogram(), np.int64))


def check_size(place: str, found: tuple[int, int], size: tuple[int, int]) -> None:
    """Compare width and height of a mask with its image's.

    Raises:
        InputError: they differ.
    """
    if found != size:
        raise InputError(
            f"{place}: has {found[0]}x{found[1]} pixels, its image {size[0]}x{size[1]} when upright. "
            "Make the mask anew from the image as it is."
        )


def find_mask_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Find the files below a folder that end so, by `mask_key`; hidden ones are passed over.

    Raises:
        InputError: there is none.
    """
    names = {
        at.prefix + name: Path(at.path, name)
        for at in FolderWalk(Path(folder))
        for name in at.files
        if not at.hidden and not name.startswith(".") and Path(name).suffix.lower() == suffix
    }
    found = {
        mask_key(name): path
        for name, path in sorted(names.items(), key=lambda item: item[1])
        if path.is_file()
    }
    if not found:
        raise InputError(f"{folder}: holds no mask. Wanted: files named like the images, ending in {suffix}.")
    return found


def first_lines(problems: list[str]) -> list[str]:
    """The first ten problems, a line each, and how many more there are."""
    more = len(problems) - _MOST_NAMED
    return [*problems[:_MOST_NAMED], *([f"... and {more} more like these."] if more > 0 else [])]
