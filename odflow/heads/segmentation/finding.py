"""Finding masks in photographs with an exported segmentation model, in whole images or in boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from odflow.errors import ImageError, InputError
from odflow.formats.images import MOST_PIXELS, read_image
from odflow.formats.mask_classes import BACKGROUND
from odflow.formats.masks import IGNORE
from odflow.heads.segmentation.drawing import encode_coloured, palette
from odflow.heads.segmentation.settings import SEGMENTATION
from odflow.inference.chunks import Chunk, Spread, work_in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from odflow.formats.images import ImageFile
    from odflow.inference.head_graph import HeadGraph


@dataclass(frozen=True, slots=True)
class Boxes:
    """Where to look in an image.

    Attributes:
        xyxy: (B, 4) xmin ymin xmax ymax, pixels, by rising score.
        sizes: width and height of the image, as those who found the boxes saw it.
        margin: room around a box that the network sees too, as a share of its longer side.
    """

    xyxy: NDArray[np.float64]
    sizes: Set[tuple[int, int]]
    margin: float


@dataclass(frozen=True, slots=True)
class Place:
    """An image, and where to look in it: `boxes`, or everywhere where that is None."""

    image: ImageFile
    boxes: Boxes | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The mask of one image.

    Attributes:
        height, width: in pixels; 0 where it could not be read.
        png: class numbers and a palette; empty where it could not be read.
        error: why it could not be read, without the path; empty where it could.
    """

    height: int
    width: int
    png: bytes
    error: str = ""


@dataclass(frozen=True, slots=True)
class Means:
    """What the workers need.

    Attributes:
        run: names the run.
        model: as `Head.load` takes it.
        classes: its classes.
        most_pixels: of an image, by its header.
    """

    run: str
    model: Path
    classes: tuple[str, ...]
    most_pixels: int = MOST_PIXELS


def find_masks(
    model: Path,
    classes: tuple[str, ...],
    places: Iterable[Place],
    spread: Spread,
    most_pixels: int = MOST_PIXELS,
) -> Iterator[tuple[Place, Found]]:
    """Find the masks of many images, several images at once.

    Args:
        model: as `Head.load` takes it. Each worker process loads it once.
        classes: its classes.
        places: taken as the work goes on.
        spread: calls a function on every value, by workers, and gives the results in order.
        most_pixels: an image of more cannot be read.

    Returns:
        Each image with its mask, in the order of `places`.

    Raises:
        InputError: the model cannot be loaded, or boxes are of an image of another size.
        StageError: the model failed.
    """
    return work_in_chunks(look_at, Means(uuid4().hex, model, classes, most_pixels), places, spread)


def look_at(chunk: Chunk[Means, Place]) -> list[Found]:
    """Find the masks of a few images, as one of `find_masks`'s workers."""
    means = chunk.means
    graph = SEGMENTATION.shared(means.model, means.run)
    return [_look(graph, place, means) for place in chunk.items]


def mask_in_boxes(
    graph: HeadGraph, image: NDArray[np.uint8], boxes: Boxes, classes: Sequence[str]
) -> NDArray[np.uint8]:
    """Find the mask of an image by looking at its boxes alone.

    Where boxes overlap, what the one with the higher score shows is on top; its background
    hides nothing.

    Args:
        graph: an exported model.
        image: (height, width, 3) RGB.
        boxes: where to look.
        classes: of the model.

    Returns:
        (height, width) class numbers; outside all boxes background, or 255 where no class is
        called that.
    """
    nothing = classes.index(BACKGROUND) if BACKGROUND in classes else IGNORE
    mask = np.full(image.shape[:2], nothing, np.uint8)
    for box in boxes.xyxy:
        left, top, right, bottom = _whole_pixels(box, 0.0, image.shape)
        if left >= right or top >= bottom:
            continue
        from_x, from_y, to_x, to_y = _whole_pixels(box, boxes.margin, image.shape)
        found = graph.run(image[None, from_y:to_y, from_x:to_x])[0]
        inside = found[top - from_y : bottom - from_y, left - from_x : right - from_x]
        np.copyto(mask[top:bottom, left:right], inside, where=inside != nothing)
    return mask


def _look(graph: HeadGraph, place: Place, means: Means) -> Found:
    path, boxes, classes = place.image.path, place.boxes, means.classes
    try:
        image = read_image(path, means.most_pixels)
    except ImageError as error:
        return Found(0, 0, b"", str(error).removeprefix(f"{path}: "))
    height, width = image.shape[:2]
    for size in sorted(boxes.sizes - {(width, height)}) if boxes else ():
        raise InputError(
            f"{path}: has {width}x{height} pixels, its boxes are of {size[0]}x{size[1]}. "
            "Give the images that they were found in."
        )
    mask = graph.run(image[None])[0] if boxes is None else mask_in_boxes(graph, image, boxes, classes)
    return Found(height, width, encode_coloured(mask, palette(classes)))


def _whole_pixels(
    box: NDArray[np.float64], margin: float, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """The pixels of the image that a box with a margin touches: from x y, to x y (not among them)."""
    room = margin * max(box[2] - box[0], box[3] - box[1])
    low = np.maximum(np.floor(box[:2] - room), 0).astype(int)
    high = np.minimum(np.ceil(box[2:] + room), shape[1::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
