"""Boxes as annotation files have them, put onto the upright images that tables are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from odflow.formats.detection_rows import COLUMNS
from odflow.formats.images import ImageFile, ImageSize
from odflow.left_out import LeftOut
from odflow.ops.boxes import turn_upright

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Exif = Literal["upright", "stored"]

_DECIMALS = 4  # of a pixel: far below what shares resolve, and short in a table
_ROUNDING = 0.5  # pixels that a box may leave its image by and is not said to be clipped


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """One object of an annotation file.

    Attributes:
        label: its class.
        corners: xmin ymin xmax ymax, origin at the top left.
        score: from 0 to 1; 1 where somebody drew it.
        difficult: 0 or 1.
        outline: whether it is the box around a polygon or a turned box.
        keypoints: whether it has keypoints, which are not taken.
    """

    label: str
    corners: tuple[float, float, float, float]
    score: float = 1.0
    difficult: int = 0
    outline: bool = False
    keypoints: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """What an annotation file says about one image.

    Attributes:
        place: the file, as messages call it.
        boxes: those that can be read.
        faults: what is wrong with the others, a line each.
        shares: whether the corners are shares of the image; pixels if not.
        size: width and height that the file gives its image, if it does.
    """

    place: str
    boxes: list[DrawnBox] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    shares: bool = False
    size: tuple[float, float] | None = None


@dataclass
class PlacedBoxes:
    """The boxes of many images, in pixels of the upright image and inside it.

    Attributes:
        rows: `COLUMNS`, then difficult, of each box.
        faults: by image, what is wrong with its annotations; it has no rows.
        unreadable: by image, why its header cannot be read; it has no rows.
        turned: names of images whose boxes were drawn on the stored picture.
        unsure: names of images that EXIF turns, where nothing tells on what they were drawn.
        outlines: for each box around a polygon, the name of its image.
        keypoints: for each box whose keypoints are not taken, the same.
        clipped: for each box that left its image, the name of the image.
        empty: for each box that has no area inside its image and is left out, the same.
    """

    rows: list[list[object]] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    turned: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    outlines: list[str] = field(default_factory=list)
    keypoints: list[str] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def add(self, image: ImageFile, size: ImageSize, drawing: Drawing, exif: Exif | None = None) -> None:
        """Take the boxes of one image.

        Args:
            image: the file.
            size: its size and orientation, as its header has them.
            drawing: its annotations.
            exif: the picture that the boxes were drawn on, where the file gives no size that tells.
        """
        faults = [*drawing.faults, *_unfit(image, size, drawing, exif)]
        if faults:
            self.faults[image.name] = faults
            return
        if not drawing.boxes:
            return
        meant = _meant(size, drawing) or exif
        self.unsure += [image.name] * (size.orientation != 1 and meant is None)
        stored = size.orientation != 1 and meant == "stored"
        self.turned += [image.name] * stored
        self._place(image.name, size, drawing, stored)

    def table(self) -> pd.DataFrame:
        """The boxes as a table, with a column `difficult`."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=[*COLUMNS, "difficult"])

    def told(self) -> list[LeftOut]:
        """What was done to boxes on our own account, a line a kind."""
        turning = "boxes were drawn on the picture as stored: turned upright along with it, as EXIF says"
        unsure = (
            "have an EXIF orientation, and nothing tells whether their boxes were drawn on the picture as "
        )
        return [
            _kind("images_turned", self.turned, f"images whose {turning}"),
            _kind(
                "images_of_unknown_turn",
                self.unsure,
                f"images {unsure}stored or upright: taken as upright",
                "Look at one; give exif: stored or exif: upright."
                + (
                    f" By their sizes, {len(self.turned)} others were drawn as stored." if self.turned else ""
                ),
            ),
            _kind("outlines_boxed", self.outlines, "polygons or turned boxes became the boxes around them"),
            _kind(
                "keypoints_left_out",
                self.keypoints,
                "objects whose boxes alone are taken, not their keypoints",
            ),
            _kind("boxes_clipped", self.clipped, "boxes reach out of their images and were clipped"),
            _kind(
                "boxes_without_area",
                self.empty,
                "boxes left out, since they have no area inside their images",
            ),
        ]

    def _place(self, name: str, size: ImageSize, drawing: Drawing, stored: bool) -> None:
        width, height = size.stored if stored else (size.width, size.height)
        corners = np.array([box.corners for box in drawing.boxes], np.float64)
        if drawing.shares:
            corners = _rounded(corners * [width, height, width, height])
        if stored:
            corners = _rounded(turn_upright(corners, size.orientation, (width, height)))
        inside = np.clip(corners, 0, [size.width, size.height, size.width, size.height])
        moved = np.abs(inside - corners).max(axis=1) >= _ROUNDING
        for box, at, clipped in zip(drawing.boxes, inside.tolist(), moved.tolist(), strict=True):
            if at[2] <= at[0] or at[3] <= at[1]:
                self.empty.append(name)
                continue
            self.clipped += [name] * clipped
            self.outlines += [name] * box.outline
            self.keypoints += [name] * box.keypoints
            self.rows.append([name, size.width, size.height, box.label, box.score, *at, box.difficult])


