"""Stacked hourglasses: at every cell of a map, how likely each joint is there.

Definition: Newell, Yang, Deng, Stacked Hourglass Networks for Human Pose Estimation, ECCV
2016, and the authors' github.com/princeton-vl/pose-hg-train. Model Garden's hourglass is
CenterNet's, of post-activation basic blocks, and ignores the momentum of its batch norms.
"""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras

from odflow.errors import ConfigError
from odflow.heads.pose.settings import PoseModel


class StackedHourglass(tf_keras.Model):
    """From images to the maps of each stack.

    Attributes:
        stem: brings an image to the size of the maps.
        stacks: each with an output.
        remaps: what each stack but the last adds to the next one's input.
    """

    def __init__(self, model: PoseModel) -> None:
        """Make the network and its variables.

        Args:
            model: what to build; see `check_shape`.
        """
        super().__init__(name="stacked_hourglass")
        joints = len(model.skeleton.joints)
        self.stem = Stem(model.channels, halvings(model))
        self.stacks = [Stack(model.order, model.channels, joints) for _ in range(model.stacks)]
        self.remaps = [Remap(model.channels) for _ in range(model.stacks - 1)]
        # Not through `call`, so that no variable's name begins with the name of this model.
        self._predict(tf_keras.Input((model.crop.height, model.crop.width, 3), dtype=tf.uint8), None)
        self.built = True

    def call(self, images: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """Predict.

        Args:
            images: (N, height, width, 3), 0 to 255.
            training: batch norms learn.

        Returns:
            Of each stack (N, h, w, joints) float32.
        """
        return [tf.cast(maps, tf.float32) for maps in self._predict(images, training)]

    def _predict(self, images: tf.Tensor, training: bool | None) -> list[tf.Tensor]:
        inputs, outputs = self.stem(images, training=training), []
        for i, stack in enumerate(self.stacks):
            features, maps = stack(inputs, training=training)
            outputs.append(maps)
            if i < len(self.remaps):
                inputs = inputs + self.remaps[i](features, maps)
        return outputs


class Residual(tf_keras.layers.Layer):
    """A bottleneck of three convolutions, each after batch norm and ReLU, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.norms = [_batch_norm() for _ in range(3)]
        self.convolutions = [_convolution(half, 1), _convolution(half, 3), _convolution(channels, 1)]
        self.shortcut: tf_keras.layers.Layer | None = None
        self._channels = channels

    def build(self, shape: tf.TensorShape) -> None:
        """A shortcut changes channels where others come in."""
        if shape[-1] != self._channels:
            self.shortcut = _convolution(self._channels, 1)
        super().build(shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, c) to (N, h, w, channels)."""
        maps = inputs
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            maps = convolution(tf.nn.relu(norm(maps, training=training)))
        return maps + (inputs if self.shortcut is None else self.shortcut(inputs))


class Stem(tf_keras.layers.Layer):
    """Halves an image's height and width by a convolution, then by pools.

    With 256 channels it has the paper's 64, 128, 128 and 256; others are in proportion.
    """

    def __init__(self, channels: int, times: int) -> None:
        super().__init__()
        self.convolution, self.norm = _convolution(channels // 4, 7, stride=2), _batch_norm()
        self.residuals = [Residual(channels // 2), Residual(channels // 2), Residual(channels)]
        self._pools = times - 1

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, height, width, 3), 0 to 255, to (N, h, w, channels)."""
        pixels = tf.cast(images, self.compute_dtype) / 127.5 - 1.0
        maps = tf.nn.relu(self.norm(self.convolution(pixels), training=training))
        maps = self.residuals[0](maps, training=training)
        for _ in range(self._pools):
            maps = _pool(maps)
        for residual in self.residuals[1:]:
            maps = residual(maps, training=training)
        return maps


class Hourglass(tf_keras.layers.Layer):
    """A way at full size, added to one at half of it that holds the next hourglass."""

    def __init__(self, order: int, channels: int) -> None:
        super().__init__()
        self.beside, self.down, self.up = (Residual(channels) for _ in range(3))
        self.inner = Hourglass(order - 1, channels) if order > 1 else Residual(channels)
        self._upsample = tf_keras.layers.UpSampling2D(2)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, channels) to the same shape."""
        maps = self.down(_pool(inputs), training=training)
        maps = self._upsample(self.up(self.inner(maps, training=training), training=training))
        height, width = inputs.shape[1:3]  # an odd one was rounded up by the pool
        return self.beside(inputs, training=training) + maps[:, :height, :width]


class Stack(tf_keras.layers.Layer):
    """An hourglass and its output."""

    def __init__(self, order: int, channels: int, joints: int) -> None:
        super().__init__()
        self.hourglass, self.residual = Hourglass(order, channels), Residual(channels)
        self.convolution, self.norm = _convolution(channels, 1), _batch_norm()
        self.maps = _convolution(joints, 1)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """(N, h, w, channels) to features of the same shape and maps (N, h, w, joints)."""
        maps = self.residual(self.hourglass(inputs, training=training), training=training)
        features = tf.nn.relu(self.norm(self.convolution(maps), training=training))
        return features, self.maps(features)


class Remap(tf_keras.layers.Layer):
    """Brings features and maps of a stack into the next one's input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features, self.maps = _convolution(channels, 1), _convolution(channels, 1)

    def call(self, features: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
        """(N, h, w, channels) and (N, h, w, joints) to (N, h, w, channels)."""
        return self.features(features) + self.maps(maps)


def check_shape(model: PoseModel) -> None:
    """Refuse what no network can be built of.

    Raises:
        ConfigError: the maps are no half, quarter, ... of the input; too few channels or no
            stack; or hourglasses that halve their maps more often than can be.
    """
    halvings(model)
    side = min(model.heatmaps.height, model.heatmaps.width)
    largest = int(math.log2(side))
    if not 1 <= model.order <= largest:
        raise ConfigError(
            f"order is {model.order}; maps of {model.heatmaps.width}x{model.heatmaps.height} cells can be "
            f"halved {largest} times. Give an order from 1 to {largest}."
        )
    if model.stacks < 1:
        raise ConfigError(f"stacks is {model.stacks}; a network has at least 1.")
    if model.channels < 4 or model.channels % 4:
        raise ConfigError(f"channels is {model.channels}; wanted: a multiple of 4.")


def halvings(model: PoseModel) -> int:
    """How many times the input is halved to the size of the maps; 2 in the paper.

    Raises:
        ConfigError: no such number.
    """
    crop, heatmaps = model.crop, model.heatmaps
    for times in range(1, crop.height.bit_length()):
        if (heatmaps.height << times, heatmaps.width << times) == (crop.height, crop.width):
            return times
    raise ConfigError(
        f"heatmaps of {heatmaps.width}x{heatmaps.height} cells for an input of {crop.width}x{crop.height} "
        f"pixels; wanted: a half, a quarter or an eighth of both sides, such as "
        f"{crop.width // 4}x{crop.height // 4}."
    )


def _convolution(channels: int, size: int, stride: int = 1) -> tf_keras.layers.Conv2D:
    return tf_keras.layers.Conv2D(channels, size, stride, padding="same", kernel_initializer="he_normal")


def _batch_norm() -> tf_keras.layers.BatchNormalization:
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return tf_keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=several)


def _pool(maps: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(maps, 2, 2, "SAME")
