"""Translate `model.ssd` of a pipeline.config."""

from __future__ import annotations

from collections.abc import Callable

from odflow.odapi.section import Section
from odflow.training.config.hyperparams import hyperparams
from odflow.training.config.post_processing import read_post_processing
from odflow.training.config.resizer import read_resizer
from odflow.training.settings import Resizer
from odflow.training.ssd.anchors_config import read_anchors
from odflow.training.ssd.extractor_types import EXTRACTOR_TYPES, INSTEAD
from odflow.training.ssd.losses_config import NO_LOSSES, read_losses, read_matching, without_matching
from odflow.training.ssd.settings import (
    BifpnShape,
    ConvolutionalPredictor,
    Extractor,
    FpnShape,
    Predictor,
    SsdModel,
    WeightSharedPredictor,
)

COMBINE_METHODS = ("fast_attention", "attention", "weighted_sum", "sum")
"""How a node of a BiFPN may add its inputs."""


def read_ssd(ssd: Section) -> SsdModel:
    """Read `model.ssd`.

    Args:
        ssd: the message.

    Returns:
        The detector with its losses.

    Raises:
        ConfigError: a part that odflow cannot build.
    """
    # Both are always so: batch norms learn within the step, and raw detections are among the outputs.
    ssd.honour("inplace_batchnorm_update", "return_raw_detections_during_predict")
    if ssd.has("mask_head_config"):
        ssd.unsupported("mask_head_config", "boxes only")
    extractor = _extractor(ssd.section("feature_extractor"))
    resizer = read_resizer(ssd.section("image_resizer"))
    _check_size(ssd, resizer, extractor)
    return SsdModel(
        num_classes=ssd.positive("num_classes"),
        resizer=resizer,
        extractor=extractor,
        predictor=_predictor(ssd.section("box_predictor")),
        anchors=read_anchors(ssd.section("anchor_generator"), extractor),
        matching=ssd.to_train(lambda: read_matching(ssd), None) or without_matching(ssd),
        losses=ssd.to_train(lambda: read_losses(ssd), NO_LOSSES),
        background=ssd["add_background_class"],
        freeze_batch_norm=_freeze_batch_norm(ssd),
        post_processing=read_post_processing(ssd.section("post_processing")),
    )


def _freeze_batch_norm(ssd: Section) -> bool:
    """Whether batch norms stand still; the API's first configs say so in the extractor."""
    freeze = bool(ssd["freeze_batchnorm"])
    extractor = ssd.section("feature_extractor")
    if extractor["batch_norm_trainable"]:
        return freeze
    if not freeze:
        extractor.approximate("batch_norm_trainable", "all batch norms stand still, not the backbone's alone")
    return True


def _extractor(section: Section) -> Extractor:
    name = section["type"]
    section.skip("spaghettinet_arch_name", "of a SpaghettiNet alone")
    section.skip("use_hardswish", "the API reads it nowhere")
    if name not in EXTRACTOR_TYPES:
        raise section.refuse_type(name, EXTRACTOR_TYPES, INSTEAD)
    kind = EXTRACTOR_TYPES[name]
    if section["replace_preprocessor_with_placeholder"]:
        raise section.refuse("replace_preprocessor_with_placeholder", "true", "false")
    if not kind.scalable and section["depth_multiplier"] != 1.0:
        raise section.refuse("depth_multiplier", section["depth_multiplier"], f"1.0 with {name}")
    plain = {field: section[field] for field in ("use_depthwise", "use_explicit_padding")}
    if kind.plain_only:
        for field in plain:
            section.skip(field, f"{name} has no such layers, in the API neither")
    return Extractor(
        type=name,
        hyperparams=hyperparams(section.section("conv_hyperparams")),
        pyramid=_pyramid(section, kind.pyramid),
        depth_multiplier=section["depth_multiplier"],
        min_depth=section["min_depth"],
        separable=plain["use_depthwise"] and not kind.plain_only,
        explicit_padding=plain["use_explicit_padding"] and not kind.plain_only,
        override_hyperparams=section["override_base_feature_extractor_hyperparams"],
        pad_to_multiple=section.positive("pad_to_multiple"),
        num_layers=section.positive("num_layers"),
        pixel_means=kind.pixel_means,
    )


def _pyramid(section: Section, kind: str) -> FpnShape | BifpnShape | None:
    found = section.choice("feature_pyramid_oneof")
    if found and found != kind:
        raise section.refuse(found, "set", f"{kind or 'no feature pyramid'}, as in {section.message.type}")
    if not kind:
        return None
    shape = section.section(kind)
    low, high = shape["min_level"], shape["max_level"]
    if not 2 <= low <= min(high, 5):
        raise shape.refuse("min_level", low, f"2 to {min(high, 5)}")
    if kind == "fpn":
        return FpnShape(low, high, shape.positive("additional_layer_depth"))
    return _bifpn(shape, low, high)


