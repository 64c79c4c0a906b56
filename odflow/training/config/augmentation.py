"""Translate the data augmentation options of a pipeline.config."""

from __future__ import annotations

from typing import Any

from odflow.odapi.section import Section
from odflow.training.settings import Augmentation

KNOWN = {
    "random_horizontal_flip": ("probability", "keypoint_flip_permutation"),
    "random_vertical_flip": ("probability", "keypoint_flip_permutation"),
    "random_adjust_brightness": ("max_delta",),
    "random_adjust_contrast": ("min_delta", "max_delta"),
    "random_adjust_hue": ("max_delta",),
    "random_adjust_saturation": ("min_delta", "max_delta"),
    "random_image_scale": ("min_scale_ratio", "max_scale_ratio"),
    "random_scale_crop_and_pad_to_square": ("output_size", "scale_min", "scale_max"),
    "random_square_crop_by_scale": ("max_border", "scale_min", "scale_max", "num_scales"),
    "random_absolute_pad_image": ("max_height_padding", "max_width_padding", "pad_color"),
    "random_crop_image": (
        "min_object_covered",
        "min_aspect_ratio",
        "max_aspect_ratio",
        "min_area",
        "max_area",
        "overlap_thresh",
        "clip_boxes",
        "random_coef",
    ),
}
"""The augmentations that are read field by field, with their fields."""

CROP = KNOWN["random_crop_image"]
FIXED_CROP = tuple(name for name in CROP if "aspect_ratio" not in name)

DEFAULT_CROPS: tuple[dict[str, Any], ...] = tuple(
    {
        "min_object_covered": covered,
        "min_aspect_ratio": 0.5,
        "max_aspect_ratio": 2.0,
        "min_area": 0.1,
        "max_area": 1.0,
        "overlap_thresh": covered,
        "clip_boxes": True,
        "random_coef": 0.15,
    }
    for covered in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
)
"""What `ssd_random_crop {}` picks from: the API's own default."""


def augmentations(train: Section) -> tuple[Augmentation, ...]:
    """Read `train_config.data_augmentation_options`, in their order.

    Args:
        train: the train_config.

    Returns:
        Those that odflow has; the others are noted as unsupported.
    """
    found = (_augmentation(option) for option in train.sections("data_augmentation_options"))
    return tuple(augmentation for augmentation in found if augmentation)


def _augmentation(option: Section) -> Augmentation | None:
    kind = option.choice("preprocessing_step")
    if kind == "ssd_random_crop":
        return Augmentation(kind, {"operations": _crops(option.section(kind), CROP)})
    if kind == "ssd_random_crop_fixed_aspect_ratio":
        return _fixed_aspect_ratio(kind, option.section(kind))
    if kind in KNOWN:
        return Augmentation(kind, _read(option.section(kind), KNOWN[kind]))
    if kind:
        option.unsupported(kind, "images are trained without it")
    return None


def _fixed_aspect_ratio(kind: str, section: Section) -> Augmentation:
    ratio = section["aspect_ratio"]
    sides = {"min_aspect_ratio": ratio, "max_aspect_ratio": ratio}
    crops = tuple({**crop, **sides} for crop in _crops(section, FIXED_CROP))
    return Augmentation(kind, {"operations": crops, "aspect_ratio": ratio})


def _crops(section: Section, names: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(_read(operation, names) for operation in section.sections("operations")) or DEFAULT_CROPS


def _read(section: Section, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: section[name] for name in names}
    return {name: value if isinstance(value, int | float) else tuple(value) for name, value in values.items()}
