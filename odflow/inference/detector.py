"""What a trained detector is to the rest of odflow, and how one is loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from odflow.errors import InputError
from odflow.formats.label_map import LabelMap, read_label_map
from odflow.inference.detections import Detections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FROZEN_GRAPH = "frozen_inference_graph.pb"
_LABEL_MAP = "label_map.pbtxt"
_SAVED_MODEL = "saved_model"
_SHARED_AT_MOST = 2  # a process may serve two runs in turn
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
    if not path.exists():
        raise InputError(f"{path}: no such model. {_WANTED}")
    if path.is_dir():
        return _load_folder(path)
    if _is_tflite(path):
        from odflow.inference.tflite import load_tflite

        return load_tflite(path)
    if path.name == "saved_model.pb":
        return _load_folder(path.parent)
    from odflow.inference.frozen_graph import load_frozen_graph

    return load_frozen_graph(path)


def shared_detector(path: Path, run: str) -> Detector:
    """Load a detector once for all threads of this process that work for a run.

    Args:
        path: as `load_detector` takes it.
        run: names the run: a process may live on, and another run find another model there.

    Raises:
        InputError: as `load_detector`.
    """
    with _loading:
        return _load_once(path, run)


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


_loading = Lock()


@lru_cache(_SHARED_AT_MOST)
def _load_once(path: Path, run: str) -> Detector:
    return load_detector(path)


def _load_folder(folder: Path) -> Detector:
    if (folder / _FROZEN_GRAPH).is_file():
        from odflow.inference.frozen_graph import load_frozen_graph

        return load_frozen_graph(folder / _FROZEN_GRAPH)
    for saved_model in (folder, folder / _SAVED_MODEL):
        if (saved_model / "saved_model.pb").is_file():
            from odflow.inference.saved_model import load_saved_model

            return load_saved_model(saved_model)
    raise InputError(f"{folder}: holds neither {_FROZEN_GRAPH} nor a SavedModel. {_WANTED}")


def _is_tflite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"TFL3" or path.suffix == ".tflite"
