"""Translate `model.faster_rcnn` of a pipeline.config."""

from __future__ import annotations

import math
from dataclasses import replace

from odflow.odapi.section import Section
from odflow.training.config.hyperparams import hyperparams
from odflow.training.config.losses import read_classification_loss
from odflow.training.config.post_processing import read_post_processing
from odflow.training.config.resizer import read_resizer
from odflow.training.faster_rcnn.anchors_config import read_anchors
from odflow.training.faster_rcnn.extractor_config import read_extractor
from odflow.training.faster_rcnn.settings import (
    BoxHead,
    Crop,
    Extractor,
    FasterRcnnModel,
    FirstStage,
    MaskHead,
    SecondStage,
)
from odflow.training.settings import ClassificationLoss, PostProcessing

SAME_NUMBERS = (
    "inplace_batchnorm_update",
    "use_matmul_crop_and_resize",
    "use_matmul_gather_in_matcher",
    "use_static_balanced_label_sampler",
    "use_static_shapes",
    "use_static_shapes_for_eval",
    "resize_masks",
    "return_raw_detections_during_predict",
)
"""Fields that choose among implementations of one thing, or that stand for what is done anyway."""


NO_SECOND_STAGE = SecondStage(1, 0.0, ClassificationLoss("weighted_softmax"), 0.0, 0.0)
"""How a detector learns whose config cannot be trained."""


def read_faster_rcnn(section: Section) -> FasterRcnnModel:
    """Read `model.faster_rcnn`.

    Args:
        section: the message.

    Returns:
        The detector with its losses.

    Raises:
        ConfigError: a part that odflow cannot build; the message says what would work.
    """
    if section.has("context_config"):
        raise section.refuse(
            "context_config",
            "set",
            "no context_config, and readers without load_context_features and TF_SEQUENCE_EXAMPLE: "
            "the same Faster R-CNN, which sees one image at a time",
        )
    section.honour(*SAME_NUMBERS)
    _go_on_without(section)
    stages = section["number_of_stages"]
    if stages not in (1, 2, 3):
        raise section.refuse("number_of_stages", stages, "1, 2 or 3")
    extractor = read_extractor(section.section("feature_extractor"))
    predictor = _predictor(section)
    crop = _crop(section)
    first = _first_stage(section)
    return FasterRcnnModel(
        num_classes=section.positive("num_classes"),
        resizer=read_resizer(section.section("image_resizer"), own_size=extractor.pyramid is None),
        stages=stages,
        extractor=extractor,
        anchors=read_anchors(section.section("first_stage_anchor_generator"), extractor),
        first=first,
        crop=crop,
        boxes=_box_head(predictor),
        masks=_mask_head(section, predictor, extractor, crop),
        second=section.to_train(lambda: _second_stage(section, first), NO_SECOND_STAGE),
        post_processing=_post_processing(section.section("second_stage_post_processing")),
    )


def _go_on_without(section: Section) -> None:
    if section.has("hard_example_miner"):
        section.unsupported("hard_example_miner", "the losses see second_stage_batch_size drawn proposals")
    for name in ("output_final_box_features", "output_final_box_rpn_features"):
        if section[name]:
            section.unsupported(name, "boxes, scores and masks are exported, not their features")


def _first_stage(section: Section) -> FirstStage:
    layers = section.section("first_stage_box_predictor_conv_hyperparams")
    read = hyperparams(layers)
    if layers.has("activation"):
        layers.skip("activation", "the API always has RELU_6 here, and so has odflow")
    return FirstStage(
        hyperparams=read,
        filters=section.positive("first_stage_box_predictor_depth"),
        kernel_size=section.positive("first_stage_box_predictor_kernel_size"),
        dilation=section.positive("first_stage_atrous_rate"),
        batch_size=section.to_train(lambda: section.positive("first_stage_minibatch_size"), 1),
        positive_fraction=section.to_train(
            lambda: _share(section, "first_stage_positive_balance_fraction"), 0.0
        ),
        suppression=_first_suppression(section),
        localization_weight=section["first_stage_localization_loss_weight"],
        objectness_weight=section["first_stage_objectness_loss_weight"],
        clip_anchors=section["clip_anchors_to_image"],
    )


def _first_suppression(section: Section) -> PostProcessing:
    proposals = section.positive("first_stage_max_proposals")
    section.honour("use_partitioned_nms_in_first_stage", "use_combined_nms_in_first_stage")
    if section.message.use_combined_nms_in_first_stage:
        section.approximate(
            "use_combined_nms_in_first_stage", "proposals wholly outside the image are dropped"
        )
    return PostProcessing(
        score_threshold=section["first_stage_nms_score_threshold"],
        iou_threshold=_share(section, "first_stage_nms_iou_threshold"),
        max_per_class=proposals,
        max_total=proposals,
        score_converter="softmax",
        change_coordinate_frame=False,
    )


