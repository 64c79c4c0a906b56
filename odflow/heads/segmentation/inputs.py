"""From a record's example to the network's input and the mask that it shall find, in `tf.data`."""

from __future__ import annotations

import tensorflow as tf

from odflow.heads.segmentation.placement import drawn
from odflow.heads.segmentation.settings import View
from odflow.training.examples.decoding import decode_image

MASK = "mask"

_FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/segmentation/class/encoded": tf.io.FixedLenFeature([], tf.string),
}


def decode(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Read an example.

    Args:
        serialized: scalar string, a tf.train.Example as segmentation.records writes it.

    Returns:
        image (H, W, 3) uint8 RGB, and mask (H, W) uint8, class numbers, 255 where ignored.

    Raises:
        tf.errors.InvalidArgumentError: it lacks a feature, or does not decode; or image and mask
            are of different sizes.
    """
    parsed = tf.io.parse_single_example(serialized, _FEATURES)
    image = decode_image(parsed["image/encoded"])
    mask = tf.io.decode_png(parsed["image/segmentation/class/encoded"], channels=1)[..., 0]
    same = tf.reduce_all(tf.equal(tf.shape(image)[:2], tf.shape(mask)))
    sizes = ["image and mask have different sizes", tf.shape(image), tf.shape(mask)]
    with tf.control_dependencies([tf.debugging.Assert(same, sizes)]):
        return image, tf.identity(mask)


def training_example(
    serialized: tf.Tensor, view: View, draw: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Read an example and draw how it is seen.

    Args:
        serialized: see `decode`.
        view: what may be drawn.
        draw: (2,) int64, seed and position: the same gives the same.

    Returns:
        image: (height, width, 3) uint8 RGB.
        labels: `mask` (height, width) uint8, class numbers, 255 where nothing counts.

    Raises:
        tf.errors.InvalidArgumentError: see `decode`.
    """
    image, mask = decode(serialized)
    place, mirrored = drawn(tf.shape(mask), view, draw)
    seen = tf.cast(place.images(image[tf.newaxis])[0] + 0.5, tf.uint8)
    image, mask = tf.cond(
        mirrored,
        lambda: (seen[:, ::-1], place.mask(mask)[:, ::-1]),
        lambda: (seen, place.mask(mask)),
    )
    shape = [view.height, view.width]
    return tf.ensure_shape(image, [*shape, 3]), {MASK: tf.ensure_shape(mask, shape)}
