"""Translate `model.center_net` of a pipeline.config."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.center_net.extractor_types import HOURGLASSES, RESNET_STEP, RESNETS, joined
from odflow.training.center_net.settings import Boxes, CenterNetModel, Centers, Extractor, Focal, Head
from odflow.training.config.resizer import read_resizer
from odflow.training.settings import Normalization, Resizer

KEYPOINTS = "trained on boxes alone, without keypoints"

LEFT_OUT = {
    "keypoint_label_map_path": KEYPOINTS,
    "keypoint_estimation_task": KEYPOINTS,
    "mask_estimation_task": "trained without masks; a Mask R-CNN has them",
    "densepose_estimation_task": "trained without DensePose",
    "track_estimation_task": "trained without tracking",
    "temporal_offset_task": "trained without tracking",
    "post_processing": "the peaks alone decide",
}
"""Fields that a training goes on without, and what it is then."""


def read_center_net(net: Section) -> CenterNetModel:
    """Read `model.center_net`.

    Args:
        net: the message.

    Returns:
        The detector.

    Raises:
        ConfigError: a part that odflow cannot build.
    """
    if net.has("deepmac_mask_estimation"):
        wanted = "no DeepMAC: leave it out to train boxes, or train a Mask R-CNN (model.faster_rcnn)"
        raise net.refuse("deepmac_mask_estimation", "set", wanted)
    if not net.has("object_detection_task"):
        raise net.refuse("object_detection_task", "not set", "set: odflow's detectors find boxes")
    for field, _ in net.message.ListFields():
        if field.name in LEFT_OUT:
            net.unsupported(field.name, LEFT_OUT[field.name])
    net.honour("compute_heatmap_sparse")  # the same targets by another way
    if net["output_prediction_dict"]:
        net.unsupported("output_prediction_dict", "detections are exported, not the heads' own maps")
    resizer = read_resizer(net.section("image_resizer"))
    return CenterNetModel(
        num_classes=net.positive("num_classes"),
        resizer=resizer,
        extractor=_extractor(net.section("feature_extractor"), resizer),
        centers=_centers(net.section("object_center_params")),
        boxes=_boxes(net.section("object_detection_task")),
        separable=net["use_depthwise"],
    )


def _extractor(section: Section, resizer: Resizer) -> Extractor:
    kind = section["type"]
    if kind not in HOURGLASSES and kind not in RESNETS:
        raise section.refuse_choice("type", kind, [*HOURGLASSES, *RESNETS])
    step = HOURGLASSES[kind].step if kind in HOURGLASSES else RESNET_STEP
    if resizer.height % step or resizer.width % step:
        size = f"{kind} with images of {resizer.height}x{resizer.width}"
        raise section.refuse("type", size, f"height and width that are multiples of {step}")
    for name in ("use_depthwise", "depth_multiplier", "use_separable_conv", "upsampling_interpolation"):
        if section.has(name):
            section.skip(name, "for MobileNets alone, in the API too")
    return Extractor(kind, _normalization(section))


def _normalization(section: Section) -> Normalization:
    """The config's own means and deviations, and after these the backbone's."""
    means, deviations = _three(section, "channel_means", 0.0), _three(section, "channel_stds", 1.0)
    own = Normalization(means, deviations, section["bgr_ordering"], padding_too=True)
    kind = section["type"]
    return joined(own, RESNETS[kind]) if kind in RESNETS else own


def _three(section: Section, name: str, default: float) -> tuple[float, float, float]:
    values = tuple(section[name]) or (default,) * 3
    if len(values) != 3:
        raise section.refuse(name, f"{len(values)} numbers", "3, one a channel")
    return values


def _centers(section: Section) -> Centers:
    for name in ("use_labeled_classes", "keypoint_weights_for_center"):
        if getattr(section.message, name):
            section.unsupported(name, "centres are those of boxes, and all classes count")
        else:
            section.honour(name)
    return Centers(
        weight=section["object_center_loss_weight"],
        focal=section.to_train(lambda: read_focal(section.section("classification_loss")), Focal(0.0, 0.0)),
        bias=section["heatmap_bias_init"],
        min_overlap=section["min_box_overlap_iou"],
        max_detections=section.positive("max_box_predictions"),
        peak_window=section.positive("peak_max_pool_kernel_size"),
        head=read_head(section, "center_head_params"),
    )


def _boxes(section: Section) -> Boxes:
    section.to_train(lambda: check_l1(section.section("localization_loss")), None)
    return Boxes(
        weight=section["task_loss_weight"],
        scale_weight=section["scale_loss_weight"],
        offset_weight=section["offset_loss_weight"],
        scale_head=read_head(section, "scale_head_params"),
        offset_head=read_head(section, "offset_head_params"),
    )


def read_focal(section: Section) -> Focal:
    """Read the classification loss of a heatmap."""
    kind = section.choice("classification_loss")
    if kind != "penalty_reduced_logistic_focal_loss":
        raise section.refuse_choice("classification_loss", kind, ["penalty_reduced_logistic_focal_loss"])
    loss = section.section(kind)
    return Focal(loss["alpha"], loss["beta"])


def check_l1(section: Section) -> None:
    """Refuse another localization loss than the absolute difference."""
    kind = section.choice("localization_loss")
    if kind != "l1_localization_loss":
        raise section.refuse_choice("localization_loss", kind, ["l1_localization_loss"])


def read_head(section: Section, name: str) -> Head:
    """Read the convolutions of a head; one of 256 channels, 3x3, where none are set."""
    head = section.section(name)
    filters, sizes = tuple(head["num_filters"]), tuple(head["kernel_sizes"])
    if not section.has(name):
        return Head()
    if not filters or len(filters) != len(sizes):
        raise section.refuse(
            name, f"{len(filters)} num_filters, {len(sizes)} kernel_sizes", "as many of each"
        )
    return Head(filters, sizes)
