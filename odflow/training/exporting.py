"""Turn a trained detector into a graph that anything can run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from odflow.training.checkpoints import load_weights
from odflow.training.network import build_network, predict
from odflow.training.preprocessing import preprocess
from odflow.training.settings import Model, Settings

Serve = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class Detector(tf.Module):
    """A detector as the Object Detection API exports it: pixels in, boxes out."""

    def __init__(self, network: tf_keras.Model, model: Model, box_scales: tuple[float, ...]) -> None:
        super().__init__()
        # Saved are the variables alone: held as a Keras model, every layer would be
        # traced and written once more, which serves nobody (5.7 MB for 1.2 MB).
        self.weights = network.variables
        self._predict = lambda inputs: predict(network, inputs, model)
        self._model = model
        self._box_scales = box_scales
        self._anchors = model.anchors.boxes(model.resizer.height, model.resizer.width)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="image_tensor")],
        autograph=False,
    )
    def detect(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size.

        Args:
            image_tensor: (N, height, width, 3) uint8 RGB, any size.

        Returns:
            detection_boxes (N, M, 4) float32, ymin xmin ymax xmax of the image's
            height and width; detection_scores (N, M); detection_classes (N, M)
            float32, ids of the label map; num_detections (N,) float32.
        """
        inputs, shape = preprocess(image_tensor, self._model)
        encodings, logits = self._predict(inputs)
        boxes = decode_boxes(encodings, self._anchors, self._box_scales)
        boxes = tf.clip_by_value(boxes / tf.concat([shape, shape], 0), 0.0, 1.0)
        outputs = _suppress(boxes, tf.sigmoid(logits[..., 1:]), self._model)
        return {name: tf.identity(value, name=name) for name, value in outputs.items()}


def decode_boxes(encodings: tf.Tensor, anchors: tf.Tensor, scales: tuple[float, ...]) -> tf.Tensor:
    """Undo the Faster R-CNN box coding.

    Args:
        encodings: (N, A, 4) float32: y x of the centre, height and width, encoded.
        anchors: (A, 4) float32, ymin xmin ymax xmax, pixels.
        scales: the coder's factors on y, x, height, width.

    Returns:
        (N, A, 4) float32, ymin xmin ymax xmax, pixels.
    """
    sides = anchors[:, 2:] - anchors[:, :2]
    middle = anchors[:, :2] + sides / 2.0
    code = encodings / tf.constant(scales, tf.float32)
    centre = code[..., :2] * sides + middle
    half = tf.exp(code[..., 2:]) * sides / 2.0
    return tf.concat([centre - half, centre + half], axis=-1)


def _suppress(boxes_yxyx: tf.Tensor, scores: tf.Tensor, model: Model) -> dict[str, tf.Tensor]:
    """Non-maximum suppression within each class; rows after the last detection are zero."""
    nms = model.post_processing
    boxes, kept, classes, count = tf.image.combined_non_max_suppression(
        boxes_yxyx[:, :, tf.newaxis],
        scores,
        max_output_size_per_class=nms.max_per_class,
        max_total_size=nms.max_total,
        iou_threshold=nms.iou_threshold,
        score_threshold=nms.score_threshold,
        clip_boxes=False,
    )
    found = tf.sequence_mask(count, nms.max_total, dtype=tf.float32)
    return {
        "detection_boxes": boxes,
        "detection_scores": kept,
        "detection_classes": (classes + 1.0) * found,
        "num_detections": tf.cast(count, tf.float32),
    }


def export_detector(settings: Settings, weights: Path, folder: Path) -> None:
    """Write the frozen graph and the SavedModel of a trained detector.

    Args:
        settings: what was trained.
        weights: see `checkpoints.find_checkpoint`.
        folder: gets `frozen_inference_graph.pb` and `saved_model/`.
    """
    network = build_network(settings.model)
    load_weights(network, weights, "full")
    detector = Detector(network, settings.model, settings.training.matching.box_scales)
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
