"""Convert a trained detector to TFLite, as the Object Detection API's export_tflite_graph does."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
import tf_keras
from flatbuffers import flexbuffers  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tensorflow.lite.tools import flatbuffer_utils

from odflow.inference.image_input import resize
from odflow.inference.tflite import POST_PROCESS
from odflow.training.detection.post_processing import AnchorPredictions
from odflow.training.detector import DetectorArchitecture
from odflow.training.settings import DetectorSettings, PostProcessing

PER_CLASS = 100
"""The operation's limit where a file does not say it."""


@runtime_checkable
class AnchorDetector(Protocol):
    """What TFLite's detection operation can end: an architecture with anchors and one stage."""

    def preprocess(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The network's inputs, and the height and width in pixels that the picture takes of them."""

    def predictions(self, network: tf_keras.Model, inputs: tf.Tensor) -> AnchorPredictions:
        """What the network says of each anchor."""


def class_agnostic(settings: DetectorSettings) -> DetectorSettings:
    """The same detector with the operation's fast suppression, which is the API's class-agnostic one."""
    model: Any = settings.model
    post = dataclasses.replace(model.post_processing, class_agnostic=True)
    return dataclasses.replace(settings, model=dataclasses.replace(model, post_processing=post))


def convert(
    kind: DetectorArchitecture, network: tf_keras.Model, images: Iterable[Any] | None = None
) -> bytes:
    """Convert a detector.

    The file takes an image (1, height, width, 3) of the network's size: float32 with
    pixels mapped to -1..1, or with `images` uint8 pixels. It ends in
    TFLite_Detection_PostProcess: boxes (1, M, 4), classes (1, M) from 0, scores (1, M), count (1,).

    Args:
        kind: an `AnchorDetector`, see `convertible.check_convertible`.
        network: its network, with weights.
        images: (height, width, 3) uint8 RGB arrays of any size, such as the detector will
            see; where given, weights and activations become int8 by what these need.

    Returns:
        The file's bytes.
    """
    module = tf.Module()
    module.weights = network.variables
    model: Any = kind.settings.model
    size = (1, model.resizer.height, model.resizer.width, 3)
    function = tf.function(_inference(kind, network), [tf.TensorSpec(size, name="input")], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
    converter.allow_custom_ops = True
    if images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.representative_dataset = lambda: _representative(images, size[1], size[2])
    return _limited(bytes(_quietly(converter.convert)), model.post_processing.max_per_class)


def _inference(kind: Any, network: tf_keras.Model) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
    model = kind.settings.model
    gain, offset = _normalization(kind)
    post = tf.function(
        _nothing,
        experimental_implements=_operation(
            model.post_processing, model.num_classes, model.matching.box_scales
        ),
    )

    def inference(image: tf.Tensor) -> tuple[tf.Tensor, ...]:
        found = kind.predictions(network, image if gain is None else image * gain + offset)
        middle = (found.anchors[:, :2] + found.anchors[:, 2:]) / 2.0
        anchors = tf.concat([middle, found.anchors[:, 2:] - found.anchors[:, :2]], axis=1)
        # Reversed, as the API has them: applications know outputs by their names,
        # StatefulPartitionedCall:3 for the boxes and so on.
        outputs: tuple[tf.Tensor, ...] = post(found.encodings, found.scores, anchors)
        return outputs[::-1]

    return inference


def _normalization(kind: AnchorDetector) -> tuple[Any, Any]:
    """From pixels in -1..1 to the network's inputs: factors and shifts of the channels, or None."""
    model: Any = kind.settings.model  # type: ignore[attr-defined]
    black, white = (
        kind.preprocess(tf.fill([1, model.resizer.height, model.resizer.width, 3], value))[0][0, 0, 0].numpy()
        for value in (0.0, 255.0)
    )
    gain, offset = (white - black) / 2.0, (white + black) / 2.0
    if np.allclose(gain, 1.0, atol=1e-6) and np.allclose(offset, 0.0, atol=1e-6):
        return None, None
    return gain, offset


def _operation(post: PostProcessing, num_classes: int, scales: tuple[float, ...]) -> str:
    """The text by which the converter knows what to put in place of a function."""
    attributes = {
        "max_detections": f"i: {post.max_total}",
        "max_classes_per_detection": "i: 1",
        "use_regular_nms": f"b: {str(not post.class_agnostic).lower()}",
        "nms_score_threshold": f"f: {post.score_threshold:.9g}",
        "nms_iou_threshold": f"f: {post.iou_threshold:.9g}",
        **{f"{side}_scale": f"f: {scale:.9g}" for side, scale in zip("yxhw", scales, strict=True)},
        "num_classes": f"i: {num_classes}",
    }
    told = (f'attr {{ key: "{name}" value {{ {value} }} }}' for name, value in attributes.items())
    return " ".join([f'name: "{POST_PROCESS}"', *told])


def _limited(file: bytes, per_class: int) -> bytes:
    """Say the operation's limit of each class, which the converter does not pass on."""
    if per_class == PER_CLASS:
        return file
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(file))
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex].customCode == POST_PROCESS.encode():
            options = flexbuffers.Loads(bytes(operator.customOptions))
            operator.customOptions = list(flexbuffers.Dumps({**options, "detections_per_class": per_class}))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _nothing(encodings: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Stands where the converter puts the operation, which TensorFlow itself does not have."""
    return tuple(tf.constant(0.0) for _ in range(4))


def _representative(images: Iterable[Any], height: int, width: int) -> Iterator[list[NDArray[np.float32]]]:
    for number, image in enumerate(images):
        pixels = (resize(image, height, width) - np.float32(127.5)) / np.float32(127.5)
        if number == 0:
            pixels[0, :2] = [[-1.0], [1.0]]  # so that a uint8 pixel stands for itself, whatever the images
        yield [pixels[np.newaxis]]


def _quietly(convert: Callable[[], bytes]) -> bytes:
    """Keep to itself what the converter says of functions without a signature."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return convert()
    finally:
        log.setLevel(level)