def _rounded(corners: NDArray[Any]) -> NDArray[np.float64]:
    """Rounded as decimals are: NumPy rounds products of them."""
    return np.array([[round(side, _DECIMALS) for side in box] for box in corners.tolist()], np.float64)


def _kind(name: str, found: list[str], what: str, advice: str = "") -> LeftOut:
    return LeftOut(name, len(found), what, list(dict.fromkeys(found)), advice)


def _meant(size: ImageSize, drawing: Drawing) -> Exif | None:
    """The picture that the boxes were drawn on, where the size in the file tells."""
    upright = (size.width, size.height)
    if drawing.size is None or size.stored == upright:
        return None
    return "stored" if drawing.size == size.stored else "upright"


def _unfit(image: ImageFile, size: ImageSize, drawing: Drawing, exif: Exif | None) -> Iterable[str]:
    """Why annotations cannot be those of the image."""
    upright, said = (size.width, size.height), drawing.size
    ours = f"{size.width}x{size.height}"
    stored = "{}x{}".format(*size.stored)
    if said and said not in (upright, size.stored):
        turned = f" ({stored} as stored, which EXIF turns)" if size.orientation != 1 else ""
        theirs = f"{said[0]:g}x{said[1]:g}"
        yield (
            f"{drawing.place}: is for an image of {theirs}, but {image.path} has {ours}{turned}. "
            "Give the image that was annotated."
        )
        return
    meant = _meant(size, drawing) if size.orientation != 1 else None
    if meant == "stored" and exif == "upright":
        yield (
            f"{drawing.place}: {stored} is its size as stored; EXIF turns it to {ours}, where exif: upright "
            f"has the boxes ({image.path}). Leave exif out: the size tells."
        )
    elif meant == "upright" and exif == "stored":
        yield (
            f"{drawing.place}: {ours} is its size upright; as stored, where exif: stored has the boxes, "
            f"it is {stored} ({image.path}). Leave exif out: the size tells."
        )
    elif not drawing.shares and min(upright) > 2 and _are_shares(drawing.boxes):
        yield (
            f"{drawing.place}: its boxes lie within 0 to 1, and {image.path} has {ours} pixels. "
            f"Are they shares? Wanted pixels: multiply x by {size.width}, y by {size.height}."
        )


def _are_shares(boxes: list[DrawnBox]) -> bool:
    """Whether all boxes that have an area lie within the first pixel."""
    filled = [
        box.corners for box in boxes if box.corners[2] > box.corners[0] and box.corners[3] > box.corners[1]
    ]
    return bool(filled) and all(0 <= side <= 1 for corners in filled for side in corners)
