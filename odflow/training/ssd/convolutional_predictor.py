"""The box predictor that has convolutions of its own for each feature map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions, apply
from odflow.training.ssd.settings import ConvolutionalPredictor

BOXES = "box_encodings"
CLASSES = "class_predictions_with_background"


def convolutional_predictor(
    settings: ConvolutionalPredictor, anchors: Sequence[int], slots: int, layers: Convolutions
) -> tf_keras.layers.Layer:
    """`convolutional_box_predictor`.

    Args:
        settings: of the predictor.
        anchors: at one place of each feature map.
        slots: classes, with the background where it has one.
        layers: makes its layers.

    Returns:
        A layer from the feature maps to encodings (N, anchors, 4) and logits (N, anchors, slots).
    """
    return PerMapPredictor(settings, anchors, slots, layers)


class PerMapPredictor(tf_keras.layers.Layer):
    """1x1 convolutions, then a head for boxes and one for classes, anew for each feature map.

    The attributes have the names that the Object Detection API's have: they are part of the
    names of the weights in a checkpoint.
    """

    def __init__(
        self, settings: ConvolutionalPredictor, anchors: Sequence[int], slots: int, layers: Convolutions
    ) -> None:
        super().__init__(name="BoxPredictor")
        self._settings, self._layers = settings, layers
        self._prediction_heads: dict[str, list[Any]] = {
            BOXES: [_BoxHead(settings, each, layers, level) for level, each in enumerate(anchors)],
            CLASSES: [_ClassHead(settings, each, slots, layers, level) for level, each in enumerate(anchors)],
        }
        self._shared_nets: list[list[tf_keras.layers.Layer]] = []

    def build(self, shapes: Sequence[tf.TensorShape]) -> None:
        """Make the convolutions before the heads, as wide as the maps within the config's limits."""
        least, most = self._settings.min_depth, self._settings.max_depth
        depths = [max(min(shape[-1], most), least) for shape in shapes]
        self._shared_nets = [self._shared(level, depth) for level, depth in enumerate(depths)]
        super().build(shapes)

    def call(self, maps: Sequence[tf.Tensor], training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Predict.

        Args:
            maps: the feature maps (N, h, w, channels), finest first.
            training: batch norms learn, dropout drops.

        Returns:
            encodings (N, anchors, 4) and logits (N, anchors, slots), finest map first,
            then rows, columns, the anchors of a place.
        """
        features = [apply(net, one, training) for net, one in zip(self._shared_nets, maps, strict=True)]
        found = {
            kind: [head(one, training=training) for head, one in zip(heads, features, strict=True)]
            for kind, heads in self._prediction_heads.items()
        }
        return tf.concat(found[BOXES], axis=1), tf.concat(found[CLASSES], axis=1)

    def _shared(self, level: int, depth: int) -> list[tf_keras.layers.Layer]:
        found = []
        for i in range(self._settings.convolutions if depth else 0):
            name = f"SharedConvolutions_{level}/Conv2d_{i}_1x1_{depth}"
            found += [
                self._layers.conv2d(depth, 1, name),
                self._layers.batch_norm(f"{name}_norm"),
                self._layers.activation(f"{name}_activation"),
            ]
        return found


class _BoxHead(tf_keras.layers.Layer):
    """From a map to (N, h w anchors, 4)."""

    def __init__(
        self, settings: ConvolutionalPredictor, anchors: int, layers: Convolutions, level: int
    ) -> None:
        super().__init__(name=f"ConvolutionalBoxHead_{level}")
        self._clip = settings.encodings_range
        self._box_encoder_layers = _prediction(settings, anchors * 4, "BoxEncodingPredictor", layers)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        found = apply(self._box_encoder_layers, features, training)
        return _by_anchor(tf.clip_by_value(found, *self._clip) if self._clip else found, 4)


class _ClassHead(tf_keras.layers.Layer):
    """From a map to (N, h w anchors, slots)."""

    def __init__(
        self, settings: ConvolutionalPredictor, anchors: int, slots: int, layers: Convolutions, level: int
    ) -> None:
        super().__init__(name=f"ConvolutionalClassHead_{level}")
        self._slots = slots
        dropout = [tf_keras.layers.Dropout(settings.dropout)] if settings.dropout is not None else []
        # As in the API, a separable head starts without the class bias.
        bias = {"bias_initializer": tf_keras.initializers.Constant(settings.class_bias)}
        options = {} if settings.separable else bias
        predict = _prediction(settings, anchors * slots, "ClassPredictor", layers, **options)
        self._class_predictor_layers = [*dropout, *predict]

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return _by_anchor(apply(self._class_predictor_layers, features, training), self._slots)


def _prediction(
    settings: ConvolutionalPredictor, filters: int, name: str, layers: Convolutions, **options: Any
) -> list[tf_keras.layers.Layer]:
    """The layers of a head; as in the API, the hyperparameters do not reach a depthwise kernel."""
    size = settings.kernel_size
    if not settings.separable:
        return [layers.conv2d(filters, size, name, use_bias=True, **options)]
    return [
        tf_keras.layers.DepthwiseConv2D(
            size, padding="same", use_bias=layers.use_bias, name=f"{name}_depthwise"
        ),
        layers.batch_norm(f"{name}_depthwise_batchnorm"),
        layers.activation(f"{name}_depthwise_activation"),
        layers.conv2d(filters, 1, name, use_bias=True, **options),
    ]


def _by_anchor(maps: tf.Tensor, numbers: int) -> tf.Tensor:
    _, height, width, channels = maps.shape
    return tf.reshape(maps, [-1, height * width * channels // numbers, numbers])
