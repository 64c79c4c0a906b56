"""Read the losses and the matcher of a pipeline.config, of whichever architecture."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.settings import ClassificationLoss, HardExampleMiner, LocalizationLoss, Matcher

CLASSIFICATION = {
    "weighted_sigmoid": (),
    "weighted_sigmoid_focal": ("gamma",),
    "weighted_softmax": ("logit_scale",),
    "weighted_logits_softmax": ("logit_scale",),
    "bootstrapped_sigmoid": ("alpha", "hard_bootstrap"),
}
"""The kinds of classification loss, and the fields of each."""

LOCALIZATION = {
    "weighted_smooth_l1": "smooth_l1",
    "weighted_l2": "l2",
    "weighted_iou": "iou",
    "weighted_giou": "giou",
    "l1_localization_loss": "l1",
}


def read_classification_loss(section: Section) -> ClassificationLoss:
    """Read a `ClassificationLoss`.

    Raises:
        ConfigError: none is set, or one that is not for boxes.
    """
    kind = section.choice("classification_loss")
    if kind not in CLASSIFICATION:
        raise section.refuse_choice("classification_loss", kind, CLASSIFICATION)
    loss = section.section(kind)
    values = {name: loss[name] for name in CLASSIFICATION[kind]}
    if kind == "weighted_sigmoid_focal":
        values["alpha"] = loss["alpha"] if loss.has("alpha") else None
    if not kind.startswith("weighted_logits"):
        _without_effect(loss)
    return ClassificationLoss(kind, **values)


def read_localization_loss(section: Section) -> LocalizationLoss:
    """Read a `LocalizationLoss`.

    Raises:
        ConfigError: none is set.
    """
    kind = section.choice("localization_loss")
    if kind not in LOCALIZATION:
        raise section.refuse_choice("localization_loss", kind, LOCALIZATION)
    loss = section.section(kind)
    if kind in ("weighted_smooth_l1", "weighted_l2"):
        _without_effect(loss)
    delta = loss["delta"] if kind == "weighted_smooth_l1" else 1.0
    return LocalizationLoss(LOCALIZATION[kind], delta)


def read_hard_example_miner(miner: Section) -> HardExampleMiner:
    """Read a `HardExampleMiner`."""
    kinds = ("both", "classification", "localization")
    return HardExampleMiner(
        examples=miner["num_hard_examples"],
        iou_threshold=miner["iou_threshold"],
        by=kinds[miner["loss_type"]],
        max_negatives_per_positive=miner["max_negatives_per_positive"],
        min_negatives_per_image=miner["min_negatives_per_image"],
    )


def read_matcher(section: Section) -> Matcher:
    """Read a `Matcher`.

    Raises:
        ConfigError: thresholds that contradict each other.
    """
    kind = section.choice("matcher_oneof") or "argmax_matcher"
    matcher = section.section(kind)
    matcher.honour("use_matmul_gather")  # another way to the same numbers
    if kind == "bipartite_matcher":
        return Matcher("bipartite")
    ignore = matcher["ignore_thresholds"]
    matched, unmatched = matcher["matched_threshold"], matcher["unmatched_threshold"]
    below = matcher["negatives_lower_than_unmatched"]
    if not ignore and unmatched > matched:
        raise matcher.refuse("unmatched_threshold", unmatched, f"at most matched_threshold, {matched}")
    if not ignore and not below and unmatched == matched:
        raise matcher.refuse("negatives_lower_than_unmatched", "false", "true, or two different thresholds")
    return Matcher(
        matched=0.0 if ignore else matched,
        unmatched=0.0 if ignore else unmatched,
        negatives_below=below,
        force_match=matcher["force_match_for_each_row"],
    )


def read_box_scales(section: Section) -> tuple[float, float, float, float]:
    """Read a `BoxCoder`: the factors on y, x, height and width.

    Raises:
        ConfigError: another coder than the Faster R-CNN box coder.
    """
    kind = section.choice("box_coder_oneof")
    if kind not in ("", "faster_rcnn_box_coder"):
        raise section.refuse_choice("box_coder_oneof", kind, ["faster_rcnn_box_coder"])
    scales = section.section("faster_rcnn_box_coder")
    return scales["y_scale"], scales["x_scale"], scales["height_scale"], scales["width_scale"]


def _without_effect(loss: Section) -> None:
    if loss.has("anchorwise_output"):
        loss.skip("anchorwise_output", "losses are made anchor by anchor")
