"""When two graphs find the same masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.training.export.head_graph import Sameness


def _close(found: NDArray[Any], wanted: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of (height, width) masks are the same."""
    same: NDArray[np.bool_] = found == wanted
    return same


SAME_PIXELS = Sameness(
    "pixels",
    _close,
    "of the same class",
    share=0.999,  # of two classes whose logits differ by rounding alone, either may be the higher
)
