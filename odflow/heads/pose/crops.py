"""The part of an image that the network sees, and its pixels.

Places are continuous: the top left corner of an image is 0 0 and the middle of its first
pixel 0.5 0.5. What lies outside the image is black.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from odflow.heads.pose.cutting import ROUNDING
from odflow.heads.pose.settings import Crop
from odflow.training.examples.decoding import decode_image

# Pixels around what is looked at: the bilinear kernel reads 1 beyond, and the chroma of the
# outermost columns of a cut-out JPEG is interpolated without their neighbours.
_FRAME = 4


class View(NamedTuple):
    """A rectangle of an image, turned or mirrored, that becomes the input.

    Attributes:
        middle: (2,) float32, x y in pixels of the image.
        pixel: (2,) float32, width and height of an input's pixel in pixels of the image; the
            width is below 0 where the view is mirrored.
        turn: (2, 2) float32, from the view's directions to the image's.
    """

    middle: tf.Tensor
    pixel: tf.Tensor
    turn: tf.Tensor

    def to_image(self, crop: Crop) -> tf.Tensor:
        """The (2, 3) float32 affine from places in the input, x y 1, to places in the image."""
        linear = self.turn * self.pixel
        corner = self.middle - tf.linalg.matvec(linear, [crop.width / 2, crop.height / 2])
        return tf.concat([linear, corner[:, tf.newaxis]], 1)

    def from_image(self, places_xy: tf.Tensor, crop: Crop) -> tf.Tensor:
        """Places (N, 2) in the image as places in the input."""
        return (places_xy - self.middle) @ self.turn / self.pixel + [crop.width / 2, crop.height / 2]


class Draws(NamedTuple):
    """How a view differs from the plain one: margin as of `Crop`, size as a factor, radians, mirrored."""

    margin: tf.Tensor | float
    factor: tf.Tensor | float = 1.0
    angle: tf.Tensor | float = 0.0
    mirrored: tf.Tensor | bool = False


def random_draws(crop: Crop, draw: tf.Tensor) -> Draws:
    """What training draws.

    Args:
        crop: from which ranges.
        draw: (2,) int64, the seed: the same gives the same.
    """
    most = math.radians(crop.rotation)
    shares = tf.unstack(tf.random.stateless_uniform([4], draw))
    return Draws(
        _between(shares[0], *crop.margin_range),
        _between(shares[1], 1 - crop.scale, 1 + crop.scale),
        _between(shares[2], -most, most),
        shares[3] < crop.flip,
    )


def view(crop: Crop, draws: Draws, joints_xyv: tf.Tensor, body_height: tf.Tensor, size: tf.Tensor) -> View:
    """The view of a person.

    Args:
        crop: what the input is.
        draws: the margin, and what else is drawn.
        joints_xyv: (K, 3) float32, pixels of the image.
        body_height: scalar float32, pixels of the image.
        size: (2,) float32, width and height of the image.

    Returns:
        The box around the labelled joints with its margin, grown to the input's proportions;
        the whole image where `crop` says so or no joint is labelled.
    """
    middle, sides = size / 2, size
    if not crop.whole:
        labelled = joints_xyv[:, 2:] > 0
        low = tf.reduce_min(tf.where(labelled, joints_xyv[:, :2], math.inf), 0)
        high = tf.reduce_max(tf.where(labelled, joints_xyv[:, :2], -math.inf), 0)
        found = tf.reduce_any(labelled)
        room = draws.margin * body_height
        low = tf.where(found, low - room, tf.zeros(2))
        high = tf.where(found, high + room, size)
        middle, sides = (low + high) / 2, tf.maximum(high - low, 1.0)
        shape = tf.constant([crop.width, crop.height], tf.float32)
        sides = shape * tf.reduce_max(sides / shape)
    pixel = sides / [crop.width, crop.height] * draws.factor
    pixel *= tf.stack([tf.where(draws.mirrored, -1.0, 1.0), 1.0])
    cosine, sine = tf.cos(draws.angle), tf.sin(draws.angle)
    return View(middle, pixel, tf.reshape(tf.stack([cosine, -sine, sine, cosine]), [2, 2]))


def look(encoded: tf.Tensor, size: tf.Tensor, to_image: tf.Tensor, crop: Crop, *, turned: bool) -> tf.Tensor:
    """The pixels of a view, bilinear.

    Where a pixel of the view covers several of the image, these are averaged first, by halving the image
    as often as leaves it finer than the view: so nothing is skipped, and a JPEG need not be decoded whole.

    Args:
        encoded: scalar string, the image; of a JPEG only the part that is seen is decoded.
        size: (2,) int32, width and height of the image.
        to_image: (2, 3) float32, see `View`.
        crop: what the input is.
        turned: whether the view may be turned against the image.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        tf.errors.InvalidArgumentError: the image does not decode, or is of another size.
    """
    halvings = _halvings(to_image)
    factor = tf.bitwise.left_shift(1, halvings)
    to_halved = to_image / tf.cast(factor, tf.float32)
    sides = tf.constant([crop.width, crop.height], tf.float32)
    corners = tf.constant([[0, 0], [1, 0], [0, 1], [1, 1]], tf.float32) * sides
    window = _window(_moved(corners, to_halved), -(-size // factor))
    pixels = _decode(encoded, window, halvings)[tf.newaxis]
    # Sampling counts from the middle of the first pixel.
    origin = tf.cast(window[:2], tf.float32) + 0.5
    to_window = to_halved - tf.stack([tf.zeros(2), tf.zeros(2), origin], 1)
    sampled = (_turned if turned else _upright)(pixels, to_window, crop)
    return tf.ensure_shape(tf.cast(sampled[0] + 0.5, tf.uint8), [crop.height, crop.width, 3])


def _upright(pixels: tf.Tensor, affine: tf.Tensor, crop: Crop) -> tf.Tensor:
    """(1, height, width, 3) float32 of a view that is not turned; twice as fast as `_turned`."""
    corners = tf.constant([[0.5, 0.5], [crop.width - 0.5, crop.height - 0.5]])
    last = tf.maximum(tf.cast(tf.shape(pixels)[1:3] - 1, tf.float32), 1.0)
    shares = _moved(corners, affine)[:, ::-1] / last
    return tf.image.crop_and_resize(pixels, tf.reshape(shares, [1, 4]), [0], [crop.height, crop.width])


def _turned(pixels: tf.Tensor, affine: tf.Tensor, crop: Crop) -> tf.Tensor:
    """(1, height, width, 3) float32 of any view."""
    corner = _moved(tf.constant([[0.5, 0.5]]), affine)
    rows = tf.concat([affine[:, :2], tf.transpose(corner)], 1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pixels, tf.float32),
        transforms=tf.concat([tf.reshape(rows, [1, 6]), tf.zeros([1, 2])], 1),
        output_shape=[crop.height, crop.width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _moved(places_xy: tf.Tensor, affine: tf.Tensor) -> tf.Tensor:
    return tf.matmul(places_xy, affine[:, :2], transpose_b=True) + affine[:, 2]


def _window(corners_xy: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The pixels between corners: (4,) int32, x y width height, of the image, and never none."""
    # Cut off as floats: a view far outside has corners beyond what int32 holds.
    most = tf.cast(size, tf.float32)
    least = tf.minimum(most, 2.0)  # in a single pixel, `_upright` could not tell in from out
    low = tf.clip_by_value(tf.floor(tf.reduce_min(corners_xy, 0)) - _FRAME, 0.0, most - least)
    high = tf.clip_by_value(tf.math.ceil(tf.reduce_max(corners_xy, 0)) + _FRAME, low + least, most)
    return tf.cast(tf.concat([low, high - low], 0), tf.int32)


