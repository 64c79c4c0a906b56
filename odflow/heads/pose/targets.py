"""What the network shall give: heatmaps of joints, drawn for all joints at once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from odflow.errors import ConfigError
from odflow.heads.pose.settings import Heatmaps
from odflow.ops.heatmaps import binomial, gaussian


class Targets:
    """Draws the maps of `odflow.ops.heatmaps.heatmaps`, to the same numbers.

    A patch is the outer product of two profiles, and so a map is that of a column and a row:
    each is picked out of all the places that a profile can have.
    """

    def __init__(self, settings: Heatmaps) -> None:
        """Prepare.

        Raises:
            ConfigError: see `patch`.
        """
        self._size = settings.height, settings.width
        kernel = patch(settings)
        middle = len(kernel) // 2
        self._rows = _places(kernel[:, middle], settings.height)
        self._columns = _places(kernel[middle] / kernel[middle, middle], settings.width)
        self._radius = middle
        self._clip = settings.kernel == "binomial"

    def __call__(self, joints_xyv: tf.Tensor) -> tf.Tensor:
        """Draw.

        Args:
            joints_xyv: (K, 3) float32: x and y in cells from the top left corner, v 0 where
                not labelled.

        Returns:
            (height, width, K) float32.
        """
        places, labelled = joints_xyv[:, :2], joints_xyv[:, 2:] > 0
        if self._clip:
            places = tf.clip_by_value(places, 0.0, tf.constant(self._size[::-1], tf.float32))
        outside = -2.0 * self._radius - 1.0  # no place of a profile
        cells = tf.floor(tf.where(labelled, places, outside))
        cells = tf.cast(tf.clip_by_value(cells, outside, 1e6), tf.int32) + self._radius
        rows = tf.matmul(self._rows, tf.one_hot(cells[:, 1], self._rows.shape[1], axis=0))
        columns = tf.matmul(self._columns, tf.one_hot(cells[:, 0], self._columns.shape[1], axis=0))
        return rows[:, tf.newaxis] * columns


def patch(settings: Heatmaps) -> NDArray[np.float32]:
    """The patch around a joint; its highest value stands in the joint's cell.

    Returns:
        (s, s) float32, s odd.

    Raises:
        ConfigError: an unknown kernel, an even support, a sigma that is not above 0.
    """
    if settings.kernel == "binomial":
        return binomial()
    if settings.kernel != "gaussian":
        raise ConfigError(f"heatmaps: kernel {settings.kernel!r} is unknown; wanted gaussian or binomial.")
    try:
        return gaussian(settings.sigma, settings.support, settings.peak)
    except ValueError as error:
        raise ConfigError(f"heatmaps: {error}") from error


def _places(profile: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """(cells, cells + 2 radius) float32: a column for each place of the profile that shows.

    Its middle is `radius` cells outside in the first column and the last.
    """
    radius = len(profile) // 2
    distances = np.arange(cells)[:, np.newaxis] - (np.arange(cells + 2 * radius) - radius)
    padded = np.pad(profile, 1)  # zero beyond the profile
    return padded[np.clip(distances + radius + 1, 0, len(padded) - 1)].astype(np.float32)
