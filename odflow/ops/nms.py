"""Non-maximum suppression: of boxes that overlap, keep the one with the highest score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.ops.boxes import Floats, iou


def suppress(
    boxes_xyxy: Floats,
    scores: Floats,
    max_iou: float,
    classes: NDArray[Any] | None = None,
) -> NDArray[np.bool_]:
    """Tell which boxes survive greedy suppression.

    From the highest score down (equal scores: the earlier box first) a box is kept unless
    it overlaps a kept one by more than `max_iou`.

    Args:
        boxes_xyxy: (N, 4), in any unit.
        scores: (N,).
        max_iou: the largest overlap (intersection over union) of two kept boxes.
        classes: (N,) of anything comparable: only boxes of one class suppress each other.
            All boxes do if left out.

    Returns:
        (N,), True for the boxes to keep.
    """
    keep = np.zeros(len(scores), bool)
    left = np.argsort(-scores, kind="stable")
    while len(left):
        best, left = left[0], left[1:]
        keep[best] = True
        rival = iou(boxes_xyxy[best : best + 1], boxes_xyxy[left])[0] > max_iou
        if classes is not None:
            rival &= classes[left] == classes[best]
        left = left[~rival]
    return keep
