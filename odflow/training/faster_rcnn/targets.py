"""What the anchors of an image are to answer, and what proposals will be compared with."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from odflow.errors import ConfigError
from odflow.training.detection.boxes import encode_boxes, pairwise_iou
from odflow.training.detection.matching import BACKGROUND, match
from odflow.training.examples.augmentation import Sample
from odflow.training.examples.preprocessing import preprocess
from odflow.training.faster_rcnn.proposals import SCALES, sample
from odflow.training.faster_rcnn.settings import FasterRcnnModel
from odflow.training.layers.resnet_v1 import PIXEL_MEANS
from odflow.training.settings import Matcher, Normalization

MATCHER = Matcher(matched=0.7, unmatched=0.3, force_match=True)
"""Which anchors are objects, and which background."""

NORMALIZATION = Normalization(PIXEL_MEANS, (1.0, 1.0, 1.0), padding_too=True)
"""The API pads pictures first here, and subtracts the mean colour after."""

MASK_SIDE = 112
"""Cells of an annotated mask along each side of its box: a hundredth of the memory of whole images."""


class Targets:
    """Turns a sample into the network's input and what both stages are to answer."""

    def __init__(self, model: FasterRcnnModel, max_boxes: int) -> None:
        """Lay the anchors.

        Args:
            model: the detector.
            max_boxes: boxes of an image beyond this many are left out.
        """
        self._model, self._max_boxes = model, max_boxes
        self._rows = np.flatnonzero(model.anchors_in_training()).astype(np.int32)
        self._anchors = model.anchor_boxes()[self._rows]

    def __call__(self, sample: Sample) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Preprocess the image, match its boxes with the anchors and draw some of these.

        Returns:
            inputs (H, W, 3) float32. Labels: `window` (4,) float32, see `picture_window`;
            of the anchors that were drawn: `anchor_rows`
            (S,) int32 among all anchors, `anchor_drawn` (S,) 0 where too few were drawn,
            `anchor_classes` (S,) int32 1 for an object, `anchor_encodings` (S, 4),
            `anchor_weights` (S,) of the localization; of the boxes, padded with zeros:
            `boxes` (B, 4) in pixels, `classes` (B,) int32, `weights` (B,), and with masks
            `masks` (B, 112, 112) uint8, each filling its box.
        """
        tf.debugging.assert_less_equal(
            sample.classes,
            tf.constant(self._model.num_classes, sample.classes.dtype),
            f"a record has a class id above num_classes, {self._model.num_classes}: other label map?",
        )
        inputs, shape = resize(sample.image[tf.newaxis], self._model)
        boxes = sample.boxes_yxyx * tf.concat([shape, shape], 0)
        weights = _weights(sample)
        labels = {
            "window": picture_window(shape),
            **self._anchor_labels(boxes, weights),
            "boxes": self._padded(boxes),
            "classes": self._padded(tf.cast(sample.classes, tf.int32)),
            "weights": self._padded(weights),
        }
        if self._model.masks:
            labels["masks"] = self._padded(_masks(sample))
        return inputs[0], labels

    def _anchor_labels(self, boxes: tf.Tensor, weights: tf.Tensor) -> dict[str, tf.Tensor]:
        first = self._model.first
        matches = match(pairwise_iou(boxes, self._anchors), weights > 0.0, MATCHER)
        positive = matches >= 0
        # What stands for a box of weight 0 is neither object nor background.
        weight = tf.gather(tf.concat([weights, [1.0]], 0), tf.where(positive, matches, tf.size(weights)))
        rows, drawn = sample(
            positive & (weight > 0.0), matches == BACKGROUND, first.batch_size, first.positive_fraction
        )
        picked = tf.gather(positive, rows)
        wanted = tf.gather(tf.pad(boxes, [[0, 1], [0, 0]]), tf.maximum(tf.gather(matches, rows), 0))
        encodings = encode_boxes(wanted, tf.gather(self._anchors, rows), SCALES)
        return {
            "anchor_rows": tf.gather(self._rows, rows),
            "anchor_drawn": tf.cast(drawn, tf.float32),
            "anchor_classes": tf.cast(picked, tf.int32),
            "anchor_encodings": tf.where(picked[:, tf.newaxis], encodings, 0.0),
            "anchor_weights": tf.where(picked, tf.gather(weight, rows), 0.0),
        }

    def _padded(self, values: tf.Tensor) -> tf.Tensor:
        """The first `max_boxes` rows, and zeros after them."""
        values = values[: self._max_boxes]
        room = [[0, self._max_boxes - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
        return tf.ensure_shape(tf.pad(values, room), [self._max_boxes, *values.shape[1:]])


def resize(images: tf.Tensor, model: FasterRcnnModel, *, padded: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn images of one size into the network's input; what fills up to `pad_to_multiple` is zero.

    Args:
        images: (N, height, width, 3), RGB 0 to 255.
        model: whose input.
        padded: False, of a model without a pyramid, leaves images as large as the resizer makes them.

    Returns:
        inputs (N, H, W, 3) float32; shape (2,) float32: height and width in pixels that the
        picture takes of that.
    """
    resized, shape = preprocess(images, model.resizer, NORMALIZATION, padded=padded)
    if not padded:
        return resized, shape
    height, width = model.input_size
    inputs = tf.image.pad_to_bounding_box(resized, 0, 0, height, width)
    return tf.ensure_shape(inputs, [None, height, width, 3]), shape


def picture_window(picture: tf.Tensor) -> tf.Tensor:
    """Where the picture lies in the padded input: (4,) ymin xmin ymax xmax in pixels, of its (2,) size."""
    return tf.ensure_shape(tf.concat([[0.0, 0.0], picture], 0), [4])


def _weights(sample: Sample) -> tf.Tensor:
    return tf.ones_like(sample.boxes_yxyx[:, 0]) if sample.weights is None else sample.weights


def _masks(sample: Sample) -> tf.Tensor:
    """Cut each mask (B, height, width) down to its box: (B, 112, 112) uint8."""
    masks = sample.masks
    if masks is None:
        raise ConfigError(
            "train_input_reader.load_instance_masks is false, and number_of_stages: 3 learns masks; "
            "wanted: load_instance_masks: true."
        )
    cut = tf.image.crop_and_resize(
        tf.cast(masks[..., tf.newaxis], tf.float32),
        sample.boxes_yxyx,
        tf.range(tf.shape(masks)[0]),
        [MASK_SIDE, MASK_SIDE],
    )
    return tf.cast(tf.round(cut[..., 0]), tf.uint8)
