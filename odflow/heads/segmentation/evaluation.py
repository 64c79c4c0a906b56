"""How good the weights of a segmentation network are, measured while it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from odflow.errors import InputError
from odflow.formats.tfrecord import Records, record_files, records_place
from odflow.heads.segmentation.architecture import most_likely
from odflow.heads.segmentation.inputs import decode
from odflow.heads.segmentation.losses import counted_pixels
from odflow.ops.segmentation_metrics import confusion_matrix, mask_metrics
from odflow.training.architecture import Metrics
from odflow.training.checkpoints import load_weights
from odflow.training.settings import LOSS

if TYPE_CHECKING:
    from odflow.heads.segmentation.architecture import Segmentation


class SegmentationEvaluator:
    """Measures saved weights of a segmentation network against records.

    Args:
        kind: of network.
        records: a file, a folder of them, or several.

    Raises:
        InputError: there are no records.
    """

    def __init__(self, kind: Segmentation, records: Records) -> None:
        self._kind, self._records = kind, records
        self._network = kind.build()
        files = [str(file) for file in record_files(records)]
        plain = tf.autograph.experimental.do_not_convert(decode)  # converting takes longer than tracing
        examples = tf.data.TFRecordDataset(files).map(plain, num_parallel_calls=tf.data.AUTOTUNE)
        self._examples = examples.prefetch(2)
        self._look = tf.function(
            self._found, input_signature=list(self._examples.element_spec), autograph=False
        )

    def measure(self, weights: Path) -> Metrics:
        """Find the class of every pixel at the images' own resolution, and compare.

        Args:
            weights: see `checkpoints.find_checkpoint`.

        Returns:
            `mask_metrics`, and `loss`, the mean over all pixels as training sees them.

        Raises:
            InputError: a record cannot be used, or there is none.
        """
        load_weights(self._network, weights)
        classes = self._kind.model.classes
        confusion, sums = np.zeros([len(classes)] * 2, np.int64), np.zeros(2)
        try:
            for image, truth in self._examples:
                found, loss = self._look(image, truth)
                confusion += confusion_matrix(truth.numpy(), found.numpy(), len(classes))
                sums += loss.numpy()
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
            reason = error.message.splitlines()[0][-200:]  # where it happened comes before what
            raise InputError(
                f"{records_place(self._records)}: an example cannot be used ({reason})."
            ) from error
        if not confusion.any():
            raise InputError(
                f"{records_place(self._records)}: no pixel that is not ignored; nothing to measure."
            )
        return {LOSS: float(sums[0] / sums[1]), **mask_metrics(confusion, classes)}

    def _found(self, image: tf.Tensor, truth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The mask found, and (2,) float32, the sum of the losses of the pixels and how many there are."""
        logits, place = self._kind.look(self._network, image[tf.newaxis])
        mask = place.mask(truth)[tf.newaxis]
        losses = tf.reduce_sum(self._kind.pixel_losses(logits, mask))
        found = most_likely(place.out(logits, tf.shape(truth)))[0]
        return found, tf.stack([losses, counted_pixels(mask)])
