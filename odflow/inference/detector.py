"""What a trained detector is to the rest of odflow, and how one is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from odflow.errors import InputError
from odflow.formats.label_map import LabelMap, read_label_map
from odflow.inference.detections import Detections
from odflow.inference.image_graph import load_model_file
from odflow.inference.model_tensors import TensorNames, Wanted
from odflow.inference.session import ImageGraph
from odflow.inference.sharing import load_shared
from odflow.odapi import tensor_names
from odflow.odapi.model_files import DETECTOR_WANTED, ModelFile, detector_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AS_THE_API = TensorNames()
_LABEL_MAP = "label_map.pbtxt"


class Detector(Protocol):
    """A trained detector, loaded and ready; safe to call from several threads at once."""

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects.

        Args:
            image: (height, width, 3) uint8, upright RGB, of any size.

        Returns:
            All that the model gives, by falling score; equal scores in the model's order.
        """


class GraphDetector:
    """A graph that gives the API's four outputs, or all of them but the number of detections.

    Attributes:
        size: height and width that each image is resized to; None where the graph takes any.
    """

    def __init__(self, graph: ImageGraph) -> None:
        """Take a graph that computes `tensor_names.OUTPUTS`; without a number all rows count."""
        self._graph = graph
        self.size = graph.size

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects; see `Detector.detect`."""
        outputs = self._graph.run(image[None])
        number = int(np.ravel(outputs[3])[0]) if len(outputs) > 3 else None
        boxes, scores, classes = _of_one_image(outputs, self._graph.place)
        return Detections.by_score(boxes[:number], scores[:number], classes[:number])


def _of_one_image(outputs: Sequence[NDArray[Any]], place: str) -> list[NDArray[Any]]:
    """Boxes (M, 4), scores (M,) and classes (M,) of the one image that was looked at."""
    boxes, scores, classes = (
        output[0] if np.ndim(output) > rank else output
        for output, rank in zip(outputs[:3], (2, 1, 1), strict=True)
    )
    number = len(boxes) if np.ndim(boxes) else 0
    if np.shape(boxes) != (number, 4) or np.shape(scores) != (number,) or np.shape(classes) != (number,):
        told = ", ".join(
            f"{name} {np.shape(output)}"
            for name, output in zip(tensor_names.OUTPUTS[:3], outputs[:3], strict=True)
        )
        raise InputError(
            f"{place}: its outputs do not fit together: {told}; wanted (1, M, 4), (1, M), (1, M). "
            "Name those that are meant as outputs."
        )
    return [boxes, scores, classes]


def load_detector(path: Path, names: TensorNames = _AS_THE_API, trusted: bool = False) -> Detector:
    """Load a detector of any of the forms that odflow reads.

    Args:
        path: a frozen GraphDef (`.pb`), a SavedModel folder (as TF1 or TF2 exports it), an
            exported folder that holds either (the frozen graph comes first), or a TFLite
            file that ends in TFLite_Detection_PostProcess.
        names: what the model calls its tensors, where it does not as the API does.
        trusted: it may hold operations that reach files, Python or the network.

    Raises:
        InputError: no such path, damaged, not a detector, or not to be run without trust; the
            message says what was found.
    """
    file = check_detector(path, names)
    if file.form == "tflite":
        from odflow.inference.tflite import load_tflite

        return load_tflite(file.path, trusted=trusted)
    wanted = Wanted(tensor_names.OUTPUTS, DETECTOR_WANTED, (tensor_names.COUNT,), names, trusted)
    return GraphDetector(load_model_file(file, wanted))


def check_detector(path: Path, names: TensorNames = _AS_THE_API) -> ModelFile:
    """Tell which form of model a path leads to, without TensorFlow.

    Args:
        path: as `load_detector` takes it.
        names: as there.

    Raises:
        InputError: no such path, another kind of file, or names that this form has not; the
            message says what was found and what to do.
    """
    return detector_file(path, named=bool(names.input or names.outputs), signature=bool(names.signature))


def shared_detector(
    path: Path, run: str, names: TensorNames = _AS_THE_API, trusted: bool = False
) -> Detector:
    """Load a detector once for all threads of this process that work for a run.

    Args:
        path: as `load_detector` takes it.
        run: names the run: a process may live on, and another run find another model there.
        names: as `load_detector` takes it.
        trusted: as there.

    Raises:
        InputError: as `load_detector`.
    """
    return load_shared(load_detector, run, path, names, trusted)


def model_label_map(model: Path, given: Path | None) -> LabelMap:
    """Read the label map of a model's classes.

    Args:
        model: as `load_detector` takes it.
        given: the label map; None takes the one that an exported folder holds.

    Raises:
        InputError: none was given and the model holds none.
        ConfigError: as `read_label_map`.
    """
    return read_label_map(label_map_file(model, given))


def label_map_file(model: Path, given: Path | None) -> Path:
    """Find the label map of a model's classes; see `model_label_map`.

    Raises:
        InputError: none was given and the model holds none.
    """
    path = given or Path(model) / _LABEL_MAP
    if not path.is_file():
        raise InputError(f"{model}: holds no label map. Give label_map, the .pbtxt of its classes.")
    return path
