"""Mirror images."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from odflow.training.examples.augmentation.sample import Sample


def flip_horizontal(
    sample: Sample, seed: tf.Tensor, probability: float, keypoint_flip_permutation: Sequence[int] = ()
) -> Sample:
    """Swap left and right.

    Args:
        sample: the image and its objects.
        seed: (2,) of the draw.
        probability: of a flip.
        keypoint_flip_permutation: for each keypoint the one that takes its place
            (left eye and right eye); none if empty.
    """
    return _flip(sample, seed, 1, probability, keypoint_flip_permutation)


def flip_vertical(
    sample: Sample, seed: tf.Tensor, probability: float, keypoint_flip_permutation: Sequence[int] = ()
) -> Sample:
    """Swap top and bottom; see `flip_horizontal`."""
    return _flip(sample, seed, 0, probability, keypoint_flip_permutation)


def _flip(sample: Sample, seed: tf.Tensor, axis: int, probability: float, swapped: Sequence[int]) -> Sample:
    def flip() -> Sample:
        return Sample(
            tf.reverse(sample.image, [axis]),
            _mirrored_boxes(sample.boxes_yxyx, axis),
            sample.classes,
            sample.weights,
            None if sample.masks is None else tf.reverse(sample.masks, [axis + 1]),
            _swapped(_mirrored_points(sample.keypoints, axis), swapped),
            _swapped(sample.visibilities, swapped),
        )

    return tf.cond(tf.random.stateless_uniform([], seed) < probability, flip, lambda: sample)


def _mirrored_boxes(boxes_yxyx: tf.Tensor, axis: int) -> tf.Tensor:
    sides = tf.unstack(boxes_yxyx, axis=1)
    sides[axis], sides[axis + 2] = 1.0 - sides[axis + 2], 1.0 - sides[axis]
    return tf.stack(sides, 1)


def _mirrored_points(keypoints: tf.Tensor | None, axis: int) -> tf.Tensor | None:
    if keypoints is None:
        return None
    places = tf.unstack(keypoints, axis=2)
    places[axis] = 1.0 - places[axis]
    return tf.stack(places, 2)


def _swapped(values: tf.Tensor | None, swapped: Sequence[int]) -> tf.Tensor | None:
    return tf.gather(values, list(swapped), axis=1) if values is not None and swapped else values
