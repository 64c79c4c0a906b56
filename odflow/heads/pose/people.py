"""Where in photographs people are sought: everywhere, in boxes of a detector, or around true joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import TableError, nearest
from odflow.formats.image_list import listed_names
from odflow.formats.images import ImageFile
from odflow.heads.pose.person import SCALE, people_of_table
from odflow.ops.keypoint_metrics import joint_boxes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class People:
    """The people of one image whose joints are sought.

    Attributes:
        image: the photograph.
        numbers: what each is called, P of them.
        boxes: (P, 4) xmin ymin xmax ymax, pixels, with the margin; None: one, who fills the image.
    """

    image: ImageFile
    numbers: tuple[int, ...] = (0,)
    boxes: NDArray[np.float64] | None = None


def detected_people(table: pd.DataFrame, images: Path, margin: float) -> list[People]:
    """Look into boxes.

    Args:
        table: of detections, of people alone; they are numbered in its order.
        images: the folder that its names are relative to.
        margin: room on each side, as a share of the box's longer side.
    """
    boxes = table[["xmin", "ymin", "xmax", "ymax"]].to_numpy(np.float64)
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    numbers = table.groupby("filename").cumcount().to_numpy()
    return _by_image(list(table["filename"]), images, numbers, _grown(boxes, margin * longer))


def annotated_people(
    table: pd.DataFrame, images: Path, joints: Sequence[str], margin: float
) -> tuple[list[People], list[str]]:
    """Look where annotated people are: in the boxes around their labelled joints, as training does.

    Args:
        table: of keypoints.
        images: the folder that its names are relative to.
        joints: of the skeleton.
        margin: room on each side, as a share of the body height.

    Returns:
        The people, and a line for each who has no place.
    """
    named = [(person, person.fault) for person in people_of_table(table, joints)]
    nowhere = [f"{one.filename}, person {one.number}: {fault}" for one, fault in named if fault]
    people = [one for one, fault in named if not fault]
    boxes = joint_boxes(np.stack([one.joints for one in people])) if people else np.empty((0, 4))
    room = np.array([margin * one.scale * SCALE for one in people])
    numbers = np.array([one.number for one in people])
    return _by_image([one.filename for one in people], images, numbers, _grown(boxes, room)), nowhere


def _grown(boxes: NDArray[np.float64], room: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes (N, 4) with room (N,) on each side; none smaller than a pixel."""
    low, high = boxes[:, :2] - room[:, None], boxes[:, 2:] + room[:, None]
    return np.concatenate([low, np.maximum(high, low + 1)], axis=1)


def _by_image(
    names: Sequence[str], images: Path, numbers: NDArray[Any], boxes: NDArray[np.float64]
) -> list[People]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return [
        People(ImageFile(name, images / name), tuple(numbers[rows[name]].tolist()), boxes[rows[name]])
        for name in sorted(rows)
    ]


def chosen(
    table: pd.DataFrame, path: Path, split: str | None = None, image_list: Path | None = None
) -> pd.DataFrame:
    """The people of one split of a table of keypoints, or of some images; all, with neither.

    Args:
        table: of keypoints.
        path: where it was read from, for messages.
        split: as its column says.
        image_list: names of images, one a line.

    Raises:
        TableError: there is nobody.
        InputError: the list cannot be read.
    """
    if split is not None and len(table):
        if "split" not in table:
            raise TableError(f"{path}: has no column split. Leave split out, or import with train_count.")
        there = sorted(set(table["split"]))
        if split not in there:
            known = nearest(split, filter(None, there))
            raise TableError(f'{path}: has nobody of the split "{split}".{known}')
        table = table[table["split"] == split]
    if image_list is not None:
        names = set(listed_names(image_list))
        table = table[table["filename"].isin(names)]
        if not len(table):
            raise TableError(f"{path}: has nobody in the {len(names)} images of {image_list}.")
    return table
