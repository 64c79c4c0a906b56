"""Translate an `image_resizer` of a pipeline.config."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.settings import Resizer

KINDS = ("fixed_shape_resizer", "keep_aspect_ratio_resizer")


def read_resizer(section: Section, *, own_size: bool = False) -> Resizer:
    """Read an `ImageResizer`.

    Args:
        section: the message.
        own_size: the detector can take an image that is not padded.

    Returns:
        To which size images are brought.

    Raises:
        ConfigError: a kind or a method that odflow does not have.
    """
    kind = section.choice("image_resizer_oneof")
    if kind not in KINDS:
        raise section.refuse_choice("image_resizer_oneof", kind, KINDS)
    resizer = section.section(kind)
    if resizer["convert_to_grayscale"]:
        raise resizer.refuse("convert_to_grayscale", "true", "false, odflow's detectors see colour")
    if resizer["resize_method"] != 0:
        raise resizer.refuse("resize_method", "not BILINEAR", "BILINEAR")
    if kind == "fixed_shape_resizer":
        return Resizer(resizer.positive("height"), resizer.positive("width"))
    return _keep_aspect_ratio(resizer, own_size)


def _keep_aspect_ratio(resizer: Section, own_size: bool) -> Resizer:
    padding = tuple(resizer["per_channel_pad_value"]) or (0.0, 0.0, 0.0)
    if len(padding) != 3:
        raise resizer.refuse("per_channel_pad_value", f"{len(padding)} numbers", "3, for red, green and blue")
    side, least = resizer.positive("max_dimension"), resizer.positive("min_dimension")
    if least > side:
        raise resizer.refuse("min_dimension", least, f"at most max_dimension, {side}")
    padded = bool(resizer["pad_to_max_dimension"])
    if not padded:
        where = "in training, not in detection, every" if own_size else "every"
        resizer.approximate("max_dimension", f"{where} image is padded to a square of this side")
    return Resizer(side, side, least, padding, padded or not own_size)
