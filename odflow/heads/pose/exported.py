"""Exported pose models, loaded and ready: a frozen graph, a SavedModel, or the folder with both."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError, StageError
from odflow.heads.pose.settings import PoseModel, read_model
from odflow.inference.session import check_image, first_line, new_session
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.odapi import tensor_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYPOINTS = "keypoints"
"""The output: (N, K, 3) float32, y x score; y and x normalised."""

SETTINGS = "pose.json"
"""The settings of the model, in the exported folder."""

FROZEN_GRAPH = "frozen_inference_graph.pb"
SAVED_MODEL = "saved_model"
_SIGNATURE = "serving_default"
_WANTED = "Give the folder that pose.export wrote."
_SHARED_AT_MOST = 2  # a process may serve two runs in turn


class PoseNetwork:
    """A pose graph in a session; safe to call from several threads at once."""

    def __init__(self, session: Any, image: str, keypoints: str, place: str) -> None:
        """Bind a session's graph.

        Args:
            session: a `tf.compat.v1.Session`.
            image: the name of the image tensor.
            keypoints: the name of the output.
            place: what messages call the model.

        Raises:
            InputError: the input takes no uint8 images.
        """
        check_image(session.graph.get_tensor_by_name(image), place)
        self._place = place
        self._failure = import_tensorflow().errors.OpError
        self._run = session.make_callable(keypoints, [image])

    def find(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Find the joints of the one person in each crop.

        Args:
            crops: (N, height, width, 3) uint8 RGB.

        Returns:
            (N, K, 3) float32, y x score; y and x as shares of the crop's height and width.

        Raises:
            StageError: the model failed.
        """
        try:
            return np.asarray(self._run(crops), np.float32)
        except self._failure as error:
            raise StageError(f"{self._place}: the model failed ({first_line(error)}).") from None


def exported_model(path: Path) -> PoseModel:
    """Read the settings of an exported model.

    Args:
        path: as `load_network` takes it.

    Raises:
        InputError: the settings are not there.
        ConfigError: they are something else.
    """
    path = Path(path)
    for folder in (path, path.parent, path.parent.parent):
        if (folder / SETTINGS).is_file():
            return read_model(folder / SETTINGS)
    raise InputError(f"{path}: has no {SETTINGS}, which tells the joints and the input's size. {_WANTED}")


def load_network(path: Path) -> PoseNetwork:
    """Load an exported pose model.

    Args:
        path: the exported folder (its frozen graph comes first), a frozen graph (`.pb`)
            or a SavedModel folder.

    Raises:
        InputError: no such path, damaged, or no pose model; the message says what was found.
    """
    path = Path(path)
    if path.is_file() and path.name != "saved_model.pb":
        return _load_frozen(path)
    if (path / FROZEN_GRAPH).is_file():
        return _load_frozen(path / FROZEN_GRAPH)
    for folder in (path, path / SAVED_MODEL, path.parent):
        if (folder / "saved_model.pb").is_file():
            return _load_saved(folder)
    raise InputError(f"{path}: holds neither {FROZEN_GRAPH} nor a SavedModel. {_WANTED}")


def shared_network(path: Path, run: str) -> PoseNetwork:
    """Load a model once for all threads of this process that work for a run.

    Args:
        path: as `load_network` takes it.
        run: names the run: a process may live on, and another run find another model there.

    Raises:
        InputError: as `load_network`.
    """
    with _loading:
        return _load_once(path, run)


_loading = Lock()


@lru_cache(_SHARED_AT_MOST)
def _load_once(path: Path, run: str) -> PoseNetwork:
    return load_network(path)


def _load_frozen(path: Path) -> PoseNetwork:
    from google.protobuf.message import DecodeError

    tf = import_tensorflow()
    definition, graph = tf.compat.v1.GraphDef(), tf.Graph()
    try:
        definition.ParseFromString(path.read_bytes())
        with graph.as_default():
            tf.import_graph_def(definition, name="")
    except (DecodeError, OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{path}: is no frozen graph, or is damaged ({first_line(error)}).") from None
    names = {operation.name for operation in graph.get_operations()}
    missing = [f"{name}:0" for name in (tensor_names.IMAGE, KEYPOINTS) if name not in names]
    if missing:
        raise InputError(f"{path}: is no pose model; it has no {' and no '.join(missing)}. {_WANTED}")
    return PoseNetwork(new_session(graph), f"{tensor_names.IMAGE}:0", f"{KEYPOINTS}:0", str(path))


def _load_saved(folder: Path) -> PoseNetwork:
    tf = import_tensorflow()
    graph = tf.Graph()
    session = new_session(graph)
    try:
        with graph.as_default():
            meta = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(folder))
        signature = meta.signature_def[_SIGNATURE]
    except Exception as error:  # the loader's errors are of many kinds, RuntimeError and OSError among them
        raise InputError(f"{folder}: TensorFlow cannot load it ({first_line(error)}).") from None
    if KEYPOINTS not in signature.outputs or len(signature.inputs) != 1:
        there = ", ".join(sorted(signature.outputs))
        raise InputError(f"{folder}: is no pose model; its outputs: {there or 'none'}. {_WANTED}")
    (image,) = signature.inputs.values()
    return PoseNetwork(session, image.name, signature.outputs[KEYPOINTS].name, str(folder))
