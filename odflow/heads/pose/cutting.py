"""Cutting people out of photographs as training does, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


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
    """Cut a box out of an image and bring it to a size; what lies outside the image is black.

    Args:
        image: (H, W, 3) uint8.
        box_xyxy: (4,) xmin ymin xmax ymax, pixels, anywhere.
        height: of the result in pixels.
        width: of the result in pixels.

    Returns:
        (height, width, 3) uint8, bilinear.
    """
    xmin, ymin, xmax, ymax = (float(value) for value in box_xyxy)
    to_image = ((xmax - xmin) / width, 0.0, xmin, 0.0, (ymax - ymin) / height, ymin)
    crop = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, to_image, Image.Resampling.BILINEAR
    )
    return np.asarray(crop)
