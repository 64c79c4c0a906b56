"""Change colours; boxes, masks and keypoints stay."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from odflow.training.examples.augmentation.sample import Sample


def adjust_brightness(sample: Sample, seed: tf.Tensor, max_delta: float) -> Sample:
    """Add up to `max_delta`, of pixels from 0 to 1, or take it away."""
    return _adjust(sample, tf.image.adjust_brightness, _between(seed, -max_delta, max_delta))


def adjust_contrast(sample: Sample, seed: tf.Tensor, min_delta: float, max_delta: float) -> Sample:
    """Multiply each channel's distance from its mean."""
    return _adjust(sample, tf.image.adjust_contrast, _between(seed, min_delta, max_delta))


def adjust_hue(sample: Sample, seed: tf.Tensor, max_delta: float) -> Sample:
    """Turn the hue by up to `max_delta` of the circle, either way."""
    return _adjust(sample, tf.image.adjust_hue, _between(seed, -max_delta, max_delta))


def adjust_saturation(sample: Sample, seed: tf.Tensor, min_delta: float, max_delta: float) -> Sample:
    """Multiply the saturation."""
    return _adjust(sample, tf.image.adjust_saturation, _between(seed, min_delta, max_delta))


def _between(seed: tf.Tensor, lowest: float, highest: float) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed, lowest, highest)


def _adjust(sample: Sample, change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], by: tf.Tensor) -> Sample:
    """Change an image held in 0..1, and bring it back to 0..255."""
    changed = change(tf.cast(sample.image, tf.float32) / 255.0, by)
    return sample._replace(image=tf.clip_by_value(changed * 255.0, 0.0, 255.0))
