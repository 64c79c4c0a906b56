"""Translate `post_processing` of a pipeline.config, and the first stage's suppression."""

from __future__ import annotations

from typing import Any

from odflow.odapi.section import Section
from odflow.training.settings import PostProcessing

CONVERTERS = ("identity", "sigmoid", "softmax")
"""`score_converter` by its number."""


def read_post_processing(section: Section) -> PostProcessing:
    """Read a `PostProcessing` message.

    Args:
        section: `model.ssd.post_processing`, `model.faster_rcnn.second_stage_post_processing`.

    Returns:
        How logits and boxes become detections.

    Raises:
        ConfigError: values that the API refuses too.
    """
    if section.has("calibration_config"):
        section.unsupported("calibration_config", "scores are not calibrated")
    if section["logit_scale"] <= 0.0:
        raise section.refuse("logit_scale", section["logit_scale"], "above 0")
    return PostProcessing(
        **_suppression(section.section("batch_non_max_suppression")),
        score_converter=CONVERTERS[section["score_converter"]],
        logit_scale=section["logit_scale"],
    )


def _suppression(nms: Section) -> dict[str, Any]:
    per_class, total = nms.positive("max_detections_per_class"), nms.positive("max_total_detections")
    if per_class > total:
        raise nms.refuse("max_detections_per_class", per_class, f"at most max_total_detections, {total}")
    if not 0.0 <= nms["iou_threshold"] <= 1.0:
        raise nms.refuse("iou_threshold", nms["iou_threshold"], "0 to 1")
    if nms["soft_nms_sigma"] < 0.0:
        raise nms.refuse("soft_nms_sigma", nms["soft_nms_sigma"], "at least 0")
    if nms["use_class_agnostic_nms"] and nms["max_classes_per_detection"] != 1:
        raise nms.refuse("max_classes_per_detection", nms["max_classes_per_detection"], "1, as in the API")
    nms.honour("max_classes_per_detection")
    _implementations(nms)
    return {
        "score_threshold": nms["score_threshold"],
        "iou_threshold": nms["iou_threshold"],
        "max_per_class": per_class,
        "max_total": total,
        "class_agnostic": nms["use_class_agnostic_nms"],
        "soft_nms_sigma": nms["soft_nms_sigma"],
        "change_coordinate_frame": nms["change_coordinate_frame"],
    }


def _implementations(nms: Section) -> None:
    """Fields that choose among implementations of one thing."""
    nms.honour("use_hard_nms", "use_cpu_nms", "use_partitioned_nms", "use_combined_nms")
    if nms.message.use_static_shapes and nms.message.soft_nms_sigma > 0.0:
        raise nms.refuse("use_static_shapes", "true", "false with soft_nms_sigma, as in the API")
    nms.honour("use_static_shapes")  # the same detections; what follows the last one is padding either way
    if nms.message.use_partitioned_nms:
        nms.approximate("use_partitioned_nms", "suppressed above iou_threshold, not at it")
    if nms.message.use_combined_nms:
        if nms.message.use_class_agnostic_nms:
            raise nms.refuse("use_combined_nms", "true", "false with use_class_agnostic_nms, as in the API")
        nms.approximate("use_combined_nms", "boxes wholly outside the image are dropped")