def _halvings(to_image: tf.Tensor) -> tf.Tensor:
    """How often an image can be halved and stay finer than the view: int32, 0 to 3."""
    step = tf.reduce_min(tf.norm(to_image[:, :2], axis=0)) * ROUNDING
    return tf.reduce_sum(tf.cast(step >= [2.0, 4.0, 8.0], tf.int32))


def _decode(encoded: tf.Tensor, window: tf.Tensor, halvings: tf.Tensor) -> tf.Tensor:
    """(height, width, 3) uint8, the pixels of a window of the image that was halved some times."""
    x, y, width, height = tf.unstack(window)

    def jpeg(factor: int) -> tf.Tensor:
        return tf.image.decode_and_crop_jpeg(
            encoded,
            tf.stack([y, x, height, width]),
            channels=3,
            ratio=factor,
            dct_method="INTEGER_ACCURATE",
        )

    def other(factor: int) -> tf.Tensor:
        return tf.slice(_averaged(decode_image(encoded), factor), [y, x, 0], [height, width, 3])

    def any_factor(decode: Callable[[int], tf.Tensor]) -> tf.Tensor:
        return tf.switch_case(halvings, [partial(decode, 1 << times) for times in range(4)])

    pixels = tf.cond(tf.io.is_jpeg(encoded), partial(any_factor, jpeg), partial(any_factor, other))
    return tf.ensure_shape(pixels, [None, None, 3])


def _averaged(pixels: tf.Tensor, factor: int) -> tf.Tensor:
    """(H, W, 3) uint8, each pixel the mean of factor x factor, of fewer at the right and at the bottom."""
    if factor == 1:
        return pixels
    room = -tf.shape(pixels)[:2] % factor
    paddings = [[0, 0], [0, room[0]], [0, room[1]], [0, 0]]

    def means(values: tf.Tensor) -> tf.Tensor:
        return tf.nn.avg_pool2d(tf.pad(values[tf.newaxis], paddings), factor, factor, "VALID")[0]

    there = means(tf.ones_like(pixels[..., :1], tf.float32))
    return tf.cast(means(tf.cast(pixels, tf.float32)) / there + 0.5, tf.uint8)


def _between(share: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * share
