"""Finding the joints of people in photographs with an exported pose model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from odflow.errors import ImageError
from odflow.formats.images import MOST_PIXELS, read_image
from odflow.formats.keypoints import joint_columns
from odflow.heads.pose.cutting import cut, widened
from odflow.heads.pose.people import People
from odflow.heads.pose.settings import POSE, Crop
from odflow.inference.chunks import Chunk, Spread, work_in_chunks

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_BATCH = 16
"""Persons that the network looks at in one go; fixed, as the last bits of a result depend on it."""

_NOBODY: NDArray[np.float32] = np.empty((0, 0, 3), np.float32)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one image.

    Attributes:
        height, width: its size in pixels; 0 where it could not be read.
        joints: (P, K, 3) float32 x y score, pixels.
        error: why it could not be read, without the path; empty where it could.
    """

    height: int
    width: int
    joints: NDArray[np.float32]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Means:
    """What the workers need.

    Attributes:
        run: names the run.
        model: as `Head.load` takes it.
        crop: the network's input.
        most_pixels: of an image, by its header.
    """

    run: str
    model: Path
    crop: Crop
    most_pixels: int = MOST_PIXELS


def find_joints(
    model: Path,
    crop: Crop,
    people: Iterable[People],
    spread: Spread,
    most_pixels: int = MOST_PIXELS,
) -> Iterator[tuple[People, Found]]:
    """Find the joints of the people of many images, several images at once.

    Args:
        model: as `Head.load` takes it. Each worker process loads it once.
        crop: the network's input.
        people: taken as the work goes on.
        spread: calls a function on every value, by workers, and gives the results in order.
        most_pixels: an image of more cannot be read.

    Returns:
        Each image's people with what was found, in the order of `people`.

    Raises:
        InputError: the model cannot be loaded, or is none of poses.
        StageError: the model failed.
    """
    return work_in_chunks(look_at, Means(uuid4().hex, model, crop, most_pixels), people, spread)


def table_of(found: Iterable[tuple[People, Found]], joints: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Put what was found into a table of keypoints.

    Args:
        found: as `find_joints` gives it.
        joints: their names.

    Returns:
        One row a person, in the order of `found`: coordinates to a hundredth of a pixel, v
        2 throughout, `NAME_score` and, the mean of these, `score`; and a line for each
        image that cannot be read.
    """
    import pandas as pd

    names: list[tuple[str, int, int, int]] = []
    values: list[NDArray[np.float32]] = [np.empty((0, len(joints), 3), np.float32)]
    unreadable = []
    for people, one in found:
        if one.error:
            unreadable.append(f"{people.image.name}: {one.error}")
            continue
        names += [(people.image.name, number, one.width, one.height) for number in people.numbers]
        values.append(one.joints)
    table = pd.DataFrame(names, columns=["filename", "person", "width", "height"])
    xys = np.concatenate(values).astype(np.float64)
    scores = np.round(xys[..., 2], 4)
    table["score"] = np.round(scores.mean(axis=1), 4)
    parts = [table]
    for place, joint in enumerate(joints):
        cells = np.column_stack([np.round(xys[:, place, :2], 2), np.full(len(table), 2), scores[:, place]])
        parts.append(pd.DataFrame(cells, columns=[*joint_columns(joint), f"{joint}_score"]))
    return pd.concat(parts, axis=1), unreadable


def look_at(chunk: Chunk[Means, People]) -> list[Found]:
    """Find the joints in a few images, as one of `find_joints`'s workers."""
    network = POSE.shared(chunk.means.model, chunk.means.run)
    views = [_view(people, chunk.means) for people in chunk.items]
    crops = [one for view in views for one in view.crops]
    batches = (np.stack(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH))
    joints = np.concatenate([network.run(batch) for batch in batches]) if crops else _NOBODY
    ends = np.cumsum([len(view.crops) for view in views])
    return [view.found(part) for view, part in zip(views, np.split(joints, ends[:-1]), strict=True)]


@dataclass(frozen=True, slots=True)
class _View:
    """An image as the network sees it.

    Attributes:
        height, width, error: as in `Found`.
        boxes: (P, 4) xmin ymin xmax ymax, pixels, of the crops.
        crops: (crop's height, crop's width, 3) uint8 each.
    """

    height: int
    width: int
    boxes: NDArray[np.float64]
    crops: Sequence[NDArray[np.uint8]] = ()
    error: str = ""

    def found(self, joints: NDArray[np.float32]) -> Found:
        """From (P, K, 3) y x score, shares of the crops, to pixels of the image."""
        y, x, score = np.moveaxis(joints, -1, 0)
        xmin, ymin, xmax, ymax = self.boxes.T[:, :, None]
        in_image = np.stack([xmin + x * (xmax - xmin), ymin + y * (ymax - ymin), score], axis=-1)
        return Found(self.height, self.width, in_image.astype(np.float32), self.error)


def _view(people: People, means: Means) -> _View:
    crop = means.crop
    try:
        image = read_image(people.image.path, means.most_pixels)
    except ImageError as error:
        return _View(0, 0, np.empty((0, 4)), error=str(error).removeprefix(f"{people.image.path}: "))
    height, width = image.shape[:2]
    whole = np.array([[0.0, 0.0, width, height]])
    boxes = whole if people.boxes is None else people.boxes
    boxes = np.repeat(whole, len(boxes), axis=0) if crop.whole else widened(boxes, crop.width / crop.height)
    return _View(height, width, boxes, [cut(image, box, crop.height, crop.width) for box in boxes])
