"""A two-stage detector as training, evaluation and export see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.odapi import tensor_names
from odflow.training.checkpoints import Parts
from odflow.training.detection.boxes import decode_boxes
from odflow.training.detection.post_processing import convert_scores, suppress
from odflow.training.detector import DetectorArchitecture
from odflow.training.faster_rcnn.crops import crop, crop_masks
from odflow.training.faster_rcnn.losses import classifier_losses, mask_loss, of_class, proposal_losses
from odflow.training.faster_rcnn.network import FasterRcnnNetwork
from odflow.training.faster_rcnn.proposals import SCALES, Assigned, assign, propose
from odflow.training.faster_rcnn.settings import FasterRcnnModel
from odflow.training.faster_rcnn.targets import Targets, picture_window, resize
from odflow.training.layers.names import number_layers_anew
from odflow.training.settings import DetectorSettings

PROPOSAL, CLASSIFIER, HEADS = (
    f"model/{name}/"
    for name in (
        "_feature_extractor_for_proposal_features",
        "_feature_extractor_for_box_classifier_features",
        "_mask_rcnn_box_predictor",
    )
)


class FasterRcnn(DetectorArchitecture):
    """The architecture `model.faster_rcnn`."""

    # A crop that ends at the border has zeros in its last row or not: rounding decides it, in the API too.
    reproducible = 0.8

    def __init__(self, settings: DetectorSettings) -> None:
        assert isinstance(settings.model, FasterRcnnModel)
        self.settings, self.model = settings, settings.model
        self.targets = Targets(self.model, settings.training.reader.max_boxes)
        self.parts = _parts(self.model)
        self._anchors = tf.constant(self.model.anchor_boxes())
        self._trained = tf.constant(self.model.anchors_in_training())

    def build(self) -> tf_keras.Model:
        """The network with fresh weights."""
        number_layers_anew()
        return FasterRcnnNetwork(self.model)

    def normalizer(self, labels: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the losses of a batch are divided by: its images."""
        return tf.cast(tf.shape(labels["boxes"])[0], tf.float32)

    def forward(
        self, network: tf_keras.Model, inputs: Any, labels: Mapping[str, tf.Tensor]
    ) -> dict[str, Any]:
        """Run all stages on a batch; see `losses`."""
        maps, encodings, logits = network.propose(inputs, training=True)
        outputs = {"anchor_encodings": encodings, "anchor_logits": logits}
        if self.model.stages == 1:
            return outputs
        boxes, _, found = self._propose(encodings, logits, self._anchors, self._trained, labels["window"])
        assigned = assign(boxes, found, labels, self.model.second)
        crops = crop(maps, assigned.boxes, self.model.input_size, self.model.crop)
        features, encodings, logits = network.classify(crops, training=True)
        shape = tf.shape(assigned.used)
        outputs |= {
            "proposals": assigned._asdict(),
            "encodings": _by_image(encodings, shape),
            "logits": _by_image(logits, shape),
        }
        if self.model.masks:
            outputs["masks"] = _by_image(network.masks(crops, features, training=True), shape)
        return outputs

    def losses(self, outputs: Mapping[str, Any], labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The terms of all stages, by the API's names."""
        terms = proposal_losses(
            outputs["anchor_encodings"], outputs["anchor_logits"], labels, self.model.first
        )
        if self.model.stages == 1:
            return terms
        proposals = outputs["proposals"]
        whole = {name: tf.cast(proposals[name], tf.int32) for name in ("rows", "classes")}
        assigned = Assigned(**(proposals | whole))
        terms |= classifier_losses(outputs["encodings"], outputs["logits"], assigned, self.model.second)
        head = self.model.masks
        if head is None:
            return terms
        size = (head.height, head.width)
        wanted = crop_masks(labels["masks"], labels["boxes"], assigned.rows, assigned.boxes, size)
        return terms | mask_loss(outputs["masks"], wanted, assigned, head)

    def detect(self, network: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size; see `DetectorArchitecture.detect`.

        Returns:
            Also, with three stages, detection_masks (N, M, height, width) float32, 0 to 1,
            each filling its box. With one stage proposals, all of class 1.
        """
        inputs, picture = resize(images, self.model, padded=self.model.resizer.padded)
        maps, encodings, logits = network.propose(inputs)
        anchors, size = self._laid(maps, picture)
        every = tf.ones_like(anchors[:, 0], tf.bool)
        boxes, scores, found = self._propose(encodings, logits, anchors, every, picture_window(picture))
        if self.model.stages == 1:
            return _proposals(boxes, scores, found, picture)
        _, encodings, logits = network.classify(crop(maps, boxes, size, self.model.crop))
        detections = self._detections(boxes, found, encodings, logits, picture)
        if self.model.masks:
            boxes = detections[tensor_names.BOXES] * tf.concat([picture, picture], 0)
            crops = crop(maps, boxes, size, self.model.crop)
            detections[tensor_names.MASKS] = self._masks(network, crops, detections)
        return detections

    def _laid(self, maps: list[tf.Tensor], picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The anchors on the maps, and the height and width in pixels that the maps are of.

        Without padding the maps are the upper left part of the square's, and so are their anchors.
        """
        if self.model.resizer.padded:
            return self._anchors, tf.constant(self.model.input_size, tf.float32)
        rows, columns = tf.unstack(tf.shape(maps[0])[1:3])
        square = tf.reshape(self._anchors, [*self.model.map_shapes()[0], -1, 4])
        laid = tf.reshape(square[:rows, :columns], [-1, 4])
        return tf.minimum(laid, tf.concat([picture, picture], 0)), picture

    def _propose(
        self,
        encodings: tf.Tensor,
        logits: tf.Tensor,
        anchors: tf.Tensor,
        allowed: tf.Tensor,
        window: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return propose(encodings, logits, anchors, allowed, window, self.model.first)

    def _detections(
        self,
        boxes: tf.Tensor,
        found: tf.Tensor,
        encodings: tf.Tensor,
        logits: tf.Tensor,
        picture: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        post, shape = self.model.post_processing, tf.shape(found)
        refined = decode_boxes(_by_image(encodings, shape), boxes[:, :, tf.newaxis], SCALES)
        logits = _by_image(logits, shape)
        scores = convert_scores(logits, post)
        rows = tf.broadcast_to(tf.range(shape[1], dtype=tf.float32), shape)
        fields = {tensor_names.MULTICLASS_SCORES: scores, tensor_names.ANCHORS: rows}
        candidates = tf.where(found[..., tf.newaxis], scores[..., 1:], tf.float32.min)
        best = tf.argmax(logits[..., 1:], axis=2, output_type=tf.int32) + 1
        return {
            **suppress(refined, candidates, post, picture_window(picture), fields),
            tensor_names.RAW_BOXES: _framed(of_class(refined, best), picture),
            tensor_names.RAW_SCORES: scores,
        }

    def _masks(
        self, network: tf_keras.Model, crops: tf.Tensor, detections: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Masks of what was detected, out of its crops; zero after the last detection."""
        features, _, _ = network.classify(crops)
        shape = tf.shape(detections[tensor_names.BOXES])[:2]
        logits = _by_image(network.masks(crops, features), shape)
        classes = tf.cast(detections[tensor_names.CLASSES], tf.int32)
        found = tf.sequence_mask(detections[tensor_names.COUNT], shape[1])[..., tf.newaxis, tf.newaxis]
        return tf.where(found, tf.sigmoid(of_class(logits, classes)), 0.0)


def _by_image(values: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """(N * P, ...) as (N, P, ...)."""
    found = tf.reshape(values, tf.concat([shape, values.shape[1:]], 0))
    return tf.ensure_shape(found, [None, None, *values.shape[1:]])


def _framed(boxes: tf.Tensor, picture: tf.Tensor) -> tf.Tensor:
    """Boxes in pixels as shares of the picture's height and width, clipped to it."""
    return tf.clip_by_value(boxes / tf.concat([picture, picture], 0), 0.0, 1.0)


def _proposals(
    boxes: tf.Tensor, scores: tf.Tensor, found: tf.Tensor, picture: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Proposals as detections."""
    return {
        tensor_names.BOXES: _framed(boxes, picture),
        tensor_names.SCORES: scores,
        tensor_names.CLASSES: tf.ones_like(scores),
        tensor_names.COUNT: tf.reduce_sum(tf.cast(found, tf.float32), axis=1),
    }


def _parts(model: FasterRcnnModel) -> Parts:
    """What the variables belong to; without a pyramid both extractors are the backbone's."""
    pyramid = model.extractor.pyramid
    heads = ("_class_prediction_head/", "_box_prediction_head/", "_third_stage_heads/mask_predictions/")
    return Parts(
        backbone=(f"{PROPOSAL}classification_backbone/",) if pyramid else (PROPOSAL, CLASSIFIER),
        features=(PROPOSAL, CLASSIFIER),
        class_layers=tuple(HEADS + part for part in heads),
    )
