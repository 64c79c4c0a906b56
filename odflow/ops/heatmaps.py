"""Heatmaps: for each joint a map of cells, zero but for a patch around the joint.

A joint lies in the cell whose area holds it: x in cells belongs to cell floor(x), the middle
of which is floor(x) + 0.5. That is what an argmax has to be turned back with. (Rounding
instead would shift every joint by half a cell, and a mirrored map by a whole one.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def gaussian(sigma: float = 1.0, support: int = 7, peak: float = 12.0) -> NDArray[np.float32]:
    """The patch of a Gaussian.

    Args:
        sigma: standard deviation in cells, above 0.
        support: side of the patch in cells, odd.
        peak: the value in the middle.

    Returns:
        (support, support) float32.

    Raises:
        ValueError: an even support, or one or a sigma that is not above 0.

    >>> gaussian(support=3, peak=1.0).round(3).tolist()[1]
    [0.6069999933242798, 1.0, 0.6069999933242798]
    """
    if support < 1 or support % 2 == 0 or sigma <= 0:
        raise ValueError(f"support {support}, sigma {sigma}: wanted an odd support and a sigma above 0.")
    distances = np.arange(support) - support // 2
    profile = np.exp(-np.square(distances) / (2 * sigma**2))
    return (peak * np.outer(profile, profile)).astype(np.float32)


def binomial() -> NDArray[np.float32]:
    """The patch that FLIC's heatmaps are made with: [1 2 1] / 4, down and across.

    >>> binomial().tolist()
    [[0.0625, 0.125, 0.0625], [0.125, 0.25, 0.125], [0.0625, 0.125, 0.0625]]
    """
    profile = np.array([1, 2, 1], np.float32) / 4
    return np.outer(profile, profile).astype(np.float32)


def heatmaps(
    joints_xyv: Floats, size: tuple[int, int], patch: NDArray[np.float32], *, clip: bool = False
) -> NDArray[np.float32]:
    """Draw each joint into a map of its own: the reference of what training draws in TensorFlow.

    Args:
        joints_xyv: (K, 3): x and y in cells from the top left corner, v 0 where not labelled.
        size: height and width of the maps in cells.
        patch: (s, s), s odd; its middle comes into the joint's cell.
        clip: joints outside move to the border first, as in FLIC's own maps: to 0, or to
            `size`, whose cell is the first one outside.

    Returns:
        (height, width, K) float32. A patch that is partly outside is cut. All zero for a
        joint that is not labelled or whose patch is wholly outside.
    """
    radius = len(patch) // 2
    height, width = size
    # Room for every patch that is partly inside.
    framed = np.zeros((height + 4 * radius, width + 4 * radius, len(joints_xyv)), np.float32)
    for number, (x, y, v) in enumerate(joints_xyv):
        if clip:
            x, y = np.clip(x, 0, width), np.clip(y, 0, height)
        if not (
            v > 0 and -radius <= np.floor(x) < width + radius and -radius <= np.floor(y) < height + radius
        ):
            continue
        row, column = int(np.floor(y)) + radius, int(np.floor(x)) + radius
        framed[row : row + len(patch), column : column + len(patch), number] = patch
    inside = slice(2 * radius, 2 * radius + height), slice(2 * radius, 2 * radius + width)
    return framed[inside]
