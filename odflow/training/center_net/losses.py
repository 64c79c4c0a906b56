"""The losses of the Object Detection API's CenterNet."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
from official.projects.centernet.losses.centernet_losses import PenaltyReducedLogisticFocalLoss

from odflow.training.center_net.network import CENTER, OFFSET, SCALE, Predictions
from odflow.training.center_net.settings import CenterNetModel, Focal

Labels = Mapping[str, tf.Tensor]


def center_net_losses(
    predictions: Predictions, labels: Labels, model: CenterNetModel
) -> dict[str, tf.Tensor]:
    """The terms of the loss, weighted; each is the mean over the extractor's outputs.

    Args:
        predictions: of the network.
        labels: see `targets.Targets`, batched.
        model: the detector.

    Returns:
        `object_center`, `box/scale` and `box/offset`, scalars.
    """
    boxes, count = model.boxes, number_of_boxes(labels)
    center = heatmap_loss(predictions[CENTER], labels["centers"], labels["valid"], model.centers.focal)
    scale = _distance(predictions[SCALE], labels["sizes"], labels)
    offset = _distance(predictions[OFFSET], labels["offsets"], labels)
    return {
        CENTER: model.centers.weight * center / count,
        SCALE: boxes.weight * boxes.scale_weight * scale / count,
        OFFSET: boxes.weight * boxes.offset_weight * offset / count,
    }


def number_of_boxes(labels: Labels) -> tf.Tensor:
    """What the losses of a batch are divided by: its boxes, at least 1; scalar float32."""
    return tf.maximum(tf.math.count_nonzero(labels["weights"], dtype=tf.float32), 1.0)


def heatmap_loss(maps: list[tf.Tensor], wanted: tf.Tensor, weights: tf.Tensor, focal: Focal) -> tf.Tensor:
    """The penalty-reduced focal loss, summed over a batch.

    Args:
        maps: logits (N, h, w, channels) of each output.
        wanted: (N, h, w, channels), 1 at a peak.
        weights: (N, h, w, 1) or as `wanted`.
        focal: its exponents.

    Returns:
        A scalar, the mean over the outputs.
    """
    loss = PenaltyReducedLogisticFocalLoss(focal.alpha, focal.beta)
    return tf.add_n([tf.reduce_sum(loss(one, wanted, weights)) for one in maps]) / len(maps)


def _distance(maps: list[tf.Tensor], wanted: tf.Tensor, labels: Labels) -> tf.Tensor:
    """The absolute error at the objects' centres, summed over a batch; mean over the outputs."""
    weights = labels["weights"][..., tf.newaxis]
    errors = [tf.abs(at_cells(one, labels["cells"]) - wanted) * weights for one in maps]
    return tf.add_n([tf.reduce_sum(error) for error in errors]) / len(maps)


def at_cells(maps: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Read maps (N, h, w, channels) at cells (N, M), numbered row by row: (N, M, channels)."""
    flat = tf.reshape(maps, [tf.shape(maps)[0], -1, maps.shape[-1]])
    return tf.gather(flat, cells, batch_dims=1)
