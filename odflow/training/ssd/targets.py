"""What the anchors of an image are to answer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from odflow.training.detection.boxes import encode_boxes, pairwise_iou
from odflow.training.detection.matching import match
from odflow.training.examples.augmentation import Sample
from odflow.training.examples.preprocessing import preprocess
from odflow.training.ssd.settings import SsdModel


class Targets:
    """Turns a sample into what the network is to answer."""

    def __init__(self, model: SsdModel) -> None:
        self._model = model
        size = np.array([model.resizer.height, model.resizer.width], np.float32)
        self._anchors = tf.constant(model.anchor_boxes() / np.tile(size, 2))
        self._size = tf.constant(size)

    def __call__(self, sample: Sample) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Preprocess the image and match its boxes with the anchors.

        Returns:
            inputs (H, W, 3) float32; labels, one for each anchor: `matches` int32 the box, -1
            background, -2 ignored; `classes` int32 the slot among the logits, -1 where no box
            is; `encodings` (anchors, 4) float32; `class_weights` and `box_weights` float32.
        """
        _check_classes(sample.classes, self._model.num_classes)
        inputs, shape = preprocess(
            sample.image[tf.newaxis], self._model.resizer, self._model.extractor.pixel_means
        )
        share = shape / self._size  # of the input, padding and all, that is picture
        boxes = sample.boxes_yxyx * tf.concat([share, share], 0)
        return inputs[0], self._labels(boxes, sample)

    def _labels(self, boxes: tf.Tensor, sample: Sample) -> dict[str, tf.Tensor]:
        matching = self._model.matching
        weights = tf.ones_like(boxes[:, 0]) if sample.weights is None else sample.weights
        matches = match(pairwise_iou(boxes, self._anchors), weights > 0.0, matching.matcher)
        positive = matches >= 0
        # Rows of anchors without a box are read from a row of zeros in front.
        rows = tf.maximum(matches + 1, 0)
        slots = tf.cast(sample.classes, tf.int32) - 1 + self._model.class_slots - self._model.num_classes
        encodings = encode_boxes(_take(boxes, rows), self._anchors, matching.box_scales)
        box_weights = _take(weights, rows)
        return {
            "matches": matches,
            "classes": tf.where(positive, _take(slots, rows), -1),
            "encodings": tf.where(positive[:, tf.newaxis], encodings, 0.0),
            "class_weights": tf.where(matches == -1, matching.negative_weight, box_weights),
            "box_weights": box_weights,
        }


def _take(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.pad(values, [[1, 0]] + [[0, 0]] * (len(values.shape) - 1)), rows)


def _check_classes(classes: tf.Tensor, count: int) -> None:
    """The records were checked before; this holds where they have changed since."""
    tf.debugging.assert_less_equal(
        classes,
        tf.constant(count, classes.dtype),
        f"a record has a class id above num_classes, {count}: other label map?",
    )
