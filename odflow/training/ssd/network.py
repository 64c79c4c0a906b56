"""The network of a single-shot detector."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions
from odflow.training.ssd.extractors import EXTRACTORS, PREDICTORS
from odflow.training.ssd.settings import SsdModel


class SsdNetwork(tf_keras.Model):
    """A feature extractor and a box predictor.

    `tf.train.Checkpoint(model=network)` stores its weights under the names that the Object
    Detection API's own checkpoints have.
    """

    def __init__(
        self, extractor: tf_keras.layers.Layer, predictor: tf_keras.layers.Layer, height: int, width: int
    ) -> None:
        """Put a network together and make its variables.

        Args:
            extractor: from images to a list of feature maps.
            predictor: from feature maps to encodings and logits.
            height: of the images in pixels.
            width: of the images in pixels.
        """
        super().__init__(name="ssd")
        self._feature_extractor = extractor
        self._box_predictor = predictor
        # Not through `call`, so that no variable's name begins with the name of this model.
        predictor(extractor(tf_keras.Input((height, width, 3))))
        self.built = True

    def call(
        self, inputs: tf.Tensor, training: bool | None = None
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Predict.

        Args:
            inputs: (N, H, W, 3) float32, preprocessed.
            training: batch norms learn, dropout drops.

        Returns:
            maps: the feature maps (N, h, w, channels), finest first.
            encodings: (N, anchors, 4) float32: encoded y x height width.
            logits: (N, anchors, slots) float32; slot 0 is the background where the model has one.
        """
        maps = self._feature_extractor(inputs, training=training)
        encodings, logits = self._box_predictor(maps, training=training)
        return maps, tf.cast(encodings, tf.float32), tf.cast(logits, tf.float32)


def build_network(model: SsdModel) -> SsdNetwork:
    """A network with fresh weights.

    Args:
        model: what to build.
    """
    frozen = model.freeze_batch_norm
    extractor, predictor = model.extractor, model.predictor
    return SsdNetwork(
        EXTRACTORS[extractor.type](extractor, Convolutions(extractor.hyperparams, frozen)),
        PREDICTORS[type(predictor)](
            predictor, model.anchors.per_level, model.class_slots, Convolutions(predictor.hyperparams, frozen)
        ),
        model.resizer.height,
        model.resizer.width,
    )
