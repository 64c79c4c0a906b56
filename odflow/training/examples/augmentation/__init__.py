"""Random changes of a training image with its objects, as the Object Detection API makes them.

Definitions: object_detection/core/preprocessor.py. Every draw comes from a seed that is
handed in, so that an example is changed in the same way whenever it is seen with that seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from odflow.training.examples.augmentation import colours, crops, flips, scaling
from odflow.training.examples.augmentation.sample import Sample
from odflow.training.settings import Augmentation

__all__ = ["KINDS", "Sample", "augment"]


def augment(sample: Sample, augmentations: Sequence[Augmentation], seed: tf.Tensor) -> Sample:
    """Apply augmentations in their order.

    Args:
        sample: the image and its objects.
        augmentations: what to do.
        seed: (2,) int32 or int64; the same seed makes the same draws.

    Returns:
        The changed sample; objects that left the image are gone.
    """
    for i, augmentation in enumerate(augmentations):
        draw = tf.random.experimental.stateless_fold_in(seed, i)
        sample = KINDS[augmentation.kind](sample, draw, **augmentation.parameters)
    return sample


KINDS: dict[str, Callable[..., Sample]] = {
    "random_horizontal_flip": flips.flip_horizontal,
    "random_vertical_flip": flips.flip_vertical,
    "random_adjust_brightness": colours.adjust_brightness,
    "random_adjust_contrast": colours.adjust_contrast,
    "random_adjust_hue": colours.adjust_hue,
    "random_adjust_saturation": colours.adjust_saturation,
    "random_crop_image": crops.crop_image,
    "ssd_random_crop": crops.ssd_crop,
    "ssd_random_crop_fixed_aspect_ratio": crops.ssd_crop_fixed_aspect_ratio,
    "random_square_crop_by_scale": crops.square_crop_by_scale,
    "random_image_scale": scaling.scale_image,
    "random_scale_crop_and_pad_to_square": scaling.scale_crop_and_pad_to_square,
    "random_absolute_pad_image": scaling.pad_image,
}
"""The augmentations by their names in the API; each takes a sample, a seed and its parameters."""
