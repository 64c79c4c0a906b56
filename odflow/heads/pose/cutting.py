"""Cutting people out of photographs as training does, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROUNDING = 1.0001
"""A box of exactly twice the size counts as that, whatever rounding makes of it."""


def widened(boxes_xyxy: NDArray[Any], aspect: float) -> NDArray[np.float64]:
    """Widen boxes about their middles to an aspect ratio.

    Args:
        boxes_xyxy: (N, 4) pixels.
        aspect: width over height.

    Returns:
        (N, 4) of that ratio, each around the given one.

    >>> widened(np.array([[10, 10, 20, 50]]), 0.5).tolist()
    [[5.0, 10.0, 25.0, 50.0]]
    """
    boxes = np.asarray(boxes_xyxy, np.float64)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    sides = np.stack([np.maximum(width, height * aspect), np.maximum(height, width / aspect)], axis=1)
    return np.concatenate([middle - sides / 2, middle + sides / 2], axis=1)


def cut(image: NDArray[np.uint8], box_xyxy: NDArray[Any], height: int, width: int) -> NDArray[np.uint8]:
    """Cut a box out of an image and bring it to a size, as `crops.look` does: halved first, then bilinear.

    Args:
        image: (H, W, 3) uint8.
        box_xyxy: (4,) xmin ymin xmax ymax, pixels, anywhere.
        height: of the result in pixels.
        width: of the result in pixels.

    Returns:
        (height, width, 3) uint8, bilinear; black where the middle of a pixel lies outside
        those of the image's outermost pixels.
    """
    xmin, ymin, xmax, ymax = box = np.asarray(box_xyxy, np.float64)
    factor = _factor(min((xmax - xmin) / width, (ymax - ymin) / height))
    if factor > 1:
        image = np.asarray(Image.fromarray(image).reduce(factor))
        xmin, ymin, xmax, ymax = box / factor
    y, next_y, share_y, inside_y = _samples(ymin, ymax, height, image.shape[0])
    x, next_x, share_x, inside_x = _samples(xmin, xmax, width, image.shape[1])
    rows = _between(image[y], image[next_y], share_y[:, None, None])
    crop = _between(rows[:, x], rows[:, next_x], share_x[:, None])
    crop *= (inside_y[:, None] & inside_x)[..., None]
    return (crop + 0.5).astype(np.uint8)


def _factor(step: float) -> int:
    """The largest of 1, 2, 4 and 8 by which an image can be made smaller and stay finer than the crop.

    Args:
        step: pixels of the image to one of the crop.
    """
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or step * ROUNDING >= factor)


def _samples(start: float, end: float, count: int, size: int) -> tuple[NDArray[Any], ...]:
    """Along one axis: (count,) pixels before and after each sample, its share of the way, whether inside."""
    places = start + (np.arange(count) + 0.5) * (end - start) / count - 0.5
    before = np.clip(np.floor(places), 0, size - 1).astype(np.intp)
    share = (places - before).astype(np.float32)
    return before, np.minimum(before + 1, size - 1), share, (places >= 0) & (places <= size - 1)


def _between(first: NDArray[Any], second: NDArray[Any], share: NDArray[np.float32]) -> NDArray[np.float32]:
    start = first.astype(np.float32)
    return start + (second - start) * share
