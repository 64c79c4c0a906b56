"""What masks hold: pixels of each class, images that show it, and what is ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.formats.masks import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_TOLD = 10


def _zeros() -> NDArray[np.int64]:
    return np.zeros(256, np.int64)


@dataclass
class MaskAudit:
    """Counts masks as they go by.

    Attributes:
        names: the name of each class number.
        masks: how many there were.
        pixels: (256,) int64, of each number.
        images: (256,) int64, that show it.
    """

    names: Mapping[int, str]
    masks: int = 0
    pixels: NDArray[np.int64] = field(default_factory=_zeros)
    images: NDArray[np.int64] = field(default_factory=_zeros)

    def add(self, pixels: NDArray[np.int64]) -> None:
        """Take one mask, as its pixels of each number (256,) int64."""
        self.masks += 1
        self.pixels += pixels
        self.images += pixels > 0

    def merge(self, masks: int, pixels: Sequence[int], images: Sequence[int]) -> None:
        """Take what another audit of the same classes counted."""
        self.masks += masks
        self.pixels += pixels
        self.images += images

    @property
    def ignored(self) -> float:
        """The share of all pixels that are ignored."""
        return int(self.pixels[IGNORE]) / max(int(self.pixels.sum()), 1)

    def share(self, number: int) -> float:
        """The share of a class in the pixels that are not ignored."""
        return int(self.pixels[number]) / max(int(self.pixels[:IGNORE].sum()), 1)

    @property
    def absent(self) -> list[str]:
        """Names of the classes that never occur."""
        return [name for number, name in sorted(self.names.items()) if not self.pixels[number]]

    def to_json(self) -> dict[str, Any]:
        """All of it, shares from 0 to 1."""
        classes = [
            {
                "number": number,
                "name": name,
                "pixels": int(self.pixels[number]),
                "share": round(self.share(number), 6),
                "images": int(self.images[number]),
            }
            for number, name in sorted(self.names.items())
        ]
        ignored = {"pixels": int(self.pixels[IGNORE]), "share": round(self.ignored, 6)}
        return {
            "images": self.masks,
            "pixels": int(self.pixels.sum()),
            "ignored": {**ignored, "images": int(self.images[IGNORE])},
            "classes": classes,
            "never": self.absent,
        }

    def lines(self) -> Iterator[str]:
        """What to tell: the ten commonest classes, and those that never occur."""
        yield f"{self.masks} images, {self.ignored:.1%} of their pixels ignored"
        there = sorted((n for n in self.names if self.pixels[n]), key=lambda n: -int(self.pixels[n]))
        for number in there[:_MOST_TOLD]:
            yield f"{self.names[number]}: {self.share(number):.1%} of pixels, in {self.images[number]} images"
        if len(there) > _MOST_TOLD:
            yield f"and {len(there) - _MOST_TOLD} classes with fewer pixels"
        if self.absent:
            more = " ..." if len(self.absent) > _MOST_TOLD else ""
            named = ", ".join(self.absent[:_MOST_TOLD])
            yield f"{len(self.absent)} of {len(self.names)} classes never occur: {named}{more}"
