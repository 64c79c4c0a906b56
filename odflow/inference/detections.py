"""What a detector found in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image.

    Attributes:
        boxes_yxyx: (M, 4) float32, ymin xmin ymax xmax, normalised by height and width, not clipped.
        scores: (M,) float32, 0 to 1, falling.
        classes: (M,) int64, ids of the label map, from 1.
    """

    boxes_yxyx: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    @classmethod
    def by_score(cls, boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any]) -> Detections:
        """Order what a model gave by falling score, equal scores as they come, and set the types."""
        order = np.argsort(-scores, kind="stable")
        return cls(
            boxes[order].astype(np.float32),
            scores[order].astype(np.float32),
            classes[order].astype(np.int64),
        )

    def best(self, min_score: float, at_most: int | None = None) -> Detections:
        """Keep the detections that score above `min_score`, the highest `at_most` of them."""
        kept = (self.scores > min_score).nonzero()[0][:at_most]
        return Detections(self.boxes_yxyx[kept], self.scores[kept], self.classes[kept])
