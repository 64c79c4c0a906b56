"""Anchor boxes laid over feature maps, as the Object Detection API lays them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Shape = tuple[int, int]
"""Height and width of a feature map, in cells."""

Pair = tuple[float, float]
"""One number along the height, one along the width."""


class Anchors(Protocol):
    """A kind of anchors, without the image that they will lie on."""

    @property
    def per_level(self) -> tuple[int, ...]:
        """How many anchors each cell of each feature map has, finest map first."""

    def boxes(self, height: int, width: int, shapes: Sequence[Shape]) -> np.ndarray:
        """Lay the anchors over an image.

        Args:
            height: height of the network's input in pixels.
            width: width of the network's input in pixels.
            shapes: the feature maps' heights and widths, finest first.

        Returns:
            (N, 4) float32, ymin xmin ymax xmax in pixels, not clipped: map by map,
            then rows, columns, the anchors of a cell (the order of the API).
        """


@dataclass(frozen=True)
class MultiscaleAnchors:
    """The multiscale grid of RetinaNet: the same shapes on every level, twice as large on the next.

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

    @property
    def per_level(self) -> tuple[int, ...]:
        """See `Anchors`."""
        return (self.per_location,) * len(self.levels())

    def levels(self) -> range:
        """The pyramid levels, finest first."""
        return range(self.min_level, self.max_level + 1)

    def boxes(self, height: int, width: int, shapes: Sequence[Shape] | None = None) -> np.ndarray:
        """See `Anchors`; without shapes each map is as large as its stride makes it."""
        image = (height, width)
        maps = shapes or [_cells(image, 2**level) for level in self.levels()]
        tiled = (self._level(level, shape, image) for level, shape in zip(self.levels(), maps, strict=True))
        return np.concatenate(list(tiled))

    def _level(self, level: int, shape: Shape, image: Shape) -> np.ndarray:
        stride = 2.0**level
        # The API starts half a stride in where the stride divides the side, and at
        # the very edge where it does not.
        first = [stride / 2 if size % 2**level == 0 else 0.0 for size in image]
        scales = [2 ** (i / self.scales_per_octave) for i in range(self.scales_per_octave)]
        sides = _sides([(scale, aspect) for aspect in self.aspect_ratios for scale in scales])
        return _tile(shape, sides * self.anchor_scale * stride, (stride, stride), (first[0], first[1]))


@dataclass(frozen=True)
class SsdAnchors:
    """The anchors of the SSD paper: one scale a feature map, and one between it and the next.

    Attributes:
        scales: side of each map's anchors as a share of the image's shorter side, finest map first.
        aspect_ratios: width over height, above 0.
        interpolated_aspect_ratio: of the extra anchor whose scale lies between this map's and
            the next's; 0 leaves it out.
        reduce_lowest: only three anchors on the finest map: 0.1 at ratio 1, its scale at 2 and 1/2.
        base_size: height and width of the anchor of scale 1, as shares of the image's shorter side.
        strides: pixels from one cell to the next, one pair a map; the maps share the image out if empty.
        offsets: centre of the first cell in pixels, one pair a map; half a stride if empty.
    """

    scales: Sequence[float]
    aspect_ratios: Sequence[float] = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)
    interpolated_aspect_ratio: float = 1.0
    reduce_lowest: bool = True
    base_size: Pair = (1.0, 1.0)
    strides: Sequence[Pair] = ()
    offsets: Sequence[Pair] = ()

    @property
    def per_level(self) -> tuple[int, ...]:
        """See `Anchors`."""
        return tuple(len(self._kinds(level)) for level in range(len(self.scales)))

    def boxes(self, height: int, width: int, shapes: Sequence[Shape]) -> np.ndarray:
        """See `Anchors`."""
        base = np.array(self.base_size) * min(height, width)
        tiled = []
        for level, shape in zip(range(len(self.scales)), shapes, strict=True):
            stride = self.strides[level] if self.strides else (height / shape[0], width / shape[1])
            offset = self.offsets[level] if self.offsets else (stride[0] / 2, stride[1] / 2)
            tiled.append(_tile(shape, _sides(self._kinds(level)) * base, stride, offset))
        return np.concatenate(tiled)

    def _kinds(self, level: int) -> list[Pair]:
        """Scale and aspect ratio of each anchor of a cell."""
        scale, following = [*self.scales, 1.0][level : level + 2]
        if level == 0 and self.reduce_lowest:
            return [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        kinds = [(scale, aspect) for aspect in self.aspect_ratios]
        if self.interpolated_aspect_ratio > 0:
            kinds.append((math.sqrt(scale * following), self.interpolated_aspect_ratio))
        return kinds


def even_scales(layers: int, least: float, most: float) -> tuple[float, ...]:
    """The scales of `SsdAnchors` where a config gives the first and the last.

    >>> even_scales(4, 0.25, 1.0)
    (0.25, 0.5, 0.75, 1.0)
    """
    return tuple(least + (most - least) * i / max(layers - 1, 1) for i in range(layers))


@dataclass(frozen=True)
class GridAnchors:
    """The anchors of Faster R-CNN: every scale and aspect ratio on one feature map.

    Attributes:
        scales: factors on the base anchor's sides.
        aspect_ratios: width over height, above 0.
        base_size: height and width of the anchor of scale 1 and ratio 1, in pixels.
        stride: pixels from one cell to the next.
        offset: centre of the first cell in pixels.
    """

    scales: Sequence[float] = (0.5, 1.0, 2.0)
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0)
    base_size: Pair = (256.0, 256.0)
    stride: Pair = (16.0, 16.0)
    offset: Pair = (0.0, 0.0)

    @property
    def per_level(self) -> tuple[int, ...]:
        """See `Anchors`."""
        return (len(self.scales) * len(self.aspect_ratios),)

    def boxes(self, height: int, width: int, shapes: Sequence[Shape]) -> np.ndarray:
        """See `Anchors`; there is one feature map."""
        (shape,) = shapes
        kinds = [(scale, aspect) for aspect in self.aspect_ratios for scale in self.scales]
        return _tile(shape, _sides(kinds) * np.array(self.base_size), self.stride, self.offset)


def _cells(image: Shape, stride: int) -> Shape:
    return math.ceil(image[0] / stride), math.ceil(image[1] / stride)


def _sides(kinds: Sequence[Pair]) -> np.ndarray:
    """The (A, 2) heights and widths of anchors of some scales and aspect ratios, over the base anchor's."""
    return np.array([(scale / math.sqrt(aspect), scale * math.sqrt(aspect)) for scale, aspect in kinds])


def _tile(shape: Shape, sides: np.ndarray, stride: Pair, offset: Pair) -> np.ndarray:
    """Repeat the anchors of one cell over a feature map: (cells * A, 4) float32."""
    y, x = (first + step * np.arange(count) for first, step, count in zip(offset, stride, shape, strict=True))
    centres = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
    return np.asarray(boxes.reshape(-1, 4), np.float32)
