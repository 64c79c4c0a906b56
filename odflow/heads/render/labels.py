"""From what the pixels show to boxes, mask and joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORED = 255
"""In a mask: pixels of an object that is not labelled."""


@dataclass(frozen=True)
class Seen:
    """What a camera sees of N instances.

    Attributes:
        instances: (height, width) int64, the instance that a pixel shows, from 0; -1 for none.
        own: (N,) int64, the pixels that each would cover if it were alone, in a picture
            without edges.
    """

    instances: NDArray[np.int64]
    own: NDArray[np.int64]


@dataclass(frozen=True)
class Box:
    """A labelled instance.

    Attributes:
        instance: which.
        xyxy: xmin ymin xmax ymax of its visible pixels, edge to edge, so that xmax is one more
            than the last column's index.
        area: visible pixels.
        visible: their share of its own.
    """

    instance: int
    xyxy: tuple[int, int, int, int]
    area: int
    visible: float


def boxes_of(seen: Seen, min_visible: float) -> list[Box]:
    """Box what is visible of each instance.

    Args:
        seen: by the camera.
        min_visible: share of its own pixels, 0 to 1; an instance below it has no box, and
            neither has one without a visible pixel.
    """
    boxes = []
    for instance, own in enumerate(seen.own.tolist()):
        rows, columns = np.nonzero(seen.instances == instance)
        if len(rows) and len(rows) >= min_visible * own:
            corners = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
            boxes.append(Box(instance, corners, len(rows), min(len(rows) / own, 1.0)))
    return boxes


def mask_of(seen: Seen, boxes: Sequence[Box], class_ids: Sequence[int]) -> NDArray[np.uint8]:
    """Paint the class of each pixel.

    Args:
        seen: by the camera.
        boxes: of the labelled instances.
        class_ids: of all instances, 1 to 254.

    Returns:
        (height, width) uint8: 0 background, class ids, `IGNORED` where an instance without a
        box shows.
    """
    colors = np.full(len(class_ids) + 1, IGNORED, np.uint8)
    colors[-1] = 0  # where `instances` says -1
    for box in boxes:
        colors[box.instance] = class_ids[box.instance]
    painted: NDArray[np.uint8] = colors[seen.instances]
    return painted


def visibility_of(
    joints: Mapping[str, tuple[float, float, float]], hidden: Mapping[str, bool], own: NDArray[np.bool_]
) -> dict[str, int]:
    """Tell what can be seen of joints: 2 visible, 1 hidden behind something, 0 outside the picture.

    Args:
        joints: x and y in pixels, and metres in front of the camera.
        hidden: whether the body itself is in front of a joint.
        own: (height, width), the pixels that show the body.

    Returns:
        For each joint; a visible one falls into a pixel that shows the body.
    """
    height, width = own.shape
    told = {}
    for joint, (x, y, ahead) in joints.items():
        inside = ahead > 0 and 0 <= x < width and 0 <= y < height
        told[joint] = (2 if own[int(y), int(x)] and not hidden[joint] else 1) if inside else 0
    return told
