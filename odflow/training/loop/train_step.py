"""One training step of any model, alone or as one of several replicas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.training.architecture import Architecture, Tensors

TOTAL = "Loss/total_loss"

Losses = dict[str, tf.Tensor]
"""The terms of the loss and `TOTAL`, scalars by the names that the API gives to TensorBoard."""

BIAS = re.compile(r"/bias(es)?(:0)?$")
"""The names of biases, in Keras and as TensorFlow 1 had them."""


class TrainStep:
    """What one replica does with its part of a batch.

    Args:
        kind: of model.
        network: from `Architecture.build`.
        optimizer: changes its weights.
        variables: those of the network that are trained.
        parts: small batches that the part is worked off in.
    """

    def __init__(
        self,
        kind: Architecture,
        network: tf_keras.Model,
        optimizer: Any,
        variables: Sequence[tf.Variable],
        parts: int = 1,
    ) -> None:
        self._kind, self._network, self._optimizer = kind, network, optimizer
        self._variables, self._parts = list(variables), parts
        self._training = kind.settings.training

    def __call__(self, inputs: Any, labels: Tensors) -> Losses:
        """Train on one batch.

        Args:
            inputs: a batch of what `Architecture.example` gives.
            labels: the other half of it.

        Returns:
            The losses, divided by the replicas: their sum over all replicas is the
            loss of the step.
        """
        losses, gradients = self._accumulated(inputs, labels)
        self._apply(gradients)
        return losses

    def _accumulated(self, inputs: Any, labels: Tensors) -> tuple[Losses, list[tf.Tensor]]:
        """Losses and gradients of all small batches together, equal to those of the whole batch.

        A small batch divides its losses by a number of its own (its matched anchors, say), so
        each counts by its share of the whole batch's number.
        """
        if self._parts == 1:
            return self._one(inputs, labels, 1.0)
        whole = self._kind.normalizer(labels)
        split = tf.nest.map_structure(self._split, (inputs, dict(labels)))

        def one(part: Any) -> tuple[Losses, list[tf.Tensor]]:
            some_inputs, some_labels = tf.nest.map_structure(lambda value: value[part], split)
            return self._one(some_inputs, some_labels, self._kind.normalizer(some_labels) / whole)

        def add(part: tf.Tensor, sums: Any) -> tuple[tf.Tensor, Any]:
            return part + 1, tf.nest.map_structure(tf.add, sums, one(part))

        # One after the other: side by side they would need the memory of the whole batch.
        start = (tf.constant(1), one(0))
        return tf.while_loop(lambda part, _: part < self._parts, add, start, parallel_iterations=1)[1]

    def _split(self, value: tf.Tensor) -> tf.Tensor:
        return tf.reshape(value, [self._parts, -1, *value.shape[1:]])

    def _one(self, inputs: Any, labels: Tensors, share: Any) -> tuple[Losses, list[tf.Tensor]]:
        """Losses and gradients of one small batch, the gradients scaled where floats have 16 bits."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            outputs = tf.nest.map_structure(_full, self._kind.forward(self._network, inputs, labels))
            losses = self._losses(outputs, labels, share)
            target = losses[TOTAL]
            if _scales(self._optimizer):
                target = self._optimizer.get_scaled_loss(target)
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(target, self._variables, unconnected_gradients=zero)
        return losses, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _losses(self, outputs: Any, labels: Tensors, share: Any) -> Losses:
        terms = self._kind.losses(outputs, labels)
        losses = {f"Loss/{name}": term * share for name, term in terms.items()}
        if self._training.add_regularization_loss and self._network.losses:
            losses["Loss/regularization_loss"] = tf.add_n(self._network.losses) / self._parts
        losses[TOTAL] = tf.add_n(list(losses.values()))
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return {name: loss / replicas for name, loss in losses.items()}

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        """Change the weights; in the order of the API: unscale, weigh biases, clip, apply."""
        if _scales(self._optimizer):
            gradients = self._optimizer.get_unscaled_gradients(gradients)
        if self._training.bias_grad_multiplier:
            gradients = [self._weighed(*pair) for pair in zip(gradients, self._variables, strict=True)]
        if self._training.optimizer.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._training.optimizer.clip_norm)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))

    def _weighed(self, gradient: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        factor = self._training.bias_grad_multiplier if BIAS.search(variable.name) else 1.0
        return gradient * factor


def _full(value: Any) -> Any:
    """Losses are computed in 32 bits, whatever the network computes in."""
    floats = isinstance(value, tf.Tensor) and value.dtype in (tf.float16, tf.bfloat16)
    return tf.cast(value, tf.float32) if floats else value


def _scales(optimizer: Any) -> bool:
    return hasattr(optimizer, "get_scaled_loss")
