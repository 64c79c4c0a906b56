"""The hourglass network as the Object Detection API builds it, attribute by attribute.

Definition: object_detection/models/keras_models/hourglass_network.py. The attributes'
names are those of the API, and so are the keys of the variables in checkpoints. Keras makes
the names of variables from those of the classes and the order of the layers: these are the
API's, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from odflow.training.center_net.extractor_types import HourglassShape


class ConvolutionalBlock(tf_keras.layers.Layer):
    """A convolution padded by its kernel's size, batch norm and activation."""

    def __init__(self, filters: int, kernel_size: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self._margin, self._relu = kernel_size // 2, relu
        self.conv = tf_keras.layers.Conv2D(filters, kernel_size, stride, use_bias=False)
        self.norm = _batch_norm()

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, c) to (N, h / stride, w / stride, filters)."""
        sides = [self._margin, self._margin]
        maps = self.norm(self.conv(tf.pad(inputs, [[0, 0], sides, sides, [0, 0]])), training=training)
        return tf.nn.relu(maps) if self._relu else maps


class SkipConvolution(ConvolutionalBlock):
    """A shortcut of other channels or another size."""

    def __init__(self, filters: int, stride: int) -> None:
        super().__init__(filters, 1, stride, relu=False)


class ResidualBlock(tf_keras.layers.Layer):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, filters: int, stride: int = 1, skip: bool = False) -> None:
        super().__init__()
        self.conv_block = ConvolutionalBlock(filters, 3, stride)
        self.conv = tf_keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)
        self.norm = _batch_norm()
        self.skip = SkipConvolution(filters, stride) if skip else None

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, c) to (N, h / stride, w / stride, filters)."""
        maps = self.norm(self.conv(self.conv_block(inputs, training=training)), training=training)
        beside = inputs if self.skip is None else self.skip(inputs, training=training)
        return tf.nn.relu(maps + beside)


class InputDownsampleBlock(tf_keras.layers.Layer):
    """Brings an image to a quarter of its height and width."""

    def __init__(self, stem: int, filters: int) -> None:
        super().__init__()
        self.conv_block = ConvolutionalBlock(stem, 7, 2)
        self.residual_block = ResidualBlock(filters, 2, skip=True)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, 3) to (N, h / 4, w / 4, filters)."""
        return self.residual_block(self.conv_block(inputs, training=training), training=training)


class EncoderDecoderBlock(tf_keras.layers.Layer):
    """One stage: a way at full size, added to one at half of it that holds the next stage."""

    def __init__(self, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        wide, deep = channels[0], channels[1]
        self.encoder_block1 = _residuals(wide, blocks[0])
        self.encoder_block2 = _residuals(deep, blocks[0], stride=2, skip=wide != deep)
        if len(channels) > 2:
            self.inner_block: list[tf_keras.layers.Layer] = [EncoderDecoderBlock(channels[1:], blocks[1:])]
        else:
            self.inner_block = [*_residuals(deep, blocks[1])]
        self.decoder_block = _residuals(wide, blocks[0], between=deep)
        self.upsample = tf_keras.layers.UpSampling2D(2)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N, h, w, c) to (N, h, w, channels of the stage)."""
        maps = inputs
        for block in (*self.encoder_block2, *self.inner_block, *self.decoder_block):
            maps = block(maps, training=training)
        beside = inputs
        for block in self.encoder_block1:
            beside = block(beside, training=training)
        return beside + self.upsample(maps)


class HourglassNetwork(tf_keras.Model):
    """Hourglasses one after the other."""

    def __init__(self, shape: HourglassShape) -> None:
        super().__init__()
        width = shape.channels[0]
        self.downsample_input = InputDownsampleBlock(shape.stem, width)
        self.hourglass_network, self.output_conv = [], []
        for _ in range(shape.stacks):
            self.hourglass_network.append(EncoderDecoderBlock(shape.channels, shape.blocks))
            self.output_conv.append(ConvolutionalBlock(width, 3))
        self.intermediate_conv1, self.intermediate_conv2, self.intermediate_residual = [], [], []
        for _ in range(shape.stacks - 1):
            self.intermediate_conv1.append(ConvolutionalBlock(width, 1, relu=False))
            self.intermediate_conv2.append(ConvolutionalBlock(width, 1, relu=False))
            self.intermediate_residual.append(ResidualBlock(width))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """(N, h, w, 3) to a map (N, h / 4, w / 4, channels) of each hourglass."""
        maps, outputs = self.downsample_input(inputs, training=training), []
        for i, hourglass in enumerate(self.hourglass_network):
            output = self.output_conv[i](hourglass(maps, training=training), training=training)
            outputs.append(output)
            if i < len(self.intermediate_residual):
                before = self.intermediate_conv1[i](maps, training=training)
                after = self.intermediate_conv2[i](output, training=training)
                maps = self.intermediate_residual[i](tf.nn.relu(before + after), training=training)
        return outputs


class CenterNetHourglassFeatureExtractor(tf_keras.Model):
    """An hourglass as a feature extractor."""

    def __init__(self, shape: HourglassShape) -> None:
        super().__init__()
        self._network = HourglassNetwork(shape)
        self.outputs_count = shape.stacks

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """(N, h, w, 3) to a map (N, h / 4, w / 4, channels) of each hourglass."""
        return self._network(inputs, training=training)


def _residuals(
    filters: int, count: int, *, stride: int = 1, skip: bool = False, between: int | None = None
) -> list[ResidualBlock]:
    """ResidualBlock blocks one after the other.

    Args:
        filters: channels of the last one.
        count: of blocks.
        stride: of the first one.
        skip: a convolution in the first one's shortcut; for other channels than come in.
        between: channels of all but the last one.
    """
    inner = between or filters
    first = [ResidualBlock(inner, stride, stride > 1 or skip)] if count > 1 else []
    middle = [ResidualBlock(inner) for _ in range(count - 2)]
    if count == 1:
        # As in the API, whose single blocks have a shortcut of other channels only by their stride.
        return [ResidualBlock(filters, stride, stride > 1)]
    return [*first, *middle, ResidualBlock(filters, skip=inner != filters)]


def _batch_norm() -> tf_keras.layers.BatchNormalization:
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return tf_keras.layers.BatchNormalization(
        momentum=0.1, epsilon=1e-5, name="batchnorm", synchronized=several
    )