def _check_size(ssd: Section, resizer: Resizer, extractor: Extractor) -> None:
    """A BiFPN adds maps that are halved and doubled, so that every level must halve without rest."""
    step = 2 ** extractor.levels[-1]
    if isinstance(extractor.pyramid, BifpnShape) and (resizer.height % step or resizer.width % step):
        size = f"{resizer.height}x{resizer.width}"
        raise ssd.refuse("image_resizer", size, f"multiples of {step}, as bifpn.max_level asks")


def _bifpn(shape: Section, low: int, high: int) -> BifpnShape:
    shape.honour("use_native_resize_op")  # the same numbers
    method = shape["combine_method"]
    if method not in COMBINE_METHODS:
        raise shape.refuse_choice("combine_method", method, COMBINE_METHODS)
    return BifpnShape(low, high, shape.positive("num_iterations"), shape.positive("num_filters"), method)


def _predictor(section: Section) -> Predictor:
    kind = section.choice("box_predictor_oneof")
    if kind not in PREDICTORS:
        raise section.refuse_choice("box_predictor_oneof", kind, PREDICTORS)
    predictor = section.section(kind)
    if predictor["box_code_size"] != 4:
        raise predictor.refuse("box_code_size", predictor["box_code_size"], "4")
    if predictor.has("mask_head"):
        predictor.unsupported("mask_head", "boxes only")
    if predictor["use_depthwise"] and predictor["kernel_size"] == 1:
        raise predictor.refuse("kernel_size", 1, "more than 1 with use_depthwise")
    return PREDICTORS[kind](predictor)


def _weight_shared_predictor(predictor: Section) -> WeightSharedPredictor:
    return WeightSharedPredictor(
        hyperparams=hyperparams(predictor.section("conv_hyperparams")),
        convolutions=predictor["num_layers_before_predictor"],
        filters=predictor["depth"],
        kernel_size=predictor.positive("kernel_size"),
        separable=predictor["use_depthwise"],
        share_tower=predictor["share_prediction_tower"],
        class_bias=predictor["class_prediction_bias_init"],
        dropout=dropout(predictor),
        encodings_range=encodings_range(predictor),
        sigmoid=predictor["score_converter"] == predictor.message.SIGMOID,
        hyperparams_on_heads=predictor["apply_conv_hyperparams_to_heads"],
        hyperparams_on_pointwise=predictor["apply_conv_hyperparams_pointwise"],
    )


def _convolutional_predictor(predictor: Section) -> ConvolutionalPredictor:
    if predictor["apply_sigmoid_to_scores"]:
        raise predictor.refuse(
            "apply_sigmoid_to_scores", "true", "false, and post_processing.score_converter: SIGMOID"
        )
    if predictor["min_depth"] > predictor["max_depth"]:
        raise predictor.refuse(
            "min_depth", predictor["min_depth"], f"at most max_depth, {predictor['max_depth']}"
        )
    return ConvolutionalPredictor(
        hyperparams=hyperparams(predictor.section("conv_hyperparams")),
        convolutions=predictor["num_layers_before_predictor"],
        min_depth=predictor["min_depth"],
        max_depth=predictor["max_depth"],
        kernel_size=predictor.positive("kernel_size"),
        separable=predictor["use_depthwise"],
        class_bias=predictor["class_prediction_bias_init"],
        dropout=dropout(predictor),
        encodings_range=encodings_range(predictor),
    )


def dropout(predictor: Section) -> float | None:
    """The share of a class head's inputs that training drops."""
    keep = predictor["dropout_keep_probability"]
    if not 0.0 < keep <= 1.0:
        raise predictor.refuse("dropout_keep_probability", keep, "above 0 and at most 1")
    return 1.0 - keep if predictor["use_dropout"] else None


def encodings_range(predictor: Section) -> tuple[float, float] | None:
    """Where box encodings are cut off."""
    if not predictor.has("box_encodings_clip_range"):
        return None
    limits = predictor.section("box_encodings_clip_range")
    return limits["min"], limits["max"]


PREDICTORS: dict[str, Callable[[Section], Predictor]] = {
    "convolutional_box_predictor": _convolutional_predictor,
    "weight_shared_convolutional_box_predictor": _weight_shared_predictor,
}
"""The kinds of `box_predictor`, and what reads each."""
