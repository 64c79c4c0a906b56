"""Translate `model.ssd` of a pipeline.config."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.ops.anchors import MultiscaleAnchors
from odflow.training.hyperparams_config import hyperparams
from odflow.training.settings import PostProcessing, Resizer
from odflow.training.ssd.settings import Extractor, Losses, Matching, Predictor, SsdModel

IMAGENET_MEANS = (123.68, 116.779, 103.939)

BACKBONES = {
    "ssd_mobilenet_v1_fpn_keras": ("mobilenet_v1", None),
    "ssd_mobilenet_v2_fpn_keras": ("mobilenet_v2", None),
    "ssd_resnet50_v1_fpn_keras": ("resnet50", IMAGENET_MEANS),
    "ssd_resnet101_v1_fpn_keras": ("resnet101", IMAGENET_MEANS),
    "ssd_resnet152_v1_fpn_keras": ("resnet152", IMAGENET_MEANS),
}
"""Extractor type to backbone and the channel means that it subtracts."""


def read_ssd(ssd: Section) -> SsdModel:
    """Read `model.ssd`.

    Args:
        ssd: the message.

    Returns:
        The detector with its losses.

    Raises:
        ConfigError: a part that odflow cannot build.
    """
    ssd.honour("encode_background_as_zeros", "inplace_batchnorm_update")
    if ssd.has("mask_head_config"):
        ssd.unsupported("mask_head_config", "boxes only")
    extractor = ssd.section("feature_extractor")
    anchors = _anchors(ssd.section("anchor_generator"), extractor)
    return SsdModel(
        num_classes=ssd.positive("num_classes"),
        resizer=_resizer(ssd.section("image_resizer")),
        extractor=_extractor(extractor),
        predictor=_predictor(ssd.section("box_predictor"), extractor),
        hyperparams=hyperparams(extractor.section("conv_hyperparams")),
        anchors=anchors,
        matching=_matching(ssd),
        losses=_losses(ssd),
        freeze_batch_norm=ssd["freeze_batchnorm"],
        post_processing=_post_processing(ssd.section("post_processing")),
    )


def _resizer(section: Section) -> Resizer:
    kind = section.choice("image_resizer_oneof")
    if kind not in ("fixed_shape_resizer", "keep_aspect_ratio_resizer"):
        raise section.refuse_choice(
            "image_resizer_oneof", kind, ["fixed_shape_resizer", "keep_aspect_ratio_resizer"]
        )
    resizer = section.section(kind)
    if resizer.message.convert_to_grayscale:
        raise resizer.refuse("convert_to_grayscale", "true", "false, odflow's detectors see colour")
    resizer.honour("convert_to_grayscale")
    if resizer["resize_method"] != 0:
        raise resizer.refuse("resize_method", "not BILINEAR", "BILINEAR")
    if kind == "fixed_shape_resizer":
        return Resizer(resizer.positive("height"), resizer.positive("width"))
    side = resizer.positive("max_dimension")
    if any(resizer.message.per_channel_pad_value):
        resizer.approximate("per_channel_pad_value", "padded with 0 after normalisation")
    if not resizer["pad_to_max_dimension"]:
        resizer.approximate("max_dimension", "every image is padded to a square of this side")
    return Resizer(side, side, min_dimension=resizer.positive("min_dimension"))


def _extractor(section: Section) -> Extractor:
    kind = section["type"]
    if kind not in BACKBONES:
        raise section.refuse_choice("type", kind, BACKBONES)
    backbone, means = BACKBONES[kind]
    top = ", without MobileNet v2's 1280 channels on top" if backbone == "mobilenet_v2" else ""
    section.approximate("type", f"Model Garden's own backbone and feature pyramid{top}")
    pyramid = section.section("fpn")
    section.honour("override_base_feature_extractor_hyperparams")
    for name in ("min_depth", "pad_to_multiple"):
        if section.has(name):
            section.skip(name, "Model Garden's backbones have no such limit")
    if backbone.startswith("resnet") and section.message.depth_multiplier != 1.0:
        raise section.refuse("depth_multiplier", section.message.depth_multiplier, "1.0 with a ResNet")
    return Extractor(
        backbone=backbone,
        depth_multiplier=section["depth_multiplier"],
        min_level=pyramid["min_level"],
        max_level=pyramid["max_level"],
        pyramid_filters=pyramid["additional_layer_depth"],
        separable=section["use_depthwise"],
        pixel_means=means,
    )


def _anchors(section: Section, extractor: Section) -> MultiscaleAnchors:
    kind = section.choice("anchor_generator_oneof")
    if kind != "multiscale_anchor_generator":
        raise section.refuse_choice("anchor_generator_oneof", kind, ["multiscale_anchor_generator"])
    generator = section.section(kind)
    pyramid = extractor.section("fpn").message
    for name in ("min_level", "max_level"):
        if generator[name] != getattr(pyramid, name):
            raise generator.refuse(
                name, generator[name], f"{getattr(pyramid, name)}, as in feature_extractor.fpn"
            )
    generator.honour("normalize_coordinates")
    return MultiscaleAnchors(
        min_level=generator["min_level"],
        max_level=generator["max_level"],
        anchor_scale=generator["anchor_scale"],
        aspect_ratios=tuple(generator["aspect_ratios"]) or (1.0,),
        scales_per_octave=generator["scales_per_octave"],
    )


def _predictor(section: Section, extractor: Section) -> Predictor:
    kind = section.choice("box_predictor_oneof")
    wanted = "weight_shared_convolutional_box_predictor"
    if kind != wanted:
        raise section.refuse_choice("box_predictor_oneof", kind, [wanted])
    predictor = section.section(kind)
    if predictor["kernel_size"] != 3:
        raise predictor.refuse("kernel_size", predictor["kernel_size"], "3")
    if predictor["share_prediction_tower"]:
        predictor.approximate("share_prediction_tower", "boxes and classes have a tower each")
    if predictor["use_dropout"]:
        predictor.unsupported("use_dropout", "trained without dropout")
    for name in ("dropout_keep_probability", "box_code_size", "apply_batch_norm", "score_converter"):
        predictor.honour(name)
    _compare_hyperparams(predictor.section("conv_hyperparams"), extractor.section("conv_hyperparams"))
    return Predictor(
        convolutions=predictor["num_layers_before_predictor"],
        filters=predictor["depth"],
        separable=predictor["use_depthwise"],
        class_bias=predictor["class_prediction_bias_init"],
    )


def _compare_hyperparams(predictor: Section, extractor: Section) -> None:
    """Model Garden has one set of hyperparameters; the predictor's may differ in the API."""
    for descriptor, value in predictor.message.ListFields():
        name = descriptor.name
        if name == "initializer":
            predictor.approximate(name, "Model Garden's own initial values")
        elif value == getattr(extractor.message, name):
            predictor.honour(name)
        else:
            predictor.approximate(name, "the feature extractor's value holds everywhere")


