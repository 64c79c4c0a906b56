"""Of each class, where in an image it can be seen."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf
import tf_keras

from odflow.heads.visibility.settings import SMALL_CNN, VisibilityModel
from odflow.training.model_garden.backbones import build_backbone

# Of the colours of ImageNet's images, which the weights of Model Garden's backbones are used to.
_MEAN = (123.675, 116.28, 103.53)
_DEVIATION = (58.395, 57.12, 57.375)

_CHANNELS = (32, 64, 128)
"""Of the stages of the small CNN, at a quarter of the image, an eighth and a sixteenth."""


class VisibilityNetwork(tf_keras.Model):
    """From images to a logit of each class in each cell of the last feature maps.

    Attributes:
        backbone: from images to features.
        head: from the features of a cell to its logits.
    """

    def __init__(self, model: VisibilityModel) -> None:
        """Make the network and its variables.

        Raises:
            ConfigError: there is no such backbone.
        """
        super().__init__(name="visibility")
        self.backbone = _backbone(model)
        self.head = ClassHead(len(model.classes), model.dropout)
        # Not through `call`, so that no variable's name begins with the name of this model.
        self._predict(tf_keras.Input((model.look.height, model.look.width, 3)), None)
        self.built = True

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Predict.

        Args:
            images: (N, height, width, 3), 0 to 255.
            training: batch norms learn, and features are dropped.

        Returns:
            (N, h, w, classes) float32.
        """
        return tf.cast(self._predict(images, training), tf.float32)

    def _predict(self, images: tf.Tensor, training: bool | None) -> tf.Tensor:
        levels = self.backbone((images - _MEAN) / _DEVIATION, training=training)
        return self.head(levels[max(levels)], training=training)


class ClassHead(tf_keras.layers.Layer):
    """From the features of each cell to its logits."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.drop = tf_keras.layers.Dropout(dropout)
        # At first every class is unlikely, as it is in most cells.
        self.logits = tf_keras.layers.Dense(classes, bias_initializer=tf_keras.initializers.Constant(-2.0))

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From (N, h, w, C) to (N, h, w, classes)."""
        return self.logits(self.drop(features, training=training))


class SmallCnn(tf_keras.Model):
    """A residual network that learns from scratch in minutes on a CPU.

    Its first convolution brings the image to a quarter: large maps cost the most and tell the least.
    """

    def __init__(self, channels: Iterable[int], weight_decay: float) -> None:
        super().__init__(name="small_cnn")
        first, *others = channels
        self.stages = [
            tf_keras.Sequential([Convolution(one, kernel, stride, weight_decay), Residual(one, weight_decay)])
            for one, kernel, stride in ((first, 7, 4), *((one, 3, 2) for one in others))
        ]

    def call(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
        """The features of the last stage by its level, as Model Garden's backbones give theirs."""
        for stage in self.stages:
            images = stage(images, training=training)
        return {str(len(self.stages) + 1): images}


class Residual(tf_keras.layers.Layer):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int, weight_decay: float) -> None:
        super().__init__()
        self.first = Convolution(channels, 3, 1, weight_decay)
        self.second = Convolution(channels, 3, 1, weight_decay, activation="linear")

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, channels) to the same."""
        return tf.nn.relu(features + self.second(self.first(features, training=training), training=training))


class Convolution(tf_keras.layers.Layer):
    """A convolution with batch norm and ReLU."""

    def __init__(
        self, channels: int, kernel: int, stride: int, weight_decay: float, *, activation: str = "relu"
    ) -> None:
        super().__init__()
        self.convolution = tf_keras.layers.Conv2D(
            channels,
            kernel,
            stride,
            "same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=tf_keras.regularizers.L2(weight_decay / 2),
        )
        self.norm = tf_keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
        self.activation = tf_keras.layers.Activation(activation)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, C) to (N, h / stride, w / stride, channels)."""
        return self.activation(self.norm(self.convolution(features), training=training))


def image_logits(logits: tf.Tensor) -> tf.Tensor:
    """The (N, classes) logits of images whose cells have (N, h, w, classes): the strongest sign anywhere."""
    return tf.reduce_max(logits, [1, 2])


def _backbone(model: VisibilityModel) -> tf_keras.Model:
    if model.backbone == SMALL_CNN:
        return SmallCnn((max(8, round(one * model.width)) for one in _CHANNELS), model.weight_decay)
    look, more = model.look, {"channels": model.width, "weight_decay": model.weight_decay}
    return build_backbone(model.backbone, look.height, look.width, **more)
