"""From the maps of a CenterNet to detections."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from odflow.training.center_net.losses import at_cells
from odflow.training.center_net.network import CENTER, OFFSET, SCALE, Predictions
from odflow.training.center_net.settings import STRIDE, Centers

TIE = 1e-6
"""A cell that is lower than its neighbourhood's highest by less is a peak too."""


class Peaks(NamedTuple):
    """The highest peaks of a heatmap, best first.

    Attributes:
        scores: (N, M) float32.
        cells: (N, M) int32, numbered row by row.
        channels: (N, M) int32.
    """

    scores: tf.Tensor
    cells: tf.Tensor
    channels: tf.Tensor


def detections(predictions: Predictions, centers: Centers, shape: tf.Tensor) -> dict[str, tf.Tensor]:
    """Find objects.

    Args:
        predictions: of the network; the last output counts.
        centers: how peaks are found.
        shape: (2,) float32, height and width in pixels that the picture takes of the network's input.

    Returns:
        detection_boxes (N, M, 4) float32, ymin xmin ymax xmax of the picture, clipped
        to it; detection_scores (N, M); detection_classes (N, M) float32, ids from 1;
        num_detections (N,) float32.
    """
    scores = tf.sigmoid(predictions[CENTER][-1])
    peaks = find_peaks(scores, centers.max_detections, centers.peak_window)
    boxes = _boxes(predictions, peaks.cells) * STRIDE / tf.tile(shape, [2])
    return {
        "detection_boxes": tf.clip_by_value(boxes, 0.0, 1.0),
        "detection_scores": peaks.scores,
        "detection_classes": tf.cast(peaks.channels + 1, tf.float32),
        "num_detections": tf.reduce_sum(tf.cast(peaks.scores > 0.0, tf.float32), 1),
    }


def find_peaks(scores: tf.Tensor, count: int, window: int) -> Peaks:
    """Find the highest cells that no neighbour in the same channel is above.

    Args:
        scores: (N, h, w, channels) float32.
        count: of peaks, or as many as there are cells and channels.
        window: side of the neighbourhood in cells; 1 takes every cell.

    Returns:
        The peaks of all channels together.
    """
    highest = tf.nn.max_pool2d(scores, window, 1, "SAME") if window > 1 else scores
    peaks = tf.where(tf.abs(scores - highest) < TIE, scores, 0.0)
    flat = tf.reshape(peaks, [tf.shape(peaks)[0], -1])
    found, places = tf.math.top_k(flat, min(count, flat.shape[1] or count))
    channels = scores.shape[-1]
    return Peaks(found, places // channels, places % channels)


def _boxes(predictions: Predictions, cells: tf.Tensor) -> tf.Tensor:
    """(N, M, 4), ymin xmin ymax xmax in cells."""
    scale, offset = predictions[SCALE][-1], predictions[OFFSET][-1]
    width = scale.shape[2]
    corner = tf.cast(tf.stack([cells // width, cells % width], -1), tf.float32)
    middle = corner + at_cells(offset, cells)
    half = tf.maximum(at_cells(scale, cells), 0.0) / 2.0
    return tf.concat([middle - half, middle + half], -1)
