"""What is predicted of anchors and of proposals; attributes are named as the API's checkpoints have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.faster_rcnn.settings import BoxHead, FirstStage, MaskHead
from odflow.training.layers.convolutions import Activation, Convolutions, apply, initializer, regularizer
from odflow.training.settings import Hyperparams

BOXES, CLASSES, MASKS = "box_encodings", "class_predictions_with_background", "mask_predictions"
"""The kinds of heads, by the API's names."""

ATTRIBUTES = {BOXES: "_box_encoder_layers", CLASSES: "_class_predictor_layers"}
"""The list of a head's layers, by the API's names."""

NAMES = {BOXES: "BoxEncodingPredictor", CLASSES: "ClassPredictor"}
"""What the names of a head's layers begin with."""

HEADS = {BOXES: "ConvolutionalBoxHead", CLASSES: "ConvolutionalClassHead"}
"""What the first stage's heads are called, before the number of the feature map."""

DENSE_HEADS = {BOXES: "mask_rcnn_box_head", CLASSES: "mask_rcnn_class_head"}
"""What the second stage's heads are called."""


def proposal_convolution(first: FirstStage) -> tf_keras.Sequential:
    """The convolution before the proposals, the same for every feature map."""
    layers = Convolutions(first.hyperparams)
    return tf_keras.Sequential(
        [
            layers.conv2d(first.filters, first.kernel_size, "RPNConv", dilation_rate=first.dilation),
            layers.batch_norm("RPNBatchNorm"),
            Activation(tf.nn.relu6, name="RPNActivation"),
        ],
        name="FirstStageRPNFeatures",
    )


