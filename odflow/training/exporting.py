"""Turn a trained detector into a graph that anything can run."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from odflow.training.architecture import Architecture, architecture
from odflow.training.checkpoints import load_weights
from odflow.training.settings import Settings


class Detector(tf.Module):
    """A detector as the Object Detection API exports it: pixels in, boxes out."""

    def __init__(self, network: tf_keras.Model, kind: Architecture) -> None:
        super().__init__()
        # Saved are the variables alone: held as a Keras model, every layer would be
        # traced and written once more, which serves nobody (5.7 MB for 1.2 MB).
        self.weights = network.variables
        self._detect = lambda images: kind.detect(network, images)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="image_tensor")],
        autograph=False,
    )
    def detect(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size.

        Args:
            image_tensor: (N, height, width, 3) uint8 RGB, any size.

        Returns:
            What `Architecture.detect` gives.
        """
        outputs = self._detect(image_tensor)
        return {name: tf.identity(value, name=name) for name, value in outputs.items()}


def export_detector(settings: Settings, weights: Path, folder: Path) -> None:
    """Write the frozen graph and the SavedModel of a trained detector.

    Args:
        settings: what was trained.
        weights: see `checkpoints.find_checkpoint`.
        folder: gets `frozen_inference_graph.pb` and `saved_model/`.
    """
    kind = architecture(settings)
    network = kind.build()
    load_weights(network, weights)
    detector = Detector(network, kind)
    tf.saved_model.save(detector, str(folder / "saved_model"), signatures=detector.detect)
    (folder / "frozen_inference_graph.pb").write_bytes(freeze(detector.detect.get_concrete_function()))


def freeze(function: tf.types.experimental.ConcreteFunction) -> bytes:
    """Make a GraphDef with the weights inside, which a TensorFlow 1 session can run.

    Args:
        function: its outputs named by `tf.identity`.

    Returns:
        The serialized GraphDef.
    """
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    return bytes(frozen.graph.as_graph_def().SerializeToString(deterministic=True))
