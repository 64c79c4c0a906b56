"""From a pipeline.config of the Object Detection API to what this room trains."""

from __future__ import annotations

from typing import Any

from odflow.odapi.section import Coverage, Section
from odflow.training.augmentation_config import augmentations
from odflow.training.model_config import read_model
from odflow.training.optimization_config import optimizer
from odflow.training.settings import Losses, Matching, Settings, Training


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
    model = read_model(ssd)
    reader = _outside_training(root)
    return Settings(model, _training(root.section("train_config"), ssd, reader)), coverage


def _training(train: Section, ssd: Section, reader: Section) -> Training:
    _where_training_runs(train)
    return Training(
        batch_size=train.positive("batch_size"),
        num_steps=train.positive("num_steps"),
        optimizer=optimizer(train),
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
