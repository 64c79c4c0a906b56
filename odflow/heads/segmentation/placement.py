"""Where an image lies in the network's input: bigger, smaller, cut off, with room beside it."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from odflow.formats.masks import IGNORE
from odflow.heads.segmentation.settings import View

FILL = (124, 116, 104)
"""Red, green and blue beside an image: ImageNet's mean, which the network sees as 0."""


@dataclass(frozen=True)
class Placement:
    """A scale and a shift: a place in an image, times `scale`, plus `corner_yx`, is one in the input.

    Places are in pixels from the upper left corner, so that the first pixel's middle is at 0.5.

    Attributes:
        height: of the input.
        width: of the input.
        scale: float32 scalar, pixels of the input to one of the image.
        corner_yx: (2,) float32, the image's upper left corner in the input; it may lie outside.
    """

    height: int
    width: int
    scale: tf.Tensor
    corner_yx: tf.Tensor

    def images(self, images: tf.Tensor) -> tf.Tensor:
        """Take images in, each pixel of the input the mean of all that it covers.

        Args:
            images: (N, H, W, 3) uint8.

        Returns:
            (N, height, width, 3) float32, 0 to 255, `FILL` beside the images.
        """
        seen = _moved(images, [self.height, self.width], tf.fill([2], self.scale), self.corner_yx)
        rows, columns = self._sources(tf.shape(images)[1:3])
        inside = tf.logical_and((rows >= 0)[:, tf.newaxis], columns >= 0)
        return tf.where(inside[tf.newaxis, ..., tf.newaxis], seen, tf.constant(FILL, tf.float32))

    def mask(self, mask: tf.Tensor) -> tf.Tensor:
        """Take in a mask (H, W) uint8: (height, width) uint8, 255 beside it."""
        rows, columns = self._sources(tf.shape(mask))
        taken = tf.gather(tf.gather(mask, tf.maximum(rows, 0)), tf.maximum(columns, 0), axis=1)
        inside = tf.logical_and((rows >= 0)[:, tf.newaxis], columns >= 0)
        return tf.where(inside, taken, tf.constant(IGNORE, tf.uint8))

    def out(self, maps: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Bring maps that cover the input back to where the images were.

        Args:
            maps: (N, h, w, C) float32, of fewer cells than the input has pixels.
            size: (2,) int32, height and width of the images.

        Returns:
            (N, H, W, C) float32.
        """
        cell = tf.constant([self.height, self.width], tf.float32) / tf.cast(tf.shape(maps)[1:3], tf.float32)
        return _moved(maps, size, cell / self.scale, -self.corner_yx / self.scale)

    def _sources(self, size: tf.Tensor) -> list[tf.Tensor]:
        """Of the input's rows and columns those of the image that they show, int32; -1 beside it."""
        found = []
        for axis, pixels in enumerate((self.height, self.width)):
            middles = (tf.range(pixels, dtype=tf.float32) + 0.5 - self.corner_yx[axis]) / self.scale
            inside = tf.logical_and(middles >= 0, middles < tf.cast(size[axis], tf.float32))
            found.append(tf.where(inside, tf.cast(middles, tf.int32), -1))
        return found


def whole(size: tf.Tensor, view: View) -> Placement:
    """An image of a size (2,) int32, as large as fits, in the middle."""
    return _placed(size, view, tf.constant(1.0), tf.constant([0.5, 0.5]))


def drawn(size: tf.Tensor, view: View, draw: tf.Tensor) -> tuple[Placement, tf.Tensor]:
    """An image of a size (2,) int32, as training may see it.

    Args:
        size: height and width.
        view: what may be.
        draw: (2,) int64 seed.

    Returns:
        Where it lies, and whether the input is to be mirrored then, a bool.
    """
    draws = tf.random.stateless_uniform([4], draw)
    low, high = view.scale
    return _placed(size, view, low + (high - low) * draws[0], draws[1:3]), draws[3] < view.flip


def _placed(size: tf.Tensor, view: View, factor: tf.Tensor, shares_yx: tf.Tensor) -> Placement:
    """Sized by a factor, 1 for one that just fits; the room left, or what is cut, is shared out."""
    wanted, found = tf.constant([view.height, view.width], tf.float32), tf.cast(size, tf.float32)
    scale = tf.reduce_min(wanted / found) * factor
    return Placement(view.height, view.width, scale, (wanted - found * scale) * shares_yx)


def _moved(images: tf.Tensor, size: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Scaled and shifted (y x), bilinear; 0 beside them."""
    return tf.raw_ops.ScaleAndTranslate(
        images=images, size=size, scale=scale, translation=shift, kernel_type="triangle", antialias=True
    )
