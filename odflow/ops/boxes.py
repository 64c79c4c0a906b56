"""Arithmetic of boxes: arrays in, arrays out.

Boxes are (N, 4) float, xmin ymin xmax ymax, pixels or shares; a box ends where it ends,
not one pixel later: its width is xmax - xmin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def area(boxes_xyxy: Floats) -> Floats:
    """Areas of boxes.

    Args:
        boxes_xyxy: (N, 4).

    Returns:
        (N,); 0 for a box that ends before it starts.
    """
    width, height = sides(boxes_xyxy)
    return width * height


def sides(boxes_xyxy: Floats) -> tuple[Floats, Floats]:
    """Widths and heights of boxes, each (N,), at least 0."""
    width = np.maximum(boxes_xyxy[..., 2] - boxes_xyxy[..., 0], 0)
    height = np.maximum(boxes_xyxy[..., 3] - boxes_xyxy[..., 1], 0)
    return width, height


def iou(boxes_xyxy: Floats, others_xyxy: Floats) -> Floats:
    """Intersection over union of every box with every other.

    Args:
        boxes_xyxy: (N, 4).
        others_xyxy: (M, 4), in the same unit.

    Returns:
        (N, M) in [0, 1]; 0 where both boxes have no area.
    """
    first, second = boxes_xyxy[:, None, :], others_xyxy[None, :, :]
    common = np.concatenate(
        (np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])), axis=-1
    )
    intersection = area(common)
    union = area(first) + area(second) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def to_normalized(boxes_xyxy: Floats, image_sizes: NDArray[Any]) -> NDArray[np.float32]:
    """Turn pixel boxes into the unit-scale boxes that records hold.

    Args:
        boxes_xyxy: (N, 4), pixels. Not written to.
        image_sizes: (N, 2) or (2,), width and height in pixels, above 0.

    Returns:
        (N, 4) float32 in the same order, clipped to [0, 1].
    """
    shares: Floats = np.asarray(boxes_xyxy, np.float64) / np.concatenate((image_sizes, image_sizes), axis=-1)
    return np.clip(shares, 0, 1).astype(np.float32)


def turn_upright(boxes_xyxy: Floats, orientation: int, stored_size: tuple[float, float]) -> Floats:
    """Turn boxes along with the picture that they were drawn on, as its EXIF orientation says.

    Args:
        boxes_xyxy: (N, 4) on the picture as it is stored. Not written to.
        orientation: 1 to 8, as TIFF 6.0 and EXIF number them; 1 turns nothing.
        stored_size: width and height of the stored picture in the boxes' unit: pixels, or 1 and 1.

    Returns:
        (N, 4) on the upright picture, xmin ymin xmax ymax again.
    """
    xmin, ymin, xmax, ymax = np.asarray(boxes_xyxy).T
    width, height = stored_size
    if orientation >= 5:  # it lies on its side
        xmin, ymin, xmax, ymax = ymin, xmin, ymax, xmax
        width, height = height, width
    if orientation in (2, 3, 6, 7):
        xmin, xmax = width - xmax, width - xmin
    if orientation in (3, 4, 7, 8):
        ymin, ymax = height - ymax, height - ymin
    return np.stack((xmin, ymin, xmax, ymax), axis=-1)
