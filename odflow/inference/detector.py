"""What a trained detector is to the rest of odflow, and how one is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from odflow.errors import InputError
from odflow.formats.label_map import LabelMap, read_label_map
from odflow.inference.detections import Detections
from odflow.inference.image_graph import load_image_graph
from odflow.inference.session import ImageGraph
from odflow.inference.sharing import load_shared
from odflow.odapi import tensor_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LABEL_MAP = "label_map.pbtxt"
_WANTED = (
    "Give a frozen graph (.pb), a SavedModel folder, an exported folder or a TFLite file with detections."
)


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
    """A graph that gives the API's four outputs."""

    def __init__(self, graph: ImageGraph) -> None:
        """Take a graph that computes `tensor_names.OUTPUTS`."""
        self._graph = graph

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects; see `Detector.detect`."""
        boxes, scores, classes, count = self._graph.run(image[None])
        number = int(count[0])
        return Detections.by_score(boxes[0][:number], scores[0][:number], classes[0][:number])


def load_detector(path: Path) -> Detector:
    """Load a detector of any of the forms that odflow reads.

    Args:
        path: a frozen GraphDef (`.pb`), a SavedModel folder (as TF1 or TF2 exports it), an
            exported folder that holds either (the frozen graph comes first), or a TFLite
            file that ends in TFLite_Detection_PostProcess.

    Raises:
        InputError: no such path, damaged, or not a detector; the message says what was found.
    """
    path = Path(path)
    if path.is_file() and _is_tflite(path):
        from odflow.inference.tflite import load_tflite

        return load_tflite(path)
    return GraphDetector(load_image_graph(path, tensor_names.OUTPUTS, _WANTED))


def shared_detector(path: Path, run: str) -> Detector:
    """Load a detector once for all threads of this process that work for a run.

    Args:
        path: as `load_detector` takes it.
        run: names the run: a process may live on, and another run find another model there.

    Raises:
        InputError: as `load_detector`.
    """
    return load_shared(load_detector, path, run)


def model_label_map(model: Path, given: Path | None) -> LabelMap:
    """Read the label map of a model's classes.

    Args:
        model: as `load_detector` takes it.
        given: the label map; None takes the one that an exported folder holds.

    Raises:
        InputError: none was given and the model holds none.
        ConfigError: as `read_label_map`.
    """
    path = given or Path(model) / _LABEL_MAP
    if not path.is_file():
        raise InputError(f"{model}: holds no label map. Give label_map, the .pbtxt of its classes.")
    return read_label_map(path)


def _is_tflite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"TFL3" or path.suffix == ".tflite"
