"""What the maps of a CenterNet are to answer."""

from __future__ import annotations

import tensorflow as tf
from official.projects.centernet.ops.target_assigner import compute_std_dev_from_box_size

from odflow.training.center_net.settings import STRIDE, CenterNetModel
from odflow.training.examples.augmentation import Sample
from odflow.training.examples.preprocessing import preprocess


class Targets:
    """Turns a sample into what the network is to answer."""

    def __init__(self, model: CenterNetModel, max_boxes: int) -> None:
        """Prepare.

        Args:
            model: the detector.
            max_boxes: objects of an image, at most; labels have room for so many.
        """
        self._model, self._max_boxes = model, max_boxes

    def __call__(self, sample: Sample) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Preprocess the image and draw its objects.

        Returns:
            inputs (H, W, 3) float32; labels of float32 unless said: `centers` (h, w,
            classes) the heatmap, 1 at an object; `valid` (h, w, 1) 1 where there is
            picture; and for each of `max_boxes` objects, zeros after the last one,
            `cells` () int32 the cell of its centre, row by row, `sizes` (2,) height and
            width in cells, `offsets` (2,) y x of its centre within the cell, `weights` ().
        """
        inputs, shape = preprocess(
            sample.image[tf.newaxis], self._model.resizer, self._model.extractor.normalization
        )
        boxes = sample.boxes_yxyx * tf.tile(shape / STRIDE, [2])
        weights = tf.ones_like(boxes[:, 0]) if sample.weights is None else sample.weights
        return inputs[0], {
            "centers": self._heatmap(boxes, sample.classes, weights),
            "valid": self._valid(shape),
            **{name: self._pad(value) for name, value in self._boxes(boxes, weights).items()},
        }

    def _heatmap(self, boxes: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """(h, w, classes): around each centre a bell that is as wide as its box lets it be."""
        sides = boxes[:, 2:] - boxes[:, :2]
        deviations = compute_std_dev_from_box_size(sides[:, 0], sides[:, 1], self._model.centers.min_overlap)
        bells = gaussians(_middle(boxes), deviations, self._model.output_size) * weights[:, None, None]
        empty = tf.zeros([self._model.num_classes, *self._model.output_size])
        rows = tf.cast(classes - 1, tf.int32)[:, tf.newaxis]
        return tf.transpose(tf.tensor_scatter_nd_max(empty, rows, bells), [1, 2, 0])

    def _valid(self, shape: tf.Tensor) -> tf.Tensor:
        """(h, w, 1): whether a cell has any picture."""
        cells = tf.cast(tf.math.ceil(shape / STRIDE), tf.int32)
        height, width = self._model.output_size
        rows, columns = tf.sequence_mask(cells[0], height), tf.sequence_mask(cells[1], width)
        return tf.cast(rows[:, tf.newaxis] & columns, tf.float32)[..., tf.newaxis]

    def _boxes(self, boxes: tf.Tensor, weights: tf.Tensor) -> dict[str, tf.Tensor]:
        middle = _middle(boxes)
        corner = tf.math.floor(middle)
        size = tf.constant(self._model.output_size, tf.int32)
        cell = tf.clip_by_value(tf.cast(corner, tf.int32), 0, size - 1)
        return {
            "cells": cell[:, 0] * size[1] + cell[:, 1],
            "sizes": boxes[:, 2:] - boxes[:, :2],
            "offsets": middle - corner,
            "weights": weights,
        }

    def _pad(self, values: tf.Tensor) -> tf.Tensor:
        """Bring a number of objects to `max_boxes`; those beyond are left out."""
        kept = values[: self._max_boxes]
        rest = [[0, 0]] * (len(values.shape) - 1)
        padded = tf.pad(kept, [[0, self._max_boxes - tf.shape(kept)[0]], *rest])
        return tf.ensure_shape(padded, [self._max_boxes, *values.shape[1:]])


def gaussians(points: tf.Tensor, deviations: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Draw a bell around each point, 1 in the cell that the point is in.

    Args:
        points: (N, 2) float32, y x in cells.
        deviations: (N,) float32, in cells.
        size: height and width of a map in cells.

    Returns:
        (N, height, width) float32.
    """
    corner = tf.math.floor(points)
    y = tf.range(size[0], dtype=tf.float32) - corner[:, :1]
    x = tf.range(size[1], dtype=tf.float32) - corner[:, 1:]
    squares = y[:, :, tf.newaxis] ** 2 + x[:, tf.newaxis] ** 2
    return tf.exp(-squares / (2.0 * deviations[:, tf.newaxis, tf.newaxis] ** 2))


def _middle(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, :2] + boxes[:, 2:]) / 2.0
