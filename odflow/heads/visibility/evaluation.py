"""How good the weights of a visibility network are, measured while it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from odflow.errors import InputError
from odflow.formats.tfrecord import Records, record_files, records_place
from odflow.heads.visibility.losses import image_loss
from odflow.heads.visibility.network import image_logits
from odflow.ops.multilabel_metrics import ranking_metrics
from odflow.training.architecture import Metrics, Tensors
from odflow.training.checkpoints import load_weights
from odflow.training.settings import LOSS

if TYPE_CHECKING:
    from odflow.heads.visibility.architecture import Visibility

BATCH = 16
"""Images at once; the figures do not depend on it."""


class VisibilityEvaluator:
    """Measures saved weights of a visibility network against records.

    Args:
        kind: of network.
        records: a file, a folder of them, or several.

    Raises:
        InputError: there are no records.
    """

    def __init__(self, kind: Visibility, records: Records) -> None:
        self._kind, self._records = kind, records
        self._network = kind.build()
        self._batches = self._images([str(file) for file in record_files(records)])
        inputs, labels = self._batches.element_spec
        self._look = tf.function(self._scored, input_signature=[inputs, labels], autograph=False)

    def measure(self, weights: Path) -> Metrics:
        """Score every image and compare.

        Args:
            weights: see `checkpoints.find_checkpoint`.

        Returns:
            `loss`, the mean of the images; `mAP` and `AP/CLASS`, see `ranking_metrics`.

        Raises:
            InputError: a record cannot be used, or there is none.
        """
        load_weights(self._network, weights)
        try:
            found = [[tensor.numpy() for tensor in self._look(*batch)] for batch in self._batches]
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
            reason = error.message.splitlines()[0][:200]
            raise InputError(
                f"{records_place(self._records)}: an example cannot be used ({reason})."
            ) from error
        if not found:
            raise InputError(f"{records_place(self._records)}: no record; nothing to measure.")
        truth, logits, losses = (np.concatenate(column) for column in zip(*found, strict=True))
        metrics = ranking_metrics(truth > 0, logits, self._kind.model.names)
        return {LOSS: float(losses.mean(dtype=np.float64)), **metrics}

    def _images(self, files: list[str]) -> tf.data.Dataset:
        """Batches of whole images and their labels, in the order of the records."""

        @tf.autograph.experimental.do_not_convert  # which would take longer than the tracing
        def example(serialized: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
            inputs, labels = self._kind.inputs(serialized, tf.zeros([2], tf.int64), training=False)
            return inputs, labels

        examples = tf.data.TFRecordDataset(files).map(example, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(BATCH).prefetch(1)

    def _scored(self, inputs: tf.Tensor, labels: Tensors) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Truth and logits (N, classes), which rank as scores do; losses (N,)."""
        logits = self._network(inputs, training=False)
        return labels["visible"], image_logits(logits), image_loss(logits, labels["visible"])
