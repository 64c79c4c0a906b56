"""Model Garden's training task for any architecture of the Object Detection API."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from official.core import base_task, config_definitions

from odflow.training.architecture import Architecture, Tensors

TERMS = ("classification_loss", "localization_loss", "regularization_loss")
"""The parts of the loss that are logged, by the API's names."""


class DetectionTask(base_task.Task):
    """One training of one detector."""

    def __init__(self, kind: Architecture) -> None:
        super().__init__(config_definitions.TaskConfig())
        self.kind = kind

    def build_model(self) -> tf_keras.Model:
        """A network with fresh weights."""
        return self.kind.build()

    def initialize(self, model: tf_keras.Model) -> None:
        """Nothing: weights are loaded before the trainer is made."""

    def build_inputs(self, params: Any, input_context: Any = None) -> tf.data.Dataset:
        """The data set itself: the trainer is given one that is distributed already."""
        return params

    def build_metrics(self, training: bool = True) -> list[tf_keras.metrics.Metric]:
        """A mean for each part of the loss."""
        return [tf_keras.metrics.Mean(name, dtype=tf.float32) for name in TERMS]

    def build_losses(self, labels: Tensors, model_outputs: Any, aux_losses: Any = None) -> tf.Tensor:
        """The whole loss, scalar."""
        return tf.add_n(list(self._terms(labels, model_outputs, aux_losses).values()))

    def train_step(
        self, inputs: tuple[Any, Tensors], model: tf_keras.Model, optimizer: Any, metrics: Any = None
    ) -> dict[str, tf.Tensor]:
        """One step of one replica.

        Args:
            inputs: a batch of what `Architecture.targets` gives.
            model: from `build_model`.
            optimizer: changes its weights.
            metrics: from `build_metrics`.

        Returns:
            `loss`, of this replica's batch.
        """
        images, labels = inputs
        with tf.GradientTape() as tape:
            outputs = self.kind.forward(model, images, labels)
            terms = self._terms(labels, outputs, model.losses)
            loss = tf.add_n(list(terms.values()))
            scaled = loss / tf.distribute.get_strategy().num_replicas_in_sync
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))
        for metric in metrics or ():
            if metric.name in terms:
                metric.update_state(terms[metric.name])
        return {self.loss: loss}

    def _terms(self, labels: Tensors, outputs: Any, regularization: Any) -> dict[str, tf.Tensor]:
        terms = self.kind.losses(outputs, labels)
        return {**terms, "regularization_loss": tf.add_n(regularization)} if regularization else terms
