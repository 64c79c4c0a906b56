"""Anchor boxes laid over a feature pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MultiscaleAnchors:
    """The Object Detection API's multiscale grid of anchors.

    Attributes:
        min_level: finest pyramid level; level l has stride 2**l pixels.
        max_level: coarsest pyramid level.
        anchor_scale: side of the base anchor over the stride of its level.
        aspect_ratios: width over height, above 0.
        scales_per_octave: sizes between one level and the next.
    """

    min_level: int = 3
    max_level: int = 7
    anchor_scale: float = 4.0
    aspect_ratios: Sequence[float] = (1.0, 2.0, 0.5)
    scales_per_octave: int = 2

    @property
    def per_location(self) -> int:
        """Anchors at each place of a feature map."""
        return len(self.aspect_ratios) * self.scales_per_octave

    def levels(self) -> range:
        """The pyramid levels, finest first."""
        return range(self.min_level, self.max_level + 1)

    def boxes(self, height: int, width: int) -> np.ndarray:
        """Lay the anchors over an image.

        Args:
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            (N, 4) float32, ymin xmin ymax xmax in pixels, not clipped: finest level
            first, then rows, columns, aspect ratios, sizes (the order of the API).
        """
        return np.concatenate([self._level(level, height, width) for level in self.levels()])

    def _level(self, level: int, height: int, width: int) -> np.ndarray:
        sides = self._sides(level)
        y = _centres(height, level)
        x = _centres(width, level)
        centres = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 1, 2)
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
        return boxes.reshape(-1, 4).astype(np.float32)

    def _sides(self, level: int) -> np.ndarray:
        """The (A, 2) heights and widths of the anchors of one place."""
        base = self.anchor_scale * 2**level
        return np.array(
            [
                (base * scale / math.sqrt(aspect), base * scale * math.sqrt(aspect))
                for aspect in self.aspect_ratios
                for scale in (2 ** (i / self.scales_per_octave) for i in range(self.scales_per_octave))
            ]
        )


def _centres(size: int, level: int) -> np.ndarray:
    """Where anchors stand along one side of an image.

    The API starts half a stride in where the stride divides the side, and at the
    very edge where it does not.
    """
    stride = 2**level
    first = stride / 2 if size % stride == 0 else 0.0
    return np.asarray(first + stride * np.arange(math.ceil(size / stride)))
