"""Translate the feature extractor of a two-stage detector."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.config.hyperparams import hyperparams
from odflow.training.faster_rcnn.settings import Extractor, Pyramid

TF1 = {f"faster_rcnn_resnet{depth}": depth for depth in (50, 101, 152)}
ONE_MAP = {f"faster_rcnn_resnet{depth}_keras": depth for depth in (50, 101, 152)}
WITH_PYRAMID = {f"faster_rcnn_resnet{depth}_fpn_keras": depth for depth in (50, 101, 152)}
"""The types of extractor, and the depth of the ResNet in each."""

INSTEAD = {
    "faster_rcnn_inception_resnet_v2_keras": "faster_rcnn_resnet101_keras",
    "faster_rcnn_inception_resnet_v2": "faster_rcnn_resnet101",
    "faster_rcnn_inception_v2": "faster_rcnn_resnet50",
    "faster_rcnn_mobilenet_v1": "faster_rcnn_resnet50",
    "faster_rcnn_nas": "faster_rcnn_resnet101",
    "faster_rcnn_pnas": "faster_rcnn_resnet101",
}
"""How the API's other types begin, and what comes nearest to them."""


def read_extractor(section: Section) -> Extractor:
    """Read a `FasterRcnnFeatureExtractor`.

    Raises:
        ConfigError: a backbone that odflow does not have.
    """
    kind = section["type"]
    depth = (TF1 | ONE_MAP | WITH_PYRAMID).get(kind)
    if depth is None:
        raise section.refuse_type(kind, TF1 | ONE_MAP | WITH_PYRAMID, INSTEAD)
    if kind in WITH_PYRAMID:
        return _with_pyramid(section, depth)
    for name in ("conv_hyperparams", "override_base_feature_extractor_hyperparams", "fpn", "pad_to_multiple"):
        if section.has(name):
            section.skip(name, f"{kind} has no layers of its own and no pyramid")
    return Extractor(
        depth=depth,
        slim=kind in TF1,
        stride=_stride(section, (8, 16) if kind in TF1 else (16,)),
        train_batch_norm=section["batch_norm_trainable"],
    )


def _stride(section: Section, known: tuple[int, ...]) -> int:
    stride = section.positive("first_stage_features_stride")
    if stride not in known:
        raise section.refuse("first_stage_features_stride", stride, " or ".join(map(str, known)))
    return stride


def _with_pyramid(section: Section, depth: int) -> Extractor:
    section.skip("first_stage_features_stride", "the pyramid's levels decide")
    own = hyperparams(section.section("conv_hyperparams"))
    override = section["override_base_feature_extractor_hyperparams"]
    fpn = section.section("fpn")
    low, high = fpn["min_level"], fpn["max_level"]
    if not 2 <= low <= 5 or high < low:
        raise fpn.refuse("min_level", f"{low} and max_level {high}", "2 to 5, and max_level no less")
    return Extractor(
        depth=depth,
        slim=False,
        stride=2**low,
        hyperparams=own if override else None,
        train_batch_norm=section["batch_norm_trainable"],
        pyramid=Pyramid(
            min_level=low,
            max_level=high,
            filters=fpn.positive("additional_layer_depth"),
            hyperparams=own,
            pad_to_multiple=section.positive("pad_to_multiple"),
        ),
    )
