"""The network of a two-stage detector; attributes are named as the API's checkpoints have them."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from odflow.training.faster_rcnn.extractors import box_classifier_features, proposal_features
from odflow.training.faster_rcnn.heads import Predictor, Proposer, proposal_convolution
from odflow.training.faster_rcnn.settings import FasterRcnnModel

SMALL = 128
"""Side of the image, in pixels, that the network is built with."""


class FasterRcnnNetwork(tf_keras.Model):
    """Proposals from feature maps, and class, box and mask from crops of these."""

    def __init__(self, model: FasterRcnnModel) -> None:
        """Make all layers, with fresh weights.

        Args:
            model: what to build.
        """
        super().__init__()
        self._model = model
        self._feature_extractor_for_proposal_features = proposal_features(model.extractor)
        self._first_stage_box_predictor_first_conv = proposal_convolution(model.first)
        self._first_stage_box_predictor = Proposer(model.first.hyperparams, model.anchors.per_level)
        maps, _, _ = self.propose(tf.zeros([1, SMALL, SMALL, 3]))
        if model.stages > 1:
            self._add_second_stage(maps[0].shape[-1])

    def _add_second_stage(self, channels: int) -> None:
        model, crop = self._model, self._model.crop
        side = (crop.size - crop.pool_size) // crop.pool_stride + 1
        extractor = box_classifier_features(model.extractor, channels)
        self._feature_extractor_for_box_classifier_features = extractor
        crops = tf.zeros([1, side, side, channels])
        seen = channels if model.extractor.pyramid else extractor(crops).shape[-1]
        self._mask_rcnn_box_predictor = Predictor(model.num_classes, model.boxes, model.masks, seen)
        features = self.classify(crops)[0]
        if model.masks:
            self.masks(crops, features)

    def propose(
        self, images: tf.Tensor, training: bool = False
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """The first stage.

        Args:
            images: (N, H, W, 3) float32, preprocessed.
            training: batch norms learn.

        Returns:
            maps (N, h, w, channels), finest first; encodings (N, A, 4) and logits (N, A, 2),
            background and object, of all anchors, float32.
        """
        found = self._feature_extractor_for_proposal_features(images, training=training)
        maps = found if isinstance(found, list) else [found]
        seen = [self._first_stage_box_predictor_first_conv(each, training=training) for each in maps]
        encodings, logits = self._first_stage_box_predictor(seen)
        return maps, tf.cast(encodings, tf.float32), tf.cast(logits, tf.float32)

    def classify(self, crops: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The second stage.

        Args:
            crops: (P, h, w, channels) of the maps, one of each proposal.
            training: batch norms learn, dropout drops.

        Returns:
            features of the proposals; encodings (P, classes or 1, 4); logits
            (P, classes + 1), background first, float32.
        """
        features = self._feature_extractor_for_box_classifier_features(crops, training=training)
        encodings, logits = self._mask_rcnn_box_predictor(features, training=training)
        return features, tf.cast(encodings, tf.float32), tf.cast(logits, tf.float32)

    def masks(self, crops: tf.Tensor, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The third stage: mask logits (P, classes or 1, height, width), float32.

        Args:
            crops: as `classify` takes them; with a pyramid the masks come from these, since
                its features of a proposal are one cell, which holds no shape.
            features: as `classify` gives them.
            training: batch norms learn.
        """
        seen = crops if self._model.extractor.pyramid else features
        (logits,) = self._mask_rcnn_box_predictor(seen, training=training, masks=True)
        return tf.cast(logits, tf.float32)
