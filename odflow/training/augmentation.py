"""Random changes of a training image with its boxes, as the Object Detection API makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from odflow.training.settings import Augmentation


class Sample(NamedTuple):
    """One training image.

    Attributes:
        image: (height, width, 3) float32, RGB 0 to 255.
        boxes_yxyx: (N, 4) float32, of the image's height and width.
        classes: (N,) int64 ids of the label map.
    """

    image: tf.Tensor
    boxes_yxyx: tf.Tensor
    classes: tf.Tensor


def augment(sample: Sample, augmentations: Sequence[Augmentation]) -> Sample:
    """Apply augmentations in their order.

    Args:
        sample: the image and its boxes.
        augmentations: what to do.

    Returns:
        The changed sample; boxes that left the image are gone.
    """
    for augmentation in augmentations:
        if augmentation.kind == "ssd_random_crop":
            sample = _one_of_crops(sample, augmentation.operations)
        else:
            sample = KINDS[augmentation.kind](sample, **augmentation.parameters)
    return sample


def _chance(probability: float) -> tf.Tensor:
    return tf.random.uniform([]) < probability


def _flip_horizontal(sample: Sample, probability: float) -> Sample:
    def flip() -> Sample:
        ymin, xmin, ymax, xmax = tf.unstack(sample.boxes_yxyx, axis=1)
        boxes = tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)
        return Sample(tf.reverse(sample.image, [1]), boxes, sample.classes)

    return tf.cond(_chance(probability), flip, lambda: sample)


def _flip_vertical(sample: Sample, probability: float) -> Sample:
    def flip() -> Sample:
        ymin, xmin, ymax, xmax = tf.unstack(sample.boxes_yxyx, axis=1)
        boxes = tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=1)
        return Sample(tf.reverse(sample.image, [0]), boxes, sample.classes)

    return tf.cond(_chance(probability), flip, lambda: sample)


def _crop(
    sample: Sample,
    min_object_covered: float,
    min_aspect_ratio: float,
    max_aspect_ratio: float,
    min_area: float,
    max_area: float,
    overlap_thresh: float,
    clip_boxes: bool,
    random_coef: float,
) -> Sample:
    """Cut out a random window; the parameters are those of the API's message."""

    def crop() -> Sample:
        begin, size, window = tf.image.sample_distorted_bounding_box(
            tf.shape(sample.image),
            tf.clip_by_value(sample.boxes_yxyx, 0.0, 1.0)[tf.newaxis],
            min_object_covered=min_object_covered,
            aspect_ratio_range=(min_aspect_ratio, max_aspect_ratio),
            area_range=(min_area, max_area),
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        image = tf.slice(sample.image, begin, size)
        return _in_window(sample._replace(image=image), window[0, 0], overlap_thresh, clip_boxes)

    return tf.cond(_chance(random_coef), lambda: sample, crop)


def _in_window(sample: Sample, window: tf.Tensor, overlap: float, clip: bool) -> Sample:
    """Say the boxes in the window's own height and width, without those that it lost."""
    top, left, bottom, right = tf.unstack(window)
    scale = tf.stack([bottom - top, right - left, bottom - top, right - left])
    boxes = (sample.boxes_yxyx - tf.stack([top, left, top, left])) / scale
    inside = tf.clip_by_value(boxes, 0.0, 1.0)
    share = tf.math.divide_no_nan(_area(inside), _area(boxes))
    kept = tf.where((share >= overlap) & (_area(inside) > 0.0))[:, 0]
    return Sample(sample.image, tf.gather(inside if clip else boxes, kept), tf.gather(sample.classes, kept))


def _area(boxes_yxyx: tf.Tensor) -> tf.Tensor:
    sides = tf.maximum(boxes_yxyx[:, 2:] - boxes_yxyx[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def _one_of_crops(sample: Sample, crops: Sequence[dict[str, float | bool]]) -> Sample:
    def branch(crop: dict[str, float | bool]) -> Callable[[], Sample]:
        return lambda: _crop(sample, **crop)  # type: ignore[arg-type]

    choice = tf.random.uniform([], maxval=len(crops), dtype=tf.int32)
    return tf.switch_case(choice, [branch(crop) for crop in crops])


def _scale_image(sample: Sample, min_scale_ratio: float, max_scale_ratio: float) -> Sample:
    ratio = tf.random.uniform([], min_scale_ratio, max_scale_ratio)
    size = tf.cast(tf.cast(tf.shape(sample.image)[:2], tf.float32) * ratio, tf.int32)
    return sample._replace(image=_resize(sample.image, tf.maximum(size, 1)))


def _resize(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.compat.v1.image.resize(image, size, method="bilinear", align_corners=False)


def _scale_crop_and_pad(sample: Sample, output_size: int, scale_min: float, scale_max: float) -> Sample:
    """Scale at random, then cut or pad to a square of `output_size` pixels."""
    scale = tf.random.uniform([], scale_min, scale_max)
    sides = tf.cast(tf.shape(sample.image)[:2], tf.float32)
    size = tf.cast(sides * scale * float(output_size) / tf.reduce_max(sides), tf.int32)
    size = tf.maximum(size, 1)
    room = tf.cast(tf.maximum(size - output_size, 0), tf.float32)
    begin = tf.cast(tf.random.uniform([2]) * room, tf.int32)
    cut = tf.minimum(size, output_size)
    image = tf.slice(_resize(sample.image, size), tf.concat([begin, [0]], 0), tf.concat([cut, [3]], 0))
    image = tf.image.pad_to_bounding_box(image, 0, 0, output_size, output_size)
    corner = tf.cast(begin, tf.float32) / tf.cast(size, tf.float32)
    extent = float(output_size) / tf.cast(size, tf.float32)
    window = tf.concat([corner, corner + extent], 0)
    return _in_window(sample._replace(image=image), window, 0.0, True)


def _colour(change: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[Sample], Sample]:
    """Change the colours of an image held in 0..1, and bring it back to 0..255."""
    return lambda sample: sample._replace(
        image=tf.clip_by_value(change(sample.image / 255.0), 0.0, 1.0) * 255.0
    )


def _brightness(sample: Sample, max_delta: float) -> Sample:
    return _colour(lambda image: tf.image.random_brightness(image, max_delta))(sample)


def _contrast(sample: Sample, min_delta: float, max_delta: float) -> Sample:
    return _colour(lambda image: tf.image.random_contrast(image, min_delta, max_delta))(sample)


def _hue(sample: Sample, max_delta: float) -> Sample:
    return _colour(lambda image: tf.image.random_hue(image, max_delta))(sample)


def _saturation(sample: Sample, min_delta: float, max_delta: float) -> Sample:
    return _colour(lambda image: tf.image.random_saturation(image, min_delta, max_delta))(sample)


KINDS: dict[str, Callable[..., Sample]] = {
    "random_horizontal_flip": _flip_horizontal,
    "random_vertical_flip": _flip_vertical,
    "random_adjust_brightness": _brightness,
    "random_adjust_contrast": _contrast,
    "random_adjust_hue": _hue,
    "random_adjust_saturation": _saturation,
    "random_image_scale": _scale_image,
    "random_scale_crop_and_pad_to_square": _scale_crop_and_pad,
    "random_crop_image": _crop,
}
"""The augmentations by their names in the API."""
