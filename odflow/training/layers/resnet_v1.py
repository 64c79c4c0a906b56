"""ResNet v1 with bottlenecks, as the Object Detection API changes it for detection."""

from __future__ import annotations

from dataclasses import dataclass, replace

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Activation, Convolutions, FixedPadding
from odflow.training.settings import BatchNorm, Hyperparams, Initializer

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Units of each of the four stages, by the number of layers in the network's name."""

PIXEL_MEANS = (123.68, 116.779, 103.939)
"""What is subtracted from red, green and blue."""


def resnet_hyperparams(weight_decay: float = 0.0001) -> Hyperparams:
    """What the layers share where the config's own hyperparameters do not override it.

    Args:
        weight_decay: factor on the squared weights; Keras's, twice that of `l2_weight`.

    >>> resnet_hyperparams().l2_weight, slim_hyperparams(None).l2_weight
    (0.0002, 0.0001)
    """
    return Hyperparams(
        activation="relu",
        batch_norm=BatchNorm(0.997, 1e-5),
        initializer=Initializer("variance_scaling", factor=1.0),
        l2_weight=2.0 * weight_decay,
    )


def slim_hyperparams(override: Hyperparams | None) -> Hyperparams:
    """What the layers of TF-Slim's network share under a feature pyramid.

    Args:
        override: the config's, where it overrides; the momentum, the epsilon and the scale of the
            batch norms are TF-Slim's all the same, since its scopes give them by the convolution.
    """
    own = resnet_hyperparams(weight_decay=0.00005)
    if override is None:
        return replace(own, initializer=Initializer("variance_scaling", factor=2.0))
    norm, fixed = override.batch_norm, own.batch_norm
    if norm is None or fixed is None:
        return override
    fixed = replace(norm, momentum=fixed.momentum, epsilon=fixed.epsilon, scale=fixed.scale)
    return replace(override, batch_norm=fixed)


@dataclass(frozen=True)
class ResNetV1:
    """Builds the stages of one network; its layers have the names and the order of Keras's ResNet.

    Attributes:
        layers: makes convolutions, batch norms and activations.
        depth: 50, 101 or 152.
        depth_multiplier: factor on the channels.
        min_depth: least channels of a layer.
        slim: strides are those of TF-Slim's network (in the last unit's 3x3 convolution of a
            stage), which TF1 checkpoints were trained with, not Keras's (in the first unit's
            1x1 convolutions of the next stage). The weights have the same shapes. A unit ends
            in a ReLU, whatever the activation of the layers inside it.
        output_stride: with `slim`, pixels to a cell that no stage goes beyond; the units after
            it are dilated instead.
        whole_maps: with `slim`, a stage gives its map as it is before its stride, as a feature
            pyramid takes it: every second row and column goes on to the next stage.
    """

    layers: Convolutions
    depth: int = 50
    depth_multiplier: float = 1.0
    min_depth: int = 8
    slim: bool = False
    output_stride: int = 32
    whole_maps: bool = False

    def stages(self, images: tf.Tensor, last: int = 5) -> list[tf.Tensor]:
        """Apply the network to (N, H, W, 3).

        Args:
            images: a Keras input, or images.
            last: the stage to stop after, 2 to 5.

        Returns:
            The maps of the stages 2 (`conv2_block3_out`) to `last`.
        """
        maps = self._convolve(images, self._channels(64, slim=64), 7, "conv1", strides=2)
        maps = tf_keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1_pool")(maps)
        outputs, stride, dilation = [], 4, 1
        for stage in range(2, last + 1):
            *before, last_step = self._steps(stage)
            for unit, step in enumerate([*before, 1 if self.whole_maps else last_step], 1):
                reduced = self.slim and stride == self.output_stride
                maps = self._unit(
                    maps, stage, unit, strides=1 if reduced else step, dilation=dilation if reduced else 1
                )
                stride, dilation = (stride, dilation * step) if reduced else (stride * step, dilation)
            outputs.append(maps)
            if self.whole_maps:
                maps = _every(maps, last_step)
        return outputs

    def stage5(self, maps: tf.Tensor) -> tf.Tensor:
        """Apply the last stage alone, as the box classifier of a Faster R-CNN does.

        Args:
            maps: (N, h, w, channels of stage 4).
        """
        for unit, step in enumerate(self._steps(5), 1):
            maps = self._unit(maps, 5, unit, strides=step, dilation=1)
        return maps

    def _steps(self, stage: int) -> list[int]:
        """The stride of each unit of a stage."""
        units = UNITS[self.depth][stage - 2]
        if self.slim:
            return [1] * (units - 1) + [2 if stage < 5 else 1]
        return [2 if stage > 2 else 1] + [1] * (units - 1)

    def _unit(self, maps: tf.Tensor, stage: int, unit: int, *, strides: int, dilation: int) -> tf.Tensor:
        base, name = 32 * 2 ** (stage - 1), f"conv{stage}_block{unit}"
        filters = self._channels(base, slim=self._scaled(base))
        wide = self._channels(4 * base, slim=4 * filters)
        shortcut = self._shortcut(maps, wide, unit, f"{name}_0", strides)
        first, second = (1, strides) if self.slim else (strides, 1)
        maps = self._convolve(maps, filters, 1, f"{name}_1", strides=first)
        maps = self._convolve(maps, filters, 3, f"{name}_2", strides=second, dilation=dilation)
        maps = self._convolve(maps, wide, 1, f"{name}_3", activate=False)
        maps = tf_keras.layers.Add(name=f"{name}_add")([shortcut, maps])
        end = (
            Activation(tf.nn.relu, name=f"{name}_out") if self.slim else self.layers.activation(f"{name}_out")
        )
        return end(maps)

    def _shortcut(self, maps: tf.Tensor, filters: int, unit: int, name: str, strides: int) -> tf.Tensor:
        if unit == 1:
            return self._convolve(maps, filters, 1, name, strides=strides, activate=False)
        return _every(maps, strides)

    def _convolve(
        self,
        maps: tf.Tensor,
        filters: int,
        kernel: int,
        name: str,
        *,
        strides: int = 1,
        dilation: int = 1,
        activate: bool = True,
    ) -> tf.Tensor:
        padding = "same"
        if strides > 1 and kernel > 1:
            maps, padding = FixedPadding(kernel)(maps), "valid"
        options = {"strides": strides, "padding": padding, "dilation_rate": dilation}
        maps = self.layers.conv2d(filters, kernel, f"{name}_conv", use_bias=False, **options)(maps)
        maps = self.layers.batch_norm(f"{name}_bn")(maps)
        return self.layers.activation(f"{name}_relu")(maps) if activate else maps

    def _channels(self, filters: int, *, slim: int) -> int:
        """Keras's network scales every layer; TF-Slim's has numbers of its own, which follow from fewer."""
        return slim if self.slim else self._scaled(filters)

    def _scaled(self, filters: int) -> int:
        return max(int(filters * self.depth_multiplier), self.min_depth)


def _every(maps: tf.Tensor, step: int) -> tf.Tensor:
    """Every so many rows and columns of a map, the first ones too."""
    return maps if step == 1 else tf_keras.layers.MaxPooling2D(1, strides=step)(maps)
