"""When two graphs give an image the same scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.training.export.head_graph import Sameness

TOLERANCE = 1e-4


def _close(found: NDArray[Any], wanted: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.abs(found - wanted) <= TOLERANCE


SAME_SCORES = Sameness("scores", _close, f"within {TOLERANCE:g}")
