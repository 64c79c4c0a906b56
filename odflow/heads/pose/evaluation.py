"""How good the weights of a pose network are, measured while it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from odflow.errors import InputError
from odflow.formats.tfrecord import Records, record_files, records_place
from odflow.heads.pose.prediction import find_joints
from odflow.ops.keypoint_metrics import TORSO, CorrectKeypoints, lengths_between
from odflow.training.architecture import Metrics, Tensors
from odflow.training.checkpoints import load_weights
from odflow.training.settings import LOSS

if TYPE_CHECKING:
    from odflow.heads.pose.architecture import Pose

BATCH = 16
"""Persons at once; the figures do not depend on it."""


class PoseEvaluator:
    """Measures saved weights of a pose network against records.

    Args:
        kind: of network.
        records: a file, a folder of them, or several.

    Raises:
        InputError: there are no records.
    """

    def __init__(self, kind: Pose, records: Records) -> None:
        self._kind, self._records = kind, records
        self._network = kind.build()
        self._batches = self._persons([str(file) for file in record_files(records)])
        inputs, labels = self._batches.element_spec
        self._look = tf.function(self._found, input_signature=[inputs, labels], autograph=False)

    def measure(self, weights: Path) -> Metrics:
        """Find the joints of every person and compare, in pixels of the image.

        Args:
            weights: see `checkpoints.find_checkpoint`.

        Returns:
            `loss`, the mean of the persons; `PCK@0.2` and `PCK@0.2/JOINT`, see
            `CorrectKeypoints.at`.

        Raises:
            InputError: a record cannot be used, or there is none.
        """
        load_weights(self._network, weights)
        skeleton = self._kind.model.skeleton
        correct, losses = CorrectKeypoints("PCK", skeleton.joints), []
        try:
            for inputs, labels in self._batches:
                found, truth, loss = (tensor.numpy() for tensor in self._look(inputs, labels))
                correct.add(found, truth, lengths_between(truth, *skeleton.torsos))
                losses.append(loss)
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
            reason = error.message.splitlines()[0][:200]
            raise InputError(
                f"{records_place(self._records)}: an example cannot be used ({reason})."
            ) from error
        if not losses:
            raise InputError(f"{records_place(self._records)}: no record; nothing to measure.")
        # One by one, so that the last batch, which has fewer persons, does not count for more.
        return {LOSS: float(np.concatenate(losses).mean(dtype=np.float64)), **correct.at(TORSO)}

    def _persons(self, files: list[str]) -> tf.data.Dataset:
        """Batches of crops with their labels, in the order of the records, the last one perhaps smaller."""

        @tf.autograph.experimental.do_not_convert  # which would take longer than the tracing
        def example(serialized: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
            inputs, labels = self._kind.inputs(serialized, tf.zeros([2], tf.int64), training=False)
            return inputs, labels

        examples = tf.data.TFRecordDataset(files).map(example, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(BATCH).prefetch(1)

    def _found(self, inputs: tf.Tensor, labels: Tensors) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Joints found (N, K, 3) x y score and true (N, K, 3) x y v, in pixels of the image; losses (N,)."""
        model = self._kind.model
        maps = self._network(inputs, training=False)
        y, x, score = tf.unstack(find_joints(maps[-1], model.heatmaps), axis=-1)
        found = tf.stack([x * model.crop.width, y * model.crop.height, score], axis=-1)
        true, losses = labels["joints"], self._kind.example_losses(maps, labels)
        return _in_image(found, labels["to_image"]), _in_image(true, labels["to_image"]), losses


def _in_image(joints: tf.Tensor, to_image: tf.Tensor) -> tf.Tensor:
    """(N, K, 3) x y and something else: from pixels of the crop to those of the image; (N, 2, 3) affine."""
    places = tf.concat([joints[..., :2], tf.ones_like(joints[..., :1])], axis=-1)
    return tf.concat([tf.matmul(places, to_image, transpose_b=True), joints[..., 2:]], axis=-1)