class Proposer(tf_keras.layers.Layer):
    """Says of every anchor whether an object is there, and where: 1x1 convolutions for each feature map."""

    def __init__(self, hyperparams: Hyperparams, per_level: Sequence[int]) -> None:
        """Make the layers.

        Args:
            hyperparams: what they share.
            per_level: anchors at each place of each feature map.
        """
        super().__init__(name="FirstStageBoxPredictor")
        layers = Convolutions(hyperparams)
        self._prediction_heads = {
            kind: [
                _convolutional(kind, layers, numbers * anchors, level)
                for level, anchors in enumerate(per_level)
            ]
            for kind, numbers in ((BOXES, 4), (CLASSES, 2))
        }

    def call(self, maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Predict.

        Args:
            maps: (N, h, w, channels), finest first.

        Returns:
            encodings (N, A, 4) and logits (N, A, 2) of background and object, of the
            anchors of all maps.
        """
        found = []
        for kind, numbers in ((BOXES, 4), (CLASSES, 2)):
            heads = zip(self._prediction_heads[kind], maps, strict=True)
            found.append(tf.concat([_flat(head(each), numbers) for head, each in heads], axis=1))
        return found[0], found[1]


class _Head(tf_keras.layers.Layer):
    """Layers that are applied one after the other, in a list of the API's name."""

    def __init__(self, kind: str, layers: Sequence[tf_keras.layers.Layer], name: str) -> None:
        super().__init__(name=name)
        self._attribute = ATTRIBUTES[kind]
        setattr(self, self._attribute, list(layers))

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return apply(getattr(self, self._attribute), features, training)


def _convolutional(kind: str, layers: Convolutions, filters: int, level: int) -> _Head:
    return _Head(kind, [layers.conv2d(filters, 1, NAMES[kind], use_bias=True)], f"{HEADS[kind]}_{level}")


def _dense(kind: str, head: BoxHead, units: int) -> _Head:
    """A dense layer; the API counts flattening, dropout and batch norm in its list."""
    dense = tf_keras.layers.Dense(
        units,
        kernel_regularizer=regularizer(head.hyperparams),
        kernel_initializer=_kernel_initializer(head.hyperparams),
        name=f"{NAMES[kind]}_dense",
    )
    dropout = [tf_keras.layers.Dropout(head.dropout)] if head.dropout is not None else []
    norm = Convolutions(head.hyperparams).batch_norm(f"{NAMES[kind]}_batchnorm")
    return _Head(kind, [tf_keras.layers.Flatten(), *dropout, dense, norm], DENSE_HEADS[kind])


def _kernel_initializer(hyperparams: Hyperparams) -> Any:
    return initializer(hyperparams.initializer) if hyperparams.initializer else "glorot_uniform"


def _flat(maps: tf.Tensor, numbers: int) -> tf.Tensor:
    """(N, h, w, anchors * numbers) as (N, h * w * anchors, numbers)."""
    _, height, width, channels = maps.shape
    if height is None or width is None:
        return tf.reshape(maps, [tf.shape(maps)[0], -1, numbers])
    return tf.reshape(maps, [-1, height * width * channels // numbers, numbers])


class Predictor(tf_keras.layers.Layer):
    """Class, box and mask of a proposal."""

    def __init__(self, num_classes: int, boxes: BoxHead, masks: MaskHead | None, channels: int) -> None:
        """Make the layers.

        Args:
            num_classes: without the background.
            boxes: of class and box.
            masks: of the mask, if any.
            channels: of the features.
        """
        super().__init__(name="mask_rcnn_keras_box_predictor")
        self._boxes = 1 if boxes.share_boxes else num_classes
        self._box_prediction_head = _dense(BOXES, boxes, 4 * self._boxes)
        self._class_prediction_head = _dense(CLASSES, boxes, num_classes + 1)
        self._third_stage_heads = {MASKS: MaskPredictor(num_classes, masks, channels)} if masks else {}

    def call(
        self, features: tf.Tensor, training: bool | None = None, masks: bool = False
    ) -> tuple[tf.Tensor, ...]:
        """Say class and box, or the mask; in one layer, whose name all its variables begin with.

        Args:
            features: (P, h, w, channels) of the proposals.
            training: whether to drop features.
            masks: the mask.

        Returns:
            encodings (P, classes or 1, 4); logits (P, classes + 1), background first. Or the
            logits of the masks, (P, classes or 1, height, width), alone.
        """
        if masks:
            return (self._third_stage_heads[MASKS](features, training=training),)
        pooled = tf.reduce_mean(features, axis=[1, 2])
        encodings = self._box_prediction_head(pooled, training=training)
        logits = self._class_prediction_head(pooled, training=training)
        return tf.reshape(encodings, [-1, self._boxes, 4]), logits


class MaskPredictor(tf_keras.layers.Layer):
    """Convolutions on the enlarged features of a proposal."""

    def __init__(self, num_classes: int, head: MaskHead, channels: int) -> None:
        """Make the layers.

        Args:
            num_classes: without the background.
            head: what to build.
            channels: of the features.
        """
        super().__init__(name="mask_rcnn_mask_head")
        layers, filters = Convolutions(head.hyperparams), head.filters or _filters(channels, num_classes)
        self._head = head
        self._mask_predictor_layers = []
        for i in range(head.convolutions - 1):
            self._mask_predictor_layers += _block(layers, filters, "conv2d", f"_{i}")
        if head.upsample_last:
            enlarge = Activation(self._enlarge)
            self._mask_predictor_layers += [enlarge, *_block(layers, filters, "upsample_conv2d", "")]
        masks = 1 if head.class_agnostic else num_classes
        self._mask_predictor_layers.append(
            layers.conv2d(masks, 3, "MaskPredictor_last_conv2d", use_bias=True)
        )

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(P, h, w, channels) becomes (P, classes or 1, height, width)."""
        if not self._head.upsample_last:
            size = [self._head.height, self._head.width]
            features = tf.compat.v1.image.resize_bilinear(features, size, align_corners=True)
        return tf.transpose(apply(self._mask_predictor_layers, features, training), [0, 3, 1, 2])

    def _enlarge(self, maps: tf.Tensor) -> tf.Tensor:
        """Repeat each cell as often as it fits into the mask."""
        rows = tf.repeat(maps, self._head.height // maps.shape[1], axis=1)
        return tf.repeat(rows, self._head.width // maps.shape[2], axis=2)


def _block(layers: Convolutions, filters: int, kind: str, number: str) -> list[tf_keras.layers.Layer]:
    part = kind.removesuffix("conv2d")
    return [
        layers.conv2d(filters, 3, f"MaskPredictor_{kind}{number}"),
        layers.batch_norm(f"MaskPredictor_{part}batchnorm{number}"),
        layers.activation(f"MaskPredictor_{part}activation{number}"),
    ]


def _filters(channels: int, num_classes: int) -> int:
    """The API's choice: between the two numbers, on a scale of logarithms, nearer to the classes."""
    return int(2 ** round((2 * math.log2(channels) + 3 * math.log2(num_classes)) / 5))
