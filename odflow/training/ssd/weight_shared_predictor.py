"""The box predictor that runs the same convolutions over all feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions, apply
from odflow.training.ssd.settings import WeightSharedPredictor

BOXES = "box_encodings"
CLASSES = "class_predictions_with_background"


def weight_shared_predictor(
    settings: WeightSharedPredictor, anchors: Sequence[int], slots: int, layers: Convolutions
) -> tf_keras.layers.Layer:
    """`weight_shared_convolutional_box_predictor`.

    Args:
        settings: of the predictor.
        anchors: at one place of each feature map; as many everywhere.
        slots: classes, with the background where it has one.
        layers: makes its layers.

    Returns:
        A layer from the feature maps to encodings (N, anchors, 4) and logits (N, anchors, slots).
    """
    assert len(set(anchors)) == 1, anchors
    return SharedPredictor(settings, anchors[0], slots, layers)


class SharedPredictor(tf_keras.layers.Layer):
    """Towers of convolutions with a batch norm of its own for each feature map, then the heads.

    The attributes have the names that the Object Detection API's have: they are part of the
    names of the weights in a checkpoint.
    """

    def __init__(
        self, settings: WeightSharedPredictor, anchors: int, slots: int, layers: Convolutions
    ) -> None:
        super().__init__(name="WeightSharedConvolutionalBoxPredictor")
        self._settings, self._layers = settings, layers
        self._box_prediction_head = _BoxHead(settings, anchors, layers)
        self._prediction_heads = {CLASSES: _ClassHead(settings, anchors, slots, layers)}
        self._additional_projection_layers: list[list[tf_keras.layers.Layer]] = []
        self._base_tower_layers_for_heads: dict[str, list[list[tf_keras.layers.Layer]]] = {}
        self._head_scope_conv_layers: dict[str, list[tf_keras.layers.Layer]] = {}

    def build(self, shapes: Sequence[tf.TensorShape]) -> None:
        """Make the towers, and what brings maps of different channels to the same."""
        channels = [shape[-1] for shape in shapes]
        self._additional_projection_layers = self._projections(channels)
        towers = {BOXES: "PredictionTower"}
        if not self._settings.share_tower:
            towers = {BOXES: "BoxPredictionTower", CLASSES: "ClassPredictionTower"}
        convolutions = {scope: self._convolutions(scope) for scope in towers.values()}
        self._head_scope_conv_layers = convolutions
        self._base_tower_layers_for_heads = {
            head: [self._tower(scope, convolutions[scope], level) for level in range(len(channels))]
            for head, scope in towers.items()
        }
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
        encodings, logits = [], []
        for level, features in enumerate(maps):
            projected = apply(self._additional_projection_layers[level], features, training)
            boxes = self._run_tower(BOXES, level, projected, training)
            shared = self._settings.share_tower
            classes = boxes if shared else self._run_tower(CLASSES, level, projected, training)
            encodings.append(self._box_prediction_head(boxes))
            logits.append(self._prediction_heads[CLASSES](classes, training=training))
        return tf.concat(encodings, axis=1), tf.concat(logits, axis=1)

    def _run_tower(self, head: str, level: int, features: tf.Tensor, training: bool | None) -> tf.Tensor:
        return apply(self._base_tower_layers_for_heads[head][level], features, training)

    def _projections(self, channels: list[int]) -> list[list[tf_keras.layers.Layer]]:
        if len(set(channels)) == 1:
            return [[] for _ in channels]
        most = max(channels, key=channels.count)
        return [self._projection(level, most) for level in range(len(channels))]

    def _projection(self, level: int, filters: int) -> list[tf_keras.layers.Layer]:
        name = f"ProjectionLayer/conv2d_{level}"
        normalized = self._layers.hyperparams.batch_norm is not None
        layers = [self._layers.conv2d(filters, 1, name, use_bias=not normalized)]
        return [*layers, self._layers.batch_norm(f"{name}/BatchNorm")] if normalized else layers

    def _convolutions(self, scope: str) -> list[tf_keras.layers.Layer]:
        """The convolutions of a tower, which all feature maps share."""
        settings, hyperparams = self._settings, self._layers.hyperparams
        make = partial(_separable, settings, self._layers) if settings.separable else self._layers.conv2d
        bias = hyperparams.batch_norm is None or hyperparams.force_use_bias
        return [
            make(settings.filters, settings.kernel_size, f"{scope}/conv2d_{i}", use_bias=bias)
            for i in range(settings.convolutions)
        ]

    def _tower(
        self, scope: str, convolutions: list[tf_keras.layers.Layer], level: int
    ) -> list[tf_keras.layers.Layer]:
        """The tower over one feature map: the shared convolutions between batch norms of its own."""
        tower = []
        for i, convolution in enumerate(convolutions):
            tower.append(convolution)
            if self._layers.hyperparams.batch_norm is not None:
                tower.append(self._layers.batch_norm(f"{scope}/conv2d_{i}/BatchNorm/feature_{level}"))
            tower.append(self._layers.activation(f"{scope}/conv2d_{i}/activation_{level}"))
        return tower


class _BoxHead(tf_keras.layers.Layer):
    """From a tower's map to (N, h w anchors, 4)."""

    def __init__(self, settings: WeightSharedPredictor, anchors: int, layers: Convolutions) -> None:
        super().__init__(name="WeightSharedConvolutionalBoxHead")
        self._clip = settings.encodings_range
        self._box_encoder_layers = [_prediction(settings, anchors * 4, "BoxPredictor", layers)]

    def call(self, features: tf.Tensor) -> tf.Tensor:
        found = apply(self._box_encoder_layers, features, None)
        return _by_anchor(tf.clip_by_value(found, *self._clip) if self._clip else found, 4)