def _second_stage(section: Section, first: FirstStage) -> SecondStage:
    batch, most = section.positive("second_stage_batch_size"), first.suppression.max_total
    if batch > most:
        raise section.refuse("second_stage_batch_size", batch, f"at most first_stage_max_proposals, {most}")
    loss = ClassificationLoss("weighted_softmax")
    if section.has("second_stage_classification_loss"):
        loss = read_classification_loss(section.section("second_stage_classification_loss"))
    return SecondStage(
        batch_size=batch,
        positive_fraction=_share(section, "second_stage_balance_fraction"),
        loss=loss,
        localization_weight=section["second_stage_localization_loss_weight"],
        classification_weight=section["second_stage_classification_loss_weight"],
    )


def _post_processing(section: Section) -> PostProcessing:
    found, nms = read_post_processing(section), section.section("batch_non_max_suppression")
    if not found.change_coordinate_frame:
        nms.skip("change_coordinate_frame", "the API always says a two-stage detector's boxes in shares")
    return replace(found, change_coordinate_frame=True)


def _crop(section: Section) -> Crop:
    if section["number_of_stages"] == 1:
        section.honour("initial_crop_size", "maxpool_kernel_size", "maxpool_stride")
        return Crop(1, 1, 1)
    crop = Crop(
        section.positive("initial_crop_size"),
        section.positive("maxpool_kernel_size"),
        section.positive("maxpool_stride"),
    )
    if crop.pool_size > crop.size:
        raise section.refuse("maxpool_kernel_size", crop.pool_size, f"at most initial_crop_size, {crop.size}")
    return crop


def _predictor(section: Section) -> Section:
    predictor = section.section("second_stage_box_predictor")
    kind = predictor.choice("box_predictor_oneof")
    if kind == "rfcn_box_predictor":
        raise predictor.refuse(
            "rfcn_box_predictor",
            "set",
            "a Faster R-CNN: mask_rcnn_box_predictor { } here, and in model.faster_rcnn "
            "initial_crop_size: 14, maxpool_kernel_size: 2 and maxpool_stride: 2",
        )
    if kind not in ("", "mask_rcnn_box_predictor") or (not kind and section["number_of_stages"] > 1):
        raise predictor.refuse_choice("box_predictor_oneof", kind, ["mask_rcnn_box_predictor"])
    found = predictor.section("mask_rcnn_box_predictor")
    if found["box_code_size"] != 4:
        raise found.refuse("box_code_size", found["box_code_size"], "4")
    if found["predict_keypoints"]:
        raise found.refuse("predict_keypoints", "true", "false, or a CenterNet for keypoints")
    return found


def _box_head(predictor: Section) -> BoxHead:
    keep = _share(predictor, "dropout_keep_probability")
    return BoxHead(
        hyperparams=hyperparams(predictor.section("fc_hyperparams")),
        dropout=1.0 - keep if predictor["use_dropout"] else None,
        share_boxes=predictor["share_box_across_classes"],
    )


MASK_FIELDS = (
    "conv_hyperparams",
    "mask_prediction_conv_depth",
    "mask_height",
    "mask_width",
    "mask_prediction_num_conv_layers",
    "masks_are_class_agnostic",
    "convolve_then_upsample_masks",
)


def _mask_head(section: Section, predictor: Section, extractor: Extractor, crop: Crop) -> MaskHead | None:
    wanted, stages = predictor["predict_instance_masks"], section["number_of_stages"]
    if stages < 3:
        section.skip("second_stage_mask_prediction_loss_weight", f"number_of_stages is {stages}: no masks")
        for name in MASK_FIELDS:
            predictor.skip(name, f"number_of_stages is {stages}: no masks")
        return None
    if not wanted:
        raise predictor.refuse("predict_instance_masks", "false", "true, or number_of_stages: 2")
    if extractor.pyramid:
        predictor.approximate(
            "predict_instance_masks", "masks come from the crops; the API's come from one cell, without shape"
        )
    return _read_mask_head(section, predictor, _features_side(extractor, crop))


def _read_mask_head(section: Section, predictor: Section, side: int) -> MaskHead:
    head = MaskHead(
        hyperparams=hyperparams(predictor.section("conv_hyperparams")),
        height=predictor.positive("mask_height"),
        width=predictor.positive("mask_width"),
        filters=predictor["mask_prediction_conv_depth"],
        convolutions=predictor.positive("mask_prediction_num_conv_layers"),
        class_agnostic=predictor["masks_are_class_agnostic"],
        upsample_last=predictor["convolve_then_upsample_masks"],
        weight=section["second_stage_mask_prediction_loss_weight"],
    )
    for name, cells in (("mask_height", head.height), ("mask_width", head.width)):
        if head.upsample_last and cells % side:
            raise predictor.refuse(
                name, cells, f"a multiple of {side}, the features' side, for convolve_then_upsample_masks"
            )
    return head


def _features_side(extractor: Extractor, crop: Crop) -> int:
    """Side, in cells, of what masks are made from."""
    side = (crop.size - crop.pool_size) // crop.pool_stride + 1
    return side if extractor.pyramid or extractor.slim else math.ceil(side / 2)


def _share(section: Section, name: str) -> float:
    value = float(section[name])
    if not 0.0 <= value <= 1.0:
        raise section.refuse(name, value, "0 to 1")
    return value
