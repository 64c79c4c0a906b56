"""From scored boxes to detections."""

from __future__ import annotations

import tensorflow as tf

from odflow.training.settings import PostProcessing


def suppress(boxes_yxyx: tf.Tensor, scores: tf.Tensor, nms: PostProcessing) -> dict[str, tf.Tensor]:
    """Non-maximum suppression within each class; rows after the last detection are zero.

    Args:
        boxes_yxyx: (N, anchors, 4) float32, of the image's height and width.
        scores: (N, anchors, classes) float32, without the background.
        nms: thresholds and limits.

    Returns:
        detection_boxes (N, M, 4), detection_scores (N, M), detection_classes (N, M)
        ids from 1, num_detections (N,); all float32.
    """
    boxes, kept, classes, count = tf.image.combined_non_max_suppression(
        boxes_yxyx[:, :, tf.newaxis],
        scores,
        max_output_size_per_class=nms.max_per_class,
        max_total_size=nms.max_total,
        iou_threshold=nms.iou_threshold,
        score_threshold=nms.score_threshold,
        clip_boxes=False,
    )
    found = tf.sequence_mask(count, nms.max_total, dtype=tf.float32)
    return {
        "detection_boxes": boxes,
        "detection_scores": kept,
        "detection_classes": (classes + 1.0) * found,
        "num_detections": tf.cast(count, tf.float32),
    }
