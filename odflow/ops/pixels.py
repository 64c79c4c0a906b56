"""From normalised boxes to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_pixels(boxes_yxyx: NDArray[np.floating[Any]], *, height: int, width: int) -> NDArray[np.float64]:
    """Turn normalised boxes into pixels, clipped to the image.

    Args:
        boxes_yxyx: (M, 4), ymin xmin ymax xmax, normalised.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Returns:
        (M, 4) float64 in the same order, 0 to height and width.

    >>> to_pixels(np.float32([[0.25, -0.1, 0.5, 1.2]]), height=100, width=200).tolist()
    [[25.0, 0.0, 50.0, 200.0]]
    """
    size = np.array([height, width, height, width], np.float64)
    return np.clip(boxes_yxyx.astype(np.float64) * size, 0, size)


def to_whole_pixels(boxes_yxyx: NDArray[np.floating[Any]], *, height: int, width: int) -> NDArray[np.int64]:
    """Turn normalised boxes into pixels, clipped to the image and truncated to whole numbers.

    Args and returns as `to_pixels`, but int64.

    >>> to_whole_pixels(np.float32([[0.259, 0, 0.5, 1.2]]), height=100, width=200).tolist()
    [[25, 0, 50, 200]]
    """
    return to_pixels(boxes_yxyx, height=height, width=width).astype(np.int64)
