"""Read how `model.ssd` matches anchors and what its losses are."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.config.losses import (
    read_box_scales,
    read_classification_loss,
    read_hard_example_miner,
    read_localization_loss,
    read_matcher,
)
from odflow.training.settings import ClassificationLoss, LocalizationLoss, Matcher
from odflow.training.ssd.settings import Losses, Matching

NO_LOSSES = Losses(ClassificationLoss("weighted_sigmoid"), LocalizationLoss("smooth_l1", 1.0), 0.0, 0.0)
"""Of a config that cannot be trained."""


def read_matching(ssd: Section) -> Matching:
    """Read matcher, similarity and box coder.

    Args:
        ssd: the message `Ssd`.

    Raises:
        ConfigError: another similarity than the intersection over union, another box coder.
    """
    similarity = ssd.section("similarity_calculator")
    kind = similarity.choice("region_similarity")
    if kind not in ("", "iou_similarity"):
        raise similarity.refuse_choice("region_similarity", kind, ["iou_similarity"])
    return Matching(
        matcher=read_matcher(ssd.section("matcher")),
        box_scales=read_box_scales(ssd.section("box_coder")),
        negative_weight=ssd["negative_class_weight"],
    )


def without_matching(ssd: Section) -> Matching:
    """What of the matching decodes boxes, where the rest cannot be trained with."""
    return Matching(Matcher(), read_box_scales(ssd.section("box_coder")))


def read_losses(ssd: Section) -> Losses:
    """Read the losses and what they are divided by.

    Args:
        ssd: the message `Ssd`.

    Raises:
        ConfigError: a loss that is missing or not for boxes; mining of a focal loss.
    """
    loss = ssd.section("loss")
    losses = Losses(
        classification=read_classification_loss(loss.section("classification_loss")),
        localization=read_localization_loss(loss.section("localization_loss")),
        classification_weight=loss["classification_weight"],
        localization_weight=loss["localization_weight"],
        by_matches=ssd["normalize_loss_by_num_matches"],
        by_code_size=ssd["normalize_loc_loss_by_codesize"],
        miner=read_hard_example_miner(loss.section("hard_example_miner"))
        if loss.has("hard_example_miner")
        else None,
        background_as_zeros=ssd["encode_background_as_zeros"],
    )
    _check(ssd, loss, losses)
    _tell_what_is_missing(ssd, loss, losses)
    return losses


def _check(ssd: Section, loss: Section, losses: Losses) -> None:
    if ssd["explicit_background_class"]:
        raise ssd.refuse(
            "explicit_background_class", "true", "false; the background is no class of the records"
        )
    if losses.miner and losses.classification.kind == "weighted_sigmoid_focal":
        raise loss.refuse("hard_example_miner", "set", "no mining, since the focal loss does without")


def _tell_what_is_missing(ssd: Section, loss: Section, losses: Losses) -> None:
    if losses.localization.kind in ("iou", "giou"):
        overlap = loss.section("localization_loss")
        overlap.approximate(
            overlap.choice("localization_loss"),
            "of decoded boxes; the API compares codes as if they were boxes",
        )
    for name in ("random_example_sampler", "equalization_loss"):
        if loss.has(name):
            loss.unsupported(name, "all anchors count alike")
    if loss.message.expected_loss_weights:
        loss.unsupported("expected_loss_weights", "all anchors count alike")
    else:
        loss.honour("expected_loss_weights")
    for name in ("min_num_negative_samples", "desired_negative_sampling_ratio"):
        loss.skip(name, "only with expected_loss_weights")
    if ssd.message.use_confidences_as_targets:
        ssd.unsupported("use_confidences_as_targets", "every annotated box counts in full, times its weight")
    else:
        ssd.honour("use_confidences_as_targets")
    ssd.skip("implicit_example_weight", "only with use_confidences_as_targets")