class _ClassHead(tf_keras.layers.Layer):
    """From a tower's map to (N, h w anchors, slots)."""

    def __init__(
        self, settings: WeightSharedPredictor, anchors: int, slots: int, layers: Convolutions
    ) -> None:
        super().__init__(name="WeightSharedConvolutionalClassHead")
        self._slots = slots
        dropout = [tf_keras.layers.Dropout(settings.dropout)] if settings.dropout is not None else []
        bias = tf_keras.initializers.Constant(settings.class_bias)
        predict = _prediction(settings, anchors * slots, "ClassPredictor", layers, bias_initializer=bias)
        self._class_predictor_layers = [*dropout, predict]

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return _by_anchor(apply(self._class_predictor_layers, features, training), self._slots)


def _prediction(
    settings: WeightSharedPredictor, filters: int, name: str, layers: Convolutions, **options: Any
) -> tf_keras.layers.Layer:
    """The last convolution of a head; separable, it mostly starts as Keras has it and is not regularized."""
    if settings.separable and settings.hyperparams_on_heads:
        return _separable(settings, layers, filters, settings.kernel_size, name, use_bias=True, **options)
    if settings.separable:
        return tf_keras.layers.SeparableConv2D(
            filters, settings.kernel_size, padding="same", name=name, **options
        )
    return layers.conv2d(filters, settings.kernel_size, name, use_bias=True, **options)


def _separable(
    settings: WeightSharedPredictor, layers: Convolutions, *shape_and_name: Any, **options: Any
) -> tf_keras.layers.Layer:
    """A separable convolution, whose 1x1 kernel has the hyperparameters where the settings say so."""
    if settings.hyperparams_on_pointwise:
        options |= layers.kernel("pointwise")
    return layers.separable(*shape_and_name, **options)


def _by_anchor(maps: tf.Tensor, numbers: int) -> tf.Tensor:
    _, height, width, channels = maps.shape
    return tf.reshape(maps, [-1, height * width * channels // numbers, numbers])
