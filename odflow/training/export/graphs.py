"""Turn a trained detector into graphs that anything can run."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tf_keras

from odflow.odapi import tensor_names
from odflow.training.checkpoints import load_weights
from odflow.training.detector import DetectorArchitecture
from odflow.training.disk import told_by_disk
from odflow.training.export.freezing import freeze


class Detector:
    """A detector as the Object Detection API's TensorFlow 1 exporter has it: pixels in, boxes out.

    Attributes:
        network: with its weights.
        kind: what it is.
    """

    def __init__(self, network: tf_keras.Model, kind: DetectorArchitecture) -> None:
        self.network, self.kind = network, kind

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name=tensor_names.IMAGE)],
        autograph=False,
    )
    def detect(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size.

        Args:
            image_tensor: (N, height, width, 3) uint8 RGB, any size.

        Returns:
            What `DetectorArchitecture.detect` gives, each tensor under its name.
        """
        outputs = self.kind.detect(self.network, image_tensor)
        return {name: tf.identity(value, name=name) for name, value in outputs.items()}


def trained_detector(kind: DetectorArchitecture, weights: Path) -> Detector:
    """Build a detector and fill it with all of its trained weights.

    Args:
        kind: what to build.
        weights: see `load_weights`.

    Raises:
        InputError: the weights are another detector's.
    """
    tf_keras.backend.reset_uids()  # else names count the models that this process has built before
    network = kind.build()
    load_weights(network, weights)
    return Detector(network, kind)


class ServedDetector(tf.Module):
    """A detector as the API's TensorFlow 2 exporter has it: one image at a time, by a call."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        # Saved are the variables alone: held as a Keras model, every layer would be
        # traced and written once more, which serves nobody (5.7 MB for 1.2 MB).
        self.weights = detector.network.variables
        self._detect = lambda images: detector.kind.detect(detector.network, images)

    @tf.function(
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name=tensor_names.TF2_IMAGE)],
        autograph=False,
    )
    def __call__(self, input_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in a (1, height, width, 3) uint8 RGB image."""
        return self._detect(input_tensor)


def write_saved_model(detector: Detector, folder: Path) -> None:
    """Write a SavedModel with the signature of the API's TensorFlow 2 exporter.

    Args:
        detector: what to write.
        folder: is made.

    Raises:
        OSError: the disk is full or refuses.
    """
    served = ServedDetector(detector)
    with told_by_disk():
        tf.saved_model.save(served, str(folder), signatures=served.__call__)


def write_frozen_graph(detector: Detector, file: Path) -> None:
    """Write a GraphDef with the tensor names of the API's TensorFlow 1 exporter.

    Batch norms stay by themselves: TensorFlow folds them when it loads the graph, so
    that folding them here saved 2 percent of the time, and cost 17 of the size where
    pyramid levels share convolutions.

    Args:
        detector: what to write.
        file: is written; the same weights give the same bytes.
    """
    file.write_bytes(freeze(detector.detect.get_concrete_function()))
