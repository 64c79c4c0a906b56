"""TFLite files that end in the operation TFLite_Detection_PostProcess."""

from __future__ import annotations

import math
import struct
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError, StageError
from odflow.inference.detections import Detections
from odflow.inference.graph_operations import check_tflite
from odflow.inference.image_input import resize
from odflow.inference.session import first_line
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.regular import read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

POST_PROCESS = "TFLite_Detection_PostProcess"

_MOST = 100_000  # detections; TFLite takes memory for as many as a file says
_MOST_PIXELS = 3 * 50_000_000
_DAMAGES = (ValueError, RuntimeError, TypeError, LookupError, AttributeError, OverflowError, struct.error)


def load_tflite(path: Path, *, trusted: bool = False) -> TFLiteDetector:
    """Load a TFLite detector, with LiteRT where it is installed, else with TensorFlow.

    Args:
        path: the file.
        trusted: it may hold operations that reach files, Python or the network.

    Raises:
        InputError: damaged, an operation that reaches beyond the model, its input is no image, it
            asks for an absurd amount of memory, or does not end in detections.
    """
    if not trusted:
        check_tflite(path)
    try:
        _check_sizes(path)
        interpreter = _interpreter(path)
        image, operations = interpreter.get_input_details()[0], interpreter._get_ops_details()
    except _DAMAGES as error:
        raise InputError(f"{path}: is not a TFLite model, or is damaged ({first_line(error)}).") from None
    if len(image["shape"]) != 4 or image["shape"][3] != 3 or image["dtype"] not in _TO_INPUT:
        raise InputError(
            f"{path}: its input is {np.dtype(image['dtype'])} {image['shape'].tolist()}; "
            "wanted an image (1, height, width, 3) of uint8, int8 or float32."
        )
    # The operation gives boxes, classes, scores and count in this order, while converters
    # order (and name) the model's outputs as they like.
    outputs = [op["outputs"] for op in operations if op["op_name"] == POST_PROCESS]
    if not outputs:
        raise InputError(f"{path}: does not end in {POST_PROCESS}. Export the model with it.")
    return TFLiteDetector(path, image, [int(index) for index in outputs[-1]])


def _interpreter(path: Path) -> Any:
    """An interpreter that computes in the thread that calls it.

    With N threads of its own, N above 1, TFLite_Detection_PostProcess loses all boxes of
    class N where it suppresses by class (TensorFlow's issue 56058). Images side by side
    use the processor just as well.
    """
    interpreter = _interpreter_class()(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


class TFLiteDetector:
    """An interpreter for each thread that detects."""

    def __init__(self, path: Path, image: Any, outputs: list[int]) -> None:
        """Bind a file.

        Args:
            path: a TFLite file.
            image: the details of its input.
            outputs: the tensor indices of boxes, classes, scores and count.
        """
        self._path = path
        self._image = image
        self._outputs = outputs
        self._own = threading.local()

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects; see `Detector.detect`.

        Raises:
            StageError: the model failed.
        """
        _, height, width, _ = self._image["shape"]
        pixels = _TO_INPUT[self._image["dtype"]](resize(image, int(height), int(width)))
        if not hasattr(self._own, "interpreter"):
            self._own.interpreter = _interpreter(self._path)
        interpreter = self._own.interpreter
        try:
            interpreter.set_tensor(self._image["index"], pixels[np.newaxis])
            interpreter.invoke()
            boxes, classes, scores, count = map(interpreter.get_tensor, self._outputs)
            number = int(np.ravel(count)[0])
        except _DAMAGES as error:
            raise StageError(f"{self._path}: the model failed ({first_line(error)}).") from None
        kept = np.flatnonzero(_area_inside(boxes[0][:number]) > 0)  # as other exports have it
        return Detections.by_score(boxes[0][kept], scores[0][kept], classes[0][kept] + 1)  # they count from 0


def _area_inside(boxes_yxyx: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (M,) areas of (M, 4) normalised boxes inside the image."""
    sides: NDArray[np.float32] = np.clip(boxes_yxyx[:, 2:], 0, 1) - np.clip(boxes_yxyx[:, :2], 0, 1)
    return sides[:, 0] * sides[:, 1]


def _rounded(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(pixels).astype(np.uint8)


_TO_INPUT: dict[Any, Any] = {
    np.uint8: _rounded,
    np.int8: lambda pixels: (_rounded(pixels).astype(np.int16) - 128).astype(np.int8),
    np.float32: lambda pixels: (pixels - np.float32(127.5)) / np.float32(127.5),
}


def _check_sizes(path: Path) -> None:
    """See that a file asks for no absurd amount of memory, which TFLite takes as it loads it."""
    flexbuffers = import_module("flatbuffers.flexbuffers")

    model = _module("schema_py_generated").Model.GetRootAs(read_regular(path), 0)
    graph = model.Subgraphs(0)
    pixels = math.prod(map(int, graph.Tensors(graph.Inputs(0)).ShapeAsNumpy()))
    if pixels > _MOST_PIXELS:
        raise InputError(f"{path}: takes images of {pixels} numbers; wanted at most {_MOST_PIXELS}.")
    for operation in map(graph.Operators, range(graph.OperatorsLength())):
        if model.OperatorCodes(operation.OpcodeIndex()).CustomCode() == POST_PROCESS.encode():
            options = flexbuffers.Loads(operation.CustomOptionsAsNumpy().tobytes())
            each = [abs(options.get(name, 1)) for name in ("max_detections", "max_classes_per_detection")]
            if math.prod(each) > _MOST:
                raise InputError(f"{path}: gives {each[0]} x {each[1]} detections; wanted at most {_MOST}.")


def _interpreter_class() -> Any:
    return _module("interpreter").Interpreter


def _module(name: str) -> Any:
    """A module of LiteRT where that is installed, else TensorFlow's own of the same name."""
    try:
        return import_module(f"ai_edge_litert.{name}")
    except ImportError:
        import_tensorflow()
        return import_module(f"tensorflow.lite.python.{name}")
