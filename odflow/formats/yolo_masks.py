"""Masks of YOLO's segmentation form: a text file an image, one polygon a line, class first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import InputError
from odflow.formats.mask_classes import BACKGROUND, MaskClasses
from odflow.formats.masks import UNCOVERED, EncodedMask, MaskSet, encode_mask, find_mask_files
from odflow.formats.regions import paint, polygons_rle
from odflow.formats.text_files import decode_text, lines_of, read_bytes
from odflow.left_out import Faults
from odflow.terminal import shown

if TYPE_CHECKING:
    from odflow.formats.regions import Rle

_SLACK = 0.01
"""Share of the image by which a point may lie outside, as rounding makes it."""


def yolo_masks(folder: Path, classes: MaskClasses) -> MaskSet:
    """Take a folder of text files: `a/b.txt` for the image `a/b.jpg`; an empty one shows nothing.

    Raises:
        InputError: no text file.
    """
    files = find_mask_files(folder, ".txt")
    masks = {key: YoloMask(path, classes.path, frozenset(classes.names)) for key, path in files.items()}
    return MaskSet({UNCOVERED: BACKGROUND, **classes.names}, masks)


@dataclass(frozen=True, slots=True)
class YoloMask:
    """A text file of polygons, the file that names the classes, and their numbers."""

    path: Path
    named_by: Path
    known: frozenset[int]

    @property
    def place(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, size: tuple[int, int], numbers: Mapping[int, int]) -> EncodedMask:
        """Draw it, see `Mask`."""
        width, height = size
        objects = ((numbers[number], rle) for number, rle in self._objects(width, height))
        return encode_mask(paint(objects, numbers[UNCOVERED], height=height, width=width))

    def _objects(self, width: int, height: int) -> Iterator[tuple[int, Rle]]:
        text = decode_text(read_bytes(self.path), str(self.path))
        polygons, faults = [], Faults()
        for row, line in enumerate(lines_of(text), 1):
            if not line.strip():
                continue
            try:
                polygons.append(self._polygon(f"{self.path}:{row}", line))
            except InputError as fault:
                faults.add(fault)
        faults.raise_all()
        for number, shares in polygons:
            sides = [width, height] * (len(shares) // 2)
            points = [share * side for share, side in zip(shares, sides, strict=True)]
            yield number, polygons_rle([points], height, width)

    def _polygon(self, place: str, line: str) -> tuple[int, list[float]]:
        number, shares = _numbers(place, line)
        if number not in self.known:
            raise InputError(
                f"{place}: has the class {number:g}, which {self.named_by} lacks. Name it there."
            )
        return int(number), shares


def _numbers(place: str, line: str) -> tuple[float, list[float]]:
    words = line.split()
    try:
        number, *shares = map(float, words)
    except ValueError:
        number, shares = math.nan, []
    if len(shares) < 6 or len(shares) % 2 or not math.isfinite(number):
        wanted = "wanted a class and x y of at least 3 points, as shares of the image"
        raise InputError(f"{place}: found {len(words)} values ({shown(line.strip())[:40]}); {wanted}.")
    for share in shares:
        if not -_SLACK <= share <= 1 + _SLACK:  # NaN too
            raise InputError(
                f"{place}: has the coordinate {share:g}; wanted shares of the image, 0 to 1. "
                "Are these pixels? Divide them by the image's width and height."
            )
    return number, shares
