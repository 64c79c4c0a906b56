"""From a pipeline.config of the Object Detection API to what this room trains."""

from __future__ import annotations

from typing import Any

from odflow.odapi.section import Coverage, Section
from odflow.ops.anchors import MultiscaleAnchors
from odflow.training import optimization_config
from odflow.training.augmentation_config import augmentations
from odflow.training.settings import (
    Extractor,
    Hyperparams,
    Losses,
    Matching,
    Model,
    PostProcessing,
    Predictor,
    Resizer,
    Settings,
    Training,
)

IMAGENET_MEANS = (123.68, 116.779, 103.939)

BACKBONES = {
    "ssd_mobilenet_v1_fpn_keras": ("mobilenet_v1", None),
    "ssd_mobilenet_v2_fpn_keras": ("mobilenet_v2", None),
    "ssd_resnet50_v1_fpn_keras": ("resnet50", IMAGENET_MEANS),
    "ssd_resnet101_v1_fpn_keras": ("resnet101", IMAGENET_MEANS),
    "ssd_resnet152_v1_fpn_keras": ("resnet152", IMAGENET_MEANS),
}
"""Extractor type to backbone and the channel means that it subtracts."""

ACTIVATIONS = {0: "linear", 1: "relu", 2: "relu6", 3: "swish"}
"""`Hyperparams.Activation` to Model Garden's name."""

LEGACY_BATCH_NORM = (0.997, 0.001)
"""Decay and epsilon where a config has no `batch_norm`."""


def translate(config: Any, source: str) -> tuple[Settings, Coverage]:
    """Translate a pipeline.config.

    Args:
        config: a TrainEvalPipelineConfig.
        source: its file name, for messages.

    Returns:
        The settings, and what became of each field that the config sets.

    Raises:
        ConfigError: the config asks for another kind of detector than odflow
            trains; the message names the field and what would work.
    """
    coverage = Coverage(source)
    root = Section(config, "", coverage)
    if config.HasField("graph_rewriter"):
        root.unsupported("graph_rewriter", "quantisation-aware training is not built")
    if root.section("model").choice("model") != "ssd":
        raise root.section("model").refuse_choice("model", config.model.WhichOneof("model") or "", ["ssd"])
    ssd = root.section("model").section("ssd")
    model = _model(ssd)
    reader = _outside_training(root)
    return Settings(model, _training(root.section("train_config"), ssd, reader)), coverage


def _model(ssd: Section) -> Model:
    ssd.honour("encode_background_as_zeros", "inplace_batchnorm_update")
    if ssd.has("mask_head_config"):
        ssd.unsupported("mask_head_config", "boxes only")
    extractor = ssd.section("feature_extractor")
    anchors = _anchors(ssd.section("anchor_generator"), extractor)
    return Model(
        num_classes=_positive(ssd, "num_classes"),
        resizer=_resizer(ssd.section("image_resizer")),
        extractor=_extractor(extractor),
        predictor=_predictor(ssd.section("box_predictor"), extractor),
        hyperparams=_hyperparams(extractor.section("conv_hyperparams")),
        anchors=anchors,
        post_processing=_post_processing(ssd.section("post_processing")),
    )


def _positive(section: Section, name: str) -> int:
    value = int(section[name])
    if value < 1:
        raise section.refuse(name, value, "at least 1")
    return value


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
        return Resizer(_positive(resizer, "height"), _positive(resizer, "width"))
    side = _positive(resizer, "max_dimension")
    if any(resizer.message.per_channel_pad_value):
        resizer.approximate("per_channel_pad_value", "padded with 0 after normalisation")
    if not resizer["pad_to_max_dimension"]:
        resizer.approximate("max_dimension", "every image is padded to a square of this side")
    return Resizer(side, side, min_dimension=_positive(resizer, "min_dimension"))


def _extractor(section: Section) -> Extractor:
    kind = section["type"]
    if kind not in BACKBONES:
        raise section.refuse_choice("type", kind, BACKBONES)
    backbone, means = BACKBONES[kind]
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


def _hyperparams(section: Section) -> Hyperparams:
    momentum, epsilon = LEGACY_BATCH_NORM
    if section.choice("normalizer_oneof") == "batch_norm":
        norm = section.section("batch_norm")
        norm.honour("scale", "center", "train")
        momentum, epsilon = norm["decay"], norm["epsilon"]
    if section.has("initializer"):
        section.approximate("initializer", "Model Garden's own initial values")
    regularizer = section.section("regularizer")
    kind = regularizer.choice("regularizer_oneof")
    if kind == "l1_regularizer":
        raise regularizer.refuse("l1_regularizer", "set", "l2_regularizer")
    weight = regularizer.section("l2_regularizer")["weight"] if kind else 0.0
    section.honour("op", "regularize_depthwise")
    activation = ACTIVATIONS.get(section["activation"])
    if activation is None:
        raise section.refuse("activation", section.message.activation, "RELU, RELU_6 or SWISH")
    return Hyperparams(activation, momentum, epsilon, weight)


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


def _training(train: Section, ssd: Section, reader: Section) -> Training:
    _where_training_runs(train)
    optimizer = optimization_config.optimizer(train)
    return Training(
        batch_size=_positive(train, "batch_size"),
        num_steps=_positive(train, "num_steps"),
        optimizer=optimizer,
        matching=_matching(ssd),
        losses=_losses(ssd),
        augmentations=augmentations(train),
        freeze_batch_norm=ssd["freeze_batchnorm"],
        fine_tune_type=_fine_tune_type(train),
        max_boxes=train["max_number_of_boxes"],
        shuffle_buffer=reader["shuffle_buffer_size"] if reader["shuffle"] else 1,
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


def _fine_tune_type(train: Section) -> str:
    """What a fine-tune checkpoint gives: classification, detection or full."""
    kind = str(train["fine_tune_checkpoint_type"])
    if not kind:
        return "detection" if train["from_detection_checkpoint"] else "classification"
    train.honour("from_detection_checkpoint")
    kind = "full" if kind == "fine_tune" else kind
    if kind not in ("classification", "detection", "full"):
        raise train.refuse("fine_tune_checkpoint_type", kind, "classification, detection or full")
    return kind


def _where_training_runs(train: Section) -> None:
    train.honour("fine_tune_checkpoint")
    for name in (
        "sync_replicas",
        "startup_delay_steps",
        "replicas_to_aggregate",
        "use_bfloat16",
        "unpad_groundtruth_tensors",
        "load_all_detection_checkpoint_vars",
        "fine_tune_checkpoint_version",
        "keep_checkpoint_every_n_hours",
    ):
        if train.has(name):
            train.skip(name, "odflow trains in one process and decides this itself")
    for name in ("freeze_variables", "update_trainable_variables"):
        if getattr(train.message, name):
            train.unsupported(name, "all variables are trained")
    if train.message.add_regularization_loss:
        train.honour("add_regularization_loss")


def _outside_training(root: Section) -> Section:
    """Fields that the stage's own inputs stand in for, or that other stages decide."""
    root.skip("eval_config", "the evaluate stage decides this")
    root.skip("eval_input_reader", "the evaluate stage is given its own inputs")
    reader = root.section("train_input_reader")
    root.skip("train_input_reader", "the stage's inputs hold")
    reader.honour("label_map_path", "tf_record_input_reader")
    if reader.message.load_instance_masks:
        reader.unsupported("load_instance_masks", "boxes only")
    return reader
