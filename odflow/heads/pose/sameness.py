"""When two graphs find the same joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.training.export.head_graph import Sameness

PIXELS, SCORE = 0.5, 1e-4
"""Greatest differences of what is the same."""


def _close(found: NDArray[Any], wanted: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which of the joints (K, 3) y x score are the same; size is height and width of the image."""
    apart = np.abs(found - wanted)
    same: NDArray[np.bool_] = ((apart[:, :2] * size) <= PIXELS).all(axis=1) & (apart[:, 2] <= SCORE)
    return same


SAME_JOINTS = Sameness(
    "joints",
    _close,
    f"places within {PIXELS:g} pixels, scores within {SCORE:g}",
    share=0.95,  # of two cells whose values differ by rounding alone, either may be the highest
)
