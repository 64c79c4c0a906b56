"""Make images smaller or larger, or give them a margin."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from odflow.training.examples.augmentation.sample import Sample, padded, rows_inside, seen_through


def scale_image(sample: Sample, seed: tf.Tensor, min_scale_ratio: float, max_scale_ratio: float) -> Sample:
    """Scale height and width by one random factor; boxes and keypoints are shares and stay."""
    ratio = tf.random.stateless_uniform([], seed, min_scale_ratio, max_scale_ratio)
    size = tf.cast(tf.cast(tf.shape(sample.image)[:2], tf.float32) * ratio, tf.int32)
    return _resized(sample, tf.maximum(size, 1), align_corners=True)


def scale_crop_and_pad_to_square(
    sample: Sample, seed: tf.Tensor, output_size: int, scale_min: float, scale_max: float
) -> Sample:
    """Scale at random, then cut at a random place, or pad below and right, to a square.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draws.
        output_size: side of the square in pixels.
        scale_min: least longer side of the image, over `output_size`.
        scale_max: highest longer side of the image, over `output_size`.
    """
    scale_seed, place = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    scale = tf.random.stateless_uniform([], scale_seed, scale_min, scale_max)
    sides = tf.cast(tf.shape(sample.image)[:2], tf.float32)
    size = tf.cast(scale * float(output_size) * (sides / tf.reduce_max(sides)), tf.int32)
    size = tf.maximum(size, 1)
    room = tf.cast(tf.maximum(size - output_size, 0), tf.float32)
    begin = tf.cast(tf.random.stateless_uniform([2], place) * room, tf.int32)
    window = tf.cast(tf.concat([begin, begin + output_size], 0), tf.float32)
    window /= tf.cast(tf.tile(size, [2]), tf.float32)
    kept = _resized(sample.take(rows_inside(sample.boxes_yxyx, window)), size)
    end = begin + output_size
    cut = kept._replace(
        image=kept.image[begin[0] : end[0], begin[1] : end[1]],
        masks=None if kept.masks is None else kept.masks[:, begin[0] : end[0], begin[1] : end[1]],
    )
    return seen_through(
        padded(cut, tf.zeros(2, tf.int32), tf.maximum(output_size - size, 0)), window, clip=True
    )


def pad_image(
    sample: Sample,
    seed: tf.Tensor,
    max_height_padding: int,
    max_width_padding: int,
    pad_color: Sequence[float] = (),
) -> Sample:
    """Put the image somewhere in a larger one.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draws.
        max_height_padding: the result has fewer rows than this more.
        max_width_padding: the result has fewer columns than this more.
        pad_color: red, green and blue of the margin; the image's mean if empty.
    """
    size_seed, place = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    shape = tf.shape(sample.image)[:2]
    most = tf.constant([max_height_padding, max_width_padding], tf.float32)
    added = tf.cast(tf.random.stateless_uniform([2], size_seed) * most, tf.int32)
    before = tf.cast(tf.random.stateless_uniform([2], place) * tf.cast(added, tf.float32), tf.int32)
    after = added - before
    window = tf.cast(tf.concat([-before, shape + after], 0), tf.float32)
    window /= tf.cast(tf.tile(shape, [2]), tf.float32)
    image = tf.cast(sample.image, tf.float32)
    colour = tf.constant(pad_color, tf.float32) if pad_color else tf.reduce_mean(image, [0, 1])
    # Zeros around the distance to the colour are the colour around the image.
    framed = padded(sample._replace(image=image - colour), before, after)
    return seen_through(framed._replace(image=framed.image + colour), window, clip=False)


def _resized(sample: Sample, size: tf.Tensor, *, align_corners: bool = False) -> Sample:
    """The sample with image and masks of another (2,) height and width."""
    resize = tf.compat.v1.image.resize
    masks = sample.masks
    if masks is not None:
        flat = resize(masks[..., tf.newaxis], size, method="nearest", align_corners=align_corners)
        masks = flat[..., 0]
    image = resize(sample.image, size, method="bilinear", align_corners=align_corners)
    return sample._replace(image=image, masks=masks)
