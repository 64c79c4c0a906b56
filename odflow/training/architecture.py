"""What a kind of model gives to the training loop, whatever it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import tensorflow as tf
import tf_keras

from odflow.formats.label_map import LabelMap
from odflow.formats.tfrecord import Records
from odflow.training.checkpoints import Parts
from odflow.training.settings import Settings

Tensors = Mapping[str, tf.Tensor]

Metrics = dict[str, float | None]
"""Metric by its name; None where there is no ground truth for it."""


@dataclass(frozen=True)
class Goal:
    """What the weights with the best evaluation are best at.

    Attributes:
        shown: short name of a metric to its own, in the order in which they are told; the first decides.
        rises: more of it is better.
    """

    shown: Mapping[str, str]
    rises: bool = True

    @property
    def short(self) -> str:
        """The short name of the metric that decides."""
        return next(iter(self.shown))

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.shown[self.short]


class Evaluator(Protocol):
    """Measures weights against records that it was made with."""

    def measure(self, weights: Path) -> Metrics:
        """Measure saved weights.

        Args:
            weights: see `checkpoints.find_checkpoint`.

        Raises:
            InputError: a record cannot be used, or there is nothing to measure against.
        """


class Architecture(Protocol):
    """A kind of model, as its settings describe it; holds no weights.

    Attributes:
        settings: of the model and its training.
        parts: what the network's variables belong to.
        goal: what the best weights are best at.
    """

    settings: Settings
    parts: Parts
    goal: Goal

    def build(self) -> tf_keras.Model:
        """A network with fresh weights; `tf.train.Checkpoint(model=network)` holds them."""

    def example(self, serialized: tf.Tensor, draw: tf.Tensor) -> tuple[Any, Tensors]:
        """From a record to what the network is trained with; part of a `tf.data` pipeline.

        Args:
            serialized: a `tf.train.Example`, scalar string.
            draw: (2,) int64: seed and place in the training; all that is random comes from it.

        Returns:
            inputs: what `forward` takes of the example, of fixed shape, so that examples can be batched.
            labels: what `losses` compares with, of fixed shape.
        """

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Tensors) -> Any:
        """Run the network on a batch as training does.

        Returns:
            What `losses` takes.
        """

    def losses(self, outputs: Any, labels: Tensors) -> dict[str, tf.Tensor]:
        """The weighted terms of the loss, scalars by the API's names, without regularization."""

    def normalizer(self, labels: Tensors) -> tf.Tensor:
        """What `losses` divides by, float32 scalar: small batches of one large one count by it."""

    def evaluator(self, records: Records, label_map: LabelMap | None) -> Evaluator:
        """What measures the weights during training.

        Args:
            records: to measure against.
            label_map: their classes, where they have some.
        """


def architecture(settings: Settings) -> Architecture:
    """The architecture that the settings are for."""
    return cast(Architecture, settings.model.architecture(settings))
