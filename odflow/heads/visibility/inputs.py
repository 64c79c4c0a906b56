"""From a record's example to the network's input and what it shall answer, in `tf.data`."""

from __future__ import annotations

import tensorflow as tf

from odflow.heads.visibility.settings import Look, VisibilityModel
from odflow.training.detection.boxes import area
from odflow.training.examples.augmentation import Sample, augment
from odflow.training.examples.decoding import ExampleDecoder
from odflow.training.settings import Augmentation, Reader

Labels = dict[str, tf.Tensor]

BOXES = 100
"""Boxes of an image that its cells are taught by."""

HELD, FILLED = 0.3, 0.1
"""An object is seen in a window that holds this share of its box, or this share of which its box fills."""


class VisibilityInputs:
    """Decodes, augments and brings to the input's size, as a model's settings say."""

    def __init__(self, model: VisibilityModel) -> None:
        self._look = model.look
        self._decode = ExampleDecoder(Reader(class_ids=model.label_map.ids))
        self._ids = [label.id for label in model.classes]
        self._places, self._colours = _places(model.look), _colours(model.look)

    def __call__(self, serialized: tf.Tensor, draw: tf.Tensor, training: bool) -> tuple[tf.Tensor, Labels]:
        """Make an input and its labels.

        Args:
            serialized: scalar string, a tf.train.Example with boxes, as the stage records writes it.
            draw: (2,) int64, seed and position: the same gives the same.
            training: change it at random; otherwise it is the whole image.

        Returns:
            image: (height, width, 3) float32 RGB, 0 to 255.
            labels: `boxes` (BOXES, 4) float32, ymin xmin ymax xmax, shares of the image, of what can be
            seen in it: of an image that was cut out, what enough is left of; `classes`
            (BOXES, classes) float32, 1 for the class of the box; zeros beyond the last box; `visible`
            (classes,) float32, 1 where the image has a box of the class, and else 0.

        Raises:
            tf.errors.InvalidArgumentError: the example has no image, or one that does not decode.
        """
        sample = self._decode(serialized)
        if training:
            sample = augment(sample, self._places, draw)
        sample = sample._replace(image=fit(sample.image[tf.newaxis], self._look)[0])
        if training:  # colours last, when the image is small
            sample = augment(sample, self._colours, tf.random.experimental.stateless_fold_in(draw, 1))
        return sample.image, self._labels(sample)

    def _labels(self, sample: Sample) -> Labels:
        inside = tf.clip_by_value(sample.boxes_yxyx, 0.0, 1.0)
        held, whole = area(inside), area(sample.boxes_yxyx)
        rows = tf.where((held >= HELD * whole) | (held >= FILLED))[:, 0]
        classes = tf.cast(tf.gather(sample.classes, rows)[:, tf.newaxis] == self._ids, tf.float32)
        return {
            "boxes": _first(tf.gather(inside, rows)),
            "classes": _first(classes),
            "visible": tf.reduce_max(tf.pad(classes, [[0, 1], [0, 0]]), 0),
        }


def _first(values: tf.Tensor) -> tf.Tensor:
    """(BOXES, K) of (N, K): the first rows, or zeros after the last."""
    short = tf.maximum(BOXES - tf.shape(values)[0], 0)
    return tf.ensure_shape(tf.pad(values[:BOXES], [[0, short], [0, 0]]), [BOXES, values.shape[1]])


def fit(images: tf.Tensor, look: Look) -> tf.Tensor:
    """Stretch images to the input's size.

    Args:
        images: (N, H, W, 3), 0 to 255.
        look: what the input is.

    Returns:
        (N, height, width, 3) float32; where the images are larger, each pixel is a mean of theirs.
    """
    size = [look.height, look.width]
    return tf.ensure_shape(tf.image.resize(images, size, antialias=True), [None, *size, 3])


def _places(look: Look) -> list[Augmentation]:
    """Changes of what is where, for images of any size."""
    flip = Augmentation("random_horizontal_flip", {"probability": look.flip})
    crop = Augmentation(
        "random_crop_image",
        {
            "min_object_covered": 0.0,  # windows that show nothing are examples, too
            "min_aspect_ratio": 0.75,
            "max_aspect_ratio": 1.5,
            "min_area": look.crop,
            "max_area": 1.0,
            "overlap_thresh": 0.0,
            "clip_boxes": False,
            "random_coef": 0.0,
        },
    )
    return [*([flip] if look.flip else []), *([crop] if look.crop < 1 else [])]


def _colours(look: Look) -> list[Augmentation]:
    """Changes of colours, as strong as `colour` says."""
    if not look.colour:
        return []
    share = 0.5 * look.colour
    around_one = {"min_delta": 1 - share, "max_delta": 1 + share}
    return [
        Augmentation("random_adjust_hue", {"max_delta": share}),
        Augmentation("random_adjust_saturation", around_one),
        Augmentation("random_adjust_contrast", around_one),
        Augmentation("random_adjust_brightness", {"max_delta": share}),
    ]
