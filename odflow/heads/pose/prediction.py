"""From images to what the network takes, and from its maps to joints."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from odflow.heads.pose.settings import Crop, Heatmaps
from odflow.heads.pose.targets import patch


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the network's input.

    Attributes:
        corner_yx: (2,) float32, its upper left corner, as shares of the input's height and width.
        size_yx: (2,) float32, its height and width, likewise.
    """

    corner_yx: tf.Tensor
    size_yx: tf.Tensor

    def to_image(self, joints: tf.Tensor) -> tf.Tensor:
        """(N, K, 3) y x score, shares of the input, to the same as shares of the image."""
        places = (joints[..., :2] - self.corner_yx) / self.size_yx
        return tf.concat([places, joints[..., 2:]], axis=-1)


def fit(images: tf.Tensor, crop: Crop) -> tuple[tf.Tensor, Placement]:
    """Bring images of any size to the network's input, as training crops are.

    An image keeps its proportions and lies in the middle, on black; where the network was
    trained on whole images, it is stretched. One of the input's size stays as it is.

    Args:
        images: (N, H, W, 3) uint8, all of one size.
        crop: the network's input.

    Returns:
        (N, height, width, 3) float32, 0 to 255, and where the image lies in it.
    """
    wanted = tf.constant([crop.height, crop.width])
    found = tf.shape(images)[1:3]
    size = wanted
    if not crop.whole:
        scale = tf.reduce_min(tf.cast(wanted, tf.float32) / tf.cast(found, tf.float32))
        size = tf.maximum(tf.cast(tf.round(tf.cast(found, tf.float32) * scale), tf.int32), 1)
    before = (wanted - size) // 2
    sides = tf.stack([before, wanted - size - before], axis=1)
    room = tf.concat([[[0, 0]], sides, [[0, 0]]], axis=0)
    inputs = tf.pad(tf.image.resize(images, size), room)
    inputs = tf.ensure_shape(inputs, [None, crop.height, crop.width, 3])
    shares = [tf.cast(pixels, tf.float32) / tf.cast(wanted, tf.float32) for pixels in (before, size)]
    return inputs, Placement(*shares)


def find_joints(maps: tf.Tensor, heatmaps: Heatmaps) -> tf.Tensor:
    """Find each joint in the middle of its map's highest cell, a quarter cell to the higher neighbour.

    The target of a joint is highest in the cell whose area holds it, see `odflow.ops.heatmaps`.

    Args:
        maps: (N, h, w, K) float32.
        heatmaps: what the maps were trained to be.

    Returns:
        (N, K, 3) float32: y and x as shares of the input's height and width, and the map's
        highest value as a share of the target's peak, cut off at 0 and 1.
    """
    height, width = heatmaps.height, heatmaps.width
    # What lies beyond a side is its mirror image, so that neither neighbour there is the higher.
    padded = tf.pad(tf.transpose(maps, [0, 3, 1, 2]), [[0, 0], [0, 0], [1, 1], [1, 1]], "REFLECT")
    cells = tf.reshape(padded, [-1, maps.shape[3], (height + 2) * (width + 2)])
    inside = tf.reshape(padded[:, :, 1:-1, 1:-1], [-1, maps.shape[3], height * width])
    highest = tf.argmax(inside, axis=2, output_type=tf.int32)
    y, x = highest // width, highest % width
    place = (y + 1) * (width + 2) + x + 1
    steps = tf.constant([width + 2, -(width + 2), 1, -1])
    down, up, right, left = tf.unstack(tf.gather(cells, place[..., tf.newaxis] + steps, batch_dims=2), axis=2)
    fine_y = tf.cast(y, tf.float32) + 0.5 + 0.25 * tf.sign(down - up)
    fine_x = tf.cast(x, tf.float32) + 0.5 + 0.25 * tf.sign(right - left)
    score = tf.clip_by_value(tf.reduce_max(inside, axis=2) / patch(heatmaps).max(), 0.0, 1.0)
    return tf.stack([fine_y / height, fine_x / width, score], axis=2)