def _post_processing(section: Section) -> PostProcessing:
    nms = section.section("batch_non_max_suppression")
    if section["score_converter"] != section.message.SIGMOID:
        section.approximate("score_converter", "SIGMOID, which the focal loss trains")
    if section.has("logit_scale"):
        section.unsupported("logit_scale", "scores are the plain sigmoid")
    if section.has("calibration_config"):
        section.unsupported("calibration_config", "scores are not calibrated")
    nms.honour("use_static_shapes", "use_combined_nms")
    for name in ("use_class_agnostic_nms", "soft_nms_sigma"):
        if getattr(nms.message, name):
            nms.unsupported(name, "plain suppression within each class")
    return PostProcessing(
        score_threshold=nms["score_threshold"],
        iou_threshold=nms["iou_threshold"],
        max_per_class=nms["max_detections_per_class"],
        max_total=nms["max_total_detections"],
    )


def _matching(ssd: Section) -> Matching:
    kind = ssd.section("matcher").choice("matcher_oneof") or "argmax_matcher"
    if kind != "argmax_matcher":
        raise ssd.section("matcher").refuse_choice("matcher_oneof", kind, ["argmax_matcher"])
    matcher = ssd.section("matcher").section("argmax_matcher")
    matcher.honour("use_matmul_gather", "ignore_thresholds")
    if not matcher["negatives_lower_than_unmatched"]:
        raise matcher.refuse("negatives_lower_than_unmatched", "false", "true")
    similarity = ssd.section("similarity_calculator")
    if similarity.choice("region_similarity") not in ("", "iou_similarity"):
        raise similarity.refuse_choice(
            "region_similarity", similarity.choice("region_similarity"), ["iou_similarity"]
        )
    coder = ssd.section("box_coder")
    if coder.choice("box_coder_oneof") not in ("", "faster_rcnn_box_coder"):
        raise coder.refuse_choice(
            "box_coder_oneof", coder.choice("box_coder_oneof"), ["faster_rcnn_box_coder"]
        )
    scales = coder.section("faster_rcnn_box_coder")
    ignore = matcher.message.ignore_thresholds
    return Matching(
        matched=0.0 if ignore else matcher["matched_threshold"],
        unmatched=0.0 if ignore else matcher["unmatched_threshold"],
        force_match=matcher["force_match_for_each_row"],
        box_scales=(scales["y_scale"], scales["x_scale"], scales["height_scale"], scales["width_scale"]),
    )


def _losses(ssd: Section) -> Losses:
    loss = ssd.section("loss")
    classification = loss.section("classification_loss")
    kind = classification.choice("classification_loss")
    if kind != "weighted_sigmoid_focal":
        raise classification.refuse_choice("classification_loss", kind, ["weighted_sigmoid_focal"])
    localization = loss.section("localization_loss")
    kind = localization.choice("localization_loss")
    if kind != "weighted_smooth_l1":
        raise localization.refuse_choice("localization_loss", kind, ["weighted_smooth_l1"])
    for name in ("hard_example_miner", "random_example_sampler", "equalization_loss"):
        if loss.has(name):
            loss.unsupported(name, "the focal loss sees all anchors")
    focal = classification.section("weighted_sigmoid_focal")
    return Losses(
        focal_alpha=focal["alpha"] if focal.has("alpha") else None,
        focal_gamma=focal["gamma"],
        smooth_l1_delta=localization.section("weighted_smooth_l1")["delta"],
        classification_weight=loss["classification_weight"],
        localization_weight=loss["localization_weight"],
        by_matches=ssd["normalize_loss_by_num_matches"],
        by_code_size=ssd["normalize_loc_loss_by_codesize"],
    )
