"""Layers as the Object Detection API makes them from `conv_hyperparams`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.settings import Hyperparams, Initializer

ACTIVATIONS = {"none": tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6, "swish": tf.nn.silu}


class Convolutions:
    """Makes the layers of one part of a network.

    The names given to layers become those of their variables, which `freeze_variables` patterns match.
    """

    def __init__(self, hyperparams: Hyperparams, frozen: bool = False) -> None:
        """Make layers.

        Args:
            hyperparams: what they share.
            frozen: batch norms use their running statistics in training too; scale and
                offset go on learning, as with the API's `freeze_batchnorm`.
        """
        self.hyperparams = hyperparams
        norm = hyperparams.batch_norm
        self.frozen = frozen or (norm is not None and not norm.train)
        self.use_bias = hyperparams.force_use_bias or norm is None or not norm.center

    def with_hyperparams(self, hyperparams: Hyperparams) -> Convolutions:
        """The same, with other hyperparameters; for a backbone that has its own."""
        return Convolutions(hyperparams, self.frozen)

    def conv2d(
        self, filters: int, kernel_size: int, name: str, use_bias: bool | None = None, **options: Any
    ) -> tf_keras.layers.Conv2D:
        """A convolution without activation, padded to the same size unless `options` say otherwise.

        Args:
            filters: channels that come out.
            kernel_size: in cells.
            name: the layer's name.
            use_bias: None: where no batch norm gives an offset.
            options: as Keras's layer takes them: `strides`, `padding`, ...
        """
        bias = self.use_bias if use_bias is None else use_bias
        return tf_keras.layers.Conv2D(
            filters, kernel_size, name=name, use_bias=bias, **self.kernel("kernel"), **_same(options)
        )

    def depthwise(
        self, kernel_size: int, name: str, use_bias: bool | None = None, **options: Any
    ) -> tf_keras.layers.DepthwiseConv2D:
        """A depthwise convolution; arguments as in `conv2d`."""
        bias = self.use_bias if use_bias is None else use_bias
        return tf_keras.layers.DepthwiseConv2D(
            kernel_size, name=name, use_bias=bias, **self.kernel("depthwise") | _same(options)
        )

    def separable(
        self, filters: int, kernel_size: int, name: str, use_bias: bool | None = None, **options: Any
    ) -> tf_keras.layers.SeparableConv2D:
        """A depthwise and a 1x1 convolution; arguments as in `conv2d`.

        As in the API, the hyperparameters hold for the depthwise kernel alone unless `options`
        have `kernel("pointwise")`: the 1x1 kernel starts as Keras has it and is not regularized.
        """
        bias = self.use_bias if use_bias is None else use_bias
        return tf_keras.layers.SeparableConv2D(
            filters, kernel_size, name=name, use_bias=bias, **self.kernel("depthwise") | _same(options)
        )

    def batch_norm(self, name: str | None = None) -> tf_keras.layers.Layer:
        """A batch norm, or a layer that does nothing where the hyperparameters have none."""
        norm = self.hyperparams.batch_norm
        if norm is None:
            return Activation(tf.identity, name=name)
        return FreezableBatchNorm(
            self.frozen,
            momentum=norm.momentum,
            epsilon=norm.epsilon,
            center=norm.center,
            scale=norm.scale,
            synchronized=norm.synchronized,
            name=name,
        )

    def activation(self, name: str | None = None) -> tf_keras.layers.Layer:
        """The activation."""
        return Activation(ACTIVATIONS[self.hyperparams.activation], name=name)

    def block(
        self, filters: int, name: str, separable: bool, strides: int = 1, explicit_padding: bool = False
    ) -> list[tf_keras.layers.Layer]:
        """A 3x3 convolution, batch norm and activation, to be applied in their order.

        Args:
            filters: channels that come out.
            name: of the activation; the other layers' names begin with it.
            separable: a depthwise separable convolution.
            strides: of the convolution.
            explicit_padding: pad by the kernel's size alone; the list begins with a layer for that.
        """
        make, kind = (self.separable, "depthwise_conv") if separable else (self.conv2d, "conv")
        padding = "valid" if explicit_padding else "same"
        return [
            *([FixedPadding(3)] if explicit_padding else []),
            make(filters, 3, name=f"{name}_{kind}", strides=strides, padding=padding),
            self.batch_norm(f"{name}_batchnorm"),
            self.activation(name),
        ]

    def kernel(self, kind: str) -> dict[str, Any]:
        """Initializer and regularizer as options of a Keras layer, for its kernel, depthwise or pointwise."""
        options: dict[str, Any] = {f"{kind}_regularizer": regularizer(self.hyperparams)}
        if self.hyperparams.initializer is not None:
            options[f"{kind}_initializer"] = initializer(self.hyperparams.initializer)
        return options


class FreezableBatchNorm(tf_keras.layers.BatchNormalization):
    """A batch norm whose statistics can stand still while the rest of it learns.

    Attributes:
        frozen: whether they do.
        observer: is shown what comes in, where somebody wants to see it.
    """

    def __init__(self, frozen: bool, **options: Any) -> None:
        super().__init__(**options)
        self.frozen = frozen
        self.observer: Callable[[tf.Tensor], None] | None = None

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """Normalize (N, h, w, channels)."""
        if self.observer:
            self.observer(inputs)
        return super().call(inputs, training=False if self.frozen else training, mask=mask)


class Activation(tf_keras.layers.Layer):
    """A function of each number, as a layer."""

    def __init__(self, function: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        self._function = function

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The function of every number."""
        return self._function(inputs)


class FixedPadding(tf_keras.layers.Layer):
    """Zeros around a map for a convolution without padding, as many for every size of map."""

    def __init__(self, kernel_size: int, name: str | None = None) -> None:
        super().__init__(name=name)
        before = (kernel_size - 1) // 2
        self._sides = [before, kernel_size - 1 - before]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N, h, w, channels) becomes (N, h + kernel_size - 1, w + kernel_size - 1, channels)."""
        return tf.pad(inputs, [[0, 0], self._sides, self._sides, [0, 0]])


def apply(layers: Sequence[tf_keras.layers.Layer], maps: tf.Tensor, training: bool | None) -> tf.Tensor:
    """Apply layers one after the other."""
    for layer in layers:
        takes = isinstance(layer, tf_keras.layers.BatchNormalization | tf_keras.layers.Dropout)
        maps = layer(maps, training=training) if takes else layer(maps)
    return maps


def regularizer(hyperparams: Hyperparams) -> tf_keras.regularizers.Regularizer | None:
    """The kernel regularizer; Keras's L2 is twice TensorFlow's `l2_loss`, which the API uses."""
    if hyperparams.l1_weight:
        return tf_keras.regularizers.L1(hyperparams.l1_weight)
    return tf_keras.regularizers.L2(hyperparams.l2_weight / 2.0) if hyperparams.l2_weight else None


def initializer(settings: Initializer) -> Any:
    """The Keras initializer that the settings name."""
    kinds = tf_keras.initializers
    if settings.kind == "truncated_normal":
        return kinds.TruncatedNormal(settings.mean, settings.stddev)
    if settings.kind == "random_normal":
        return kinds.RandomNormal(settings.mean, settings.stddev)
    if settings.kind == "variance_scaling":
        shape = "uniform" if settings.uniform else "truncated_normal"
        return kinds.VarianceScaling(settings.factor, settings.mode, shape)
    return kinds.get(settings.kind)


def _same(options: dict[str, Any]) -> dict[str, Any]:
    return {"padding": "same"} | options
