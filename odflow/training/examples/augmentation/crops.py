"""Cut windows out of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from odflow.training.examples.augmentation.sample import (
    Sample,
    padded,
    rows_covered,
    rows_inside,
    seen_through,
)

Operation = Mapping[str, float | bool]
"""The parameters of one `crop_image`."""


def crop_image(
    sample: Sample,
    seed: tf.Tensor,
    *,
    min_object_covered: float,
    min_aspect_ratio: float,
    max_aspect_ratio: float,
    min_area: float,
    max_area: float,
    overlap_thresh: float,
    clip_boxes: bool,
    random_coef: float,
) -> Sample:
    """Cut out a random window, drawn until it suits or 100 times; else it is the whole image.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draws.
        min_object_covered: least share of some box in the window.
        min_aspect_ratio: least width over height of the window.
        max_aspect_ratio: highest width over height of the window.
        min_area: least share of the image in the window.
        max_area: highest share of the image in the window.
        overlap_thresh: objects of whose box the window holds a smaller share are dropped.
        clip_boxes: cut boxes at the window.
        random_coef: probability of no crop.
    """
    chance, place = tf.unstack(tf.random.experimental.stateless_split(seed, 2))

    def crop() -> Sample:
        begin, size, window = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(sample.image),
            tf.clip_by_value(sample.boxes_yxyx, 0.0, 1.0)[tf.newaxis],
            place,
            min_object_covered=min_object_covered,
            aspect_ratio_range=(min_aspect_ratio, max_aspect_ratio),
            area_range=(min_area, max_area),
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        return _cut(sample, begin[:2], size[:2], window[0, 0], overlap_thresh, clip=clip_boxes)

    if random_coef <= 0.0:
        return crop()
    return tf.cond(tf.random.stateless_uniform([], chance) > random_coef, crop, lambda: sample)


def ssd_crop(sample: Sample, seed: tf.Tensor, *, operations: Sequence[Operation]) -> Sample:
    """Do one of several crops.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draws.
        operations: parameters of `crop_image`, each set as likely as another.
    """
    choice, draw = tf.unstack(tf.random.experimental.stateless_split(seed, 2))

    def branch(operation: Operation) -> Callable[[], Sample]:
        return lambda: crop_image(sample, draw, **operation)  # type: ignore[arg-type]

    chosen = tf.random.stateless_uniform([], choice, maxval=len(operations), dtype=tf.int32)
    return tf.switch_case(chosen, [branch(operation) for operation in operations])


def ssd_crop_fixed_aspect_ratio(
    sample: Sample, seed: tf.Tensor, *, operations: Sequence[Operation], aspect_ratio: float
) -> Sample:
    """Do one of several crops, then cut to an aspect ratio.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draws.
        operations: as `ssd_crop` takes them.
        aspect_ratio: width over height of the result.
    """
    crop, place = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    return _crop_to_aspect_ratio(ssd_crop(sample, crop, operations=operations), place, aspect_ratio)


def square_crop_by_scale(
    sample: Sample, seed: tf.Tensor, *, max_border: int, scale_min: float, scale_max: float, num_scales: int
) -> Sample:
    """Cut out a square around a random point; what is beyond the image is black.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draws.
        max_border: the point keeps so many pixels from the border, or fewer in a small image.
        scale_min: least side over the image's longer side.
        scale_max: highest side over the image's longer side.
        num_scales: sides to choose from.
    """
    scale_seed, place = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    shape = tf.shape(sample.image)[:2]
    chosen = tf.random.stateless_uniform([], scale_seed, maxval=num_scales, dtype=tf.int32)
    scale = tf.linspace(float(scale_min), float(scale_max), num_scales)[chosen]
    side = tf.cast(scale * tf.cast(tf.reduce_max(shape), tf.float32), tf.int32)
    border = _border(max_border, shape)
    room = tf.cast(shape - 2 * border + 1, tf.float32)
    centre = border + tf.cast(tf.random.stateless_uniform([2], place) * room, tf.int32)
    return _cut_square(sample, centre - side // 2, side)


def _cut_square(sample: Sample, corner: tf.Tensor, side: tf.Tensor) -> Sample:
    shape = tf.shape(sample.image)[:2]
    begin = tf.maximum(corner, 0)
    # The API leaves the last row and column of the image out.
    size = tf.maximum(tf.minimum(corner + 2 * (side // 2), shape - 1) - begin, 0)
    before = begin - corner
    after = side - size - before
    cut = _slice(sample, begin, size)
    window = tf.cast(tf.concat([corner, corner + side], 0), tf.float32) / tf.cast(
        tf.tile(shape, [2]), tf.float32
    )
    framed = padded(cut, before, after)
    return seen_through(framed.take(rows_inside(sample.boxes_yxyx, window)), window, clip=True)


def _border(most: int, shape: tf.Tensor) -> tf.Tensor:
    """The distance (2,) that a crop's centre keeps: `most`, halved until it fits into half the image."""
    ratio = 2.0 * most / tf.cast(shape, tf.float32)
    halvings = tf.math.ceil(tf.math.log(ratio) / tf.math.log(2.0))
    return most // tf.cast(tf.clip_by_value(2.0**halvings, 1.0, float(most)), tf.int32)


def _crop_to_aspect_ratio(sample: Sample, seed: tf.Tensor, aspect_ratio: float) -> Sample:
    """Cut as little as possible, so that width over height is `aspect_ratio`."""
    shape = tf.shape(sample.image)[:2]
    height, width = tf.unstack(tf.cast(shape, tf.float32))
    size = tf.cast(
        tf.round(
            tf.stack([tf.minimum(height, width / aspect_ratio), tf.minimum(width, height * aspect_ratio)])
        ),
        tf.int32,
    )
    room = tf.cast(shape - size + 1, tf.float32)
    begin = tf.cast(tf.random.stateless_uniform([2], seed) * room, tf.int32)
    window = tf.cast(tf.concat([begin, begin + size], 0), tf.float32) / tf.cast(
        tf.tile(shape, [2]), tf.float32
    )
    return _cut(sample, begin, size, window, 0.3, clip=True)


def _cut(
    sample: Sample, begin: tf.Tensor, size: tf.Tensor, window: tf.Tensor, overlap: float, *, clip: bool
) -> Sample:
    rows = rows_covered(sample.boxes_yxyx, window, overlap)
    return seen_through(_slice(sample, begin, size).take(rows), window, clip=clip)


def _slice(sample: Sample, begin: tf.Tensor, size: tf.Tensor) -> Sample:
    """The image and the masks of a window, (2,) int32 first row and column and (2,) height and width."""
    image = tf.slice(sample.image, tf.pad(begin, [[0, 1]]), tf.concat([size, [3]], 0))
    masks = sample.masks
    if masks is not None:
        masks = tf.slice(masks, tf.pad(begin, [[1, 0]]), tf.concat([[-1], size], 0))
    return sample._replace(image=tf.ensure_shape(image, [None, None, 3]), masks=masks)
