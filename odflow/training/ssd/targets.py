"""What the anchors of an image are to answer."""

from __future__ import annotations

import tensorflow as tf
from official.vision.ops import anchor, box_matcher

from odflow.training.augmentation import Sample
from odflow.training.preprocessing import preprocess
from odflow.training.ssd.settings import Matching, SsdModel


class Targets:
    """Turns a sample into what the network is to answer."""

    def __init__(self, model: SsdModel) -> None:
        self._model = model
        self._anchors = model.anchors.boxes(model.resizer.height, model.resizer.width)
        self._labeler = _labeler(model.matching)

    def __call__(self, sample: Sample) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Preprocess the image and match its boxes with the anchors.

        Returns:
            inputs (H, W, 3) float32; labels `classes` (anchors,) int64, -1 where no box
            is; `encodings` (anchors, 4); `class_weights` and `box_weights` (anchors,).
        """
        tf.debugging.assert_less_equal(
            sample.classes,
            tf.constant(self._model.num_classes, tf.int64),
            f"a record has a class id above num_classes, {self._model.num_classes}: other label map?",
        )
        inputs, shape = preprocess(
            sample.image[tf.newaxis], self._model.resizer, self._model.extractor.pixel_means
        )
        boxes = sample.boxes_yxyx * tf.concat([shape, shape], 0)
        # One "level" whose map is a column of all anchors: the labeler splits by shape.
        levels = {"all": tf.constant(self._anchors)[:, tf.newaxis]}
        classes, encodings, _, class_weights, box_weights = self._labeler.label_anchors(
            levels, boxes, sample.classes[:, tf.newaxis]
        )
        return inputs[0], {
            "classes": tf.reshape(classes["all"], [-1]),
            "encodings": tf.reshape(encodings["all"], [-1, 4]),
            "class_weights": tf.reshape(class_weights, [-1]),
            "box_weights": tf.reshape(box_weights, [-1]),
        }


def _labeler(matching: Matching) -> anchor.AnchorLabeler:
    labeler = anchor.AnchorLabeler(
        match_threshold=matching.matched,
        unmatched_threshold=matching.unmatched,
        box_coder_weights=list(matching.box_scales),
    )
    labeler.matcher = box_matcher.BoxMatcher(
        thresholds=[matching.unmatched, matching.matched],
        indicators=[-1, -2, 1],
        force_match_for_each_col=matching.force_match,
    )
    return labeler
