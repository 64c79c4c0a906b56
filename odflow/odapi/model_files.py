"""Which form of model a path is, without TensorFlow, and what it is where it is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from odflow.errors import InputError
from odflow.formats.file_kinds import FileKind, what_is

FROZEN_GRAPH = "frozen_inference_graph.pb"
SAVED_MODEL = "saved_model"
"""Their names in an exported folder."""

SAVED_MODEL_FILE = "saved_model.pb"

DETECTOR_WANTED = (
    "Give a frozen graph (.pb), a SavedModel folder, an exported folder or a TFLite file with detections."
)
"""What to give instead of something that is no detector."""

FROZEN_WANTED = "Give a frozen_inference_graph.pb."
"""What to give instead of something that is no frozen graph."""

_BESIDE = ("fingerprint.pb", "keras_metadata.pb")
"""What lies beside a saved_model.pb."""

_NEXT = {
    "saved_model": "Give its folder, in which it is called saved_model.pb and has variables/ beside it.",
    "text_graph": "Write it in binary form: google.protobuf.text_format.Parse reads it, "
    "SerializeToString writes it; a graph without its weights is of no use.",
    "checkpoint": "odapi.import-checkpoint reads checkpoints of the Object Detection API, export makes a "
    "model of what it writes.",
    "label_map": "Give it as label_map.",
    "pipeline_config": "Give the model that was trained with it.",
    "onnx": "Convert it to a SavedModel, as onnx2tf does.",
    "keras": "Save it as a SavedModel: model.export(FOLDER).",
    "keras_h5": "Load it with Keras and save it as a SavedModel: model.export(FOLDER).",
    "pytorch": "Convert it to ONNX, and that to a SavedModel.",
    "tfjs": "Give the SavedModel that it was converted from.",
}
"""What to do with a file of another kind."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Where a model lies, and in which form.

    Attributes:
        form: of what `path` is.
        path: the file of a frozen graph or TFLite model, the folder of a SavedModel.
    """

    form: Literal["frozen_graph", "saved_model", "tflite"]
    path: Path


def model_file(path: Path, wanted: str) -> ModelFile:
    """Find the model that a path leads to.

    Args:
        path: a frozen GraphDef (`.pb`), a SavedModel folder or the saved_model.pb in it, a
            TFLite file, or an exported folder that holds a frozen graph or else a SavedModel.
        wanted: what to give instead; ends the message when it is something else.

    Returns:
        The model. What nobody knows passes as a frozen graph (or by its name as another
        form): loading tells whether it is one.

    Raises:
        InputError: no such path, or another kind of file; the message says which and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such model. {wanted}")
    return _in_folder(path, wanted) if path.is_dir() else _of_file(path, wanted)


def detector_file(path: Path, *, named: bool, signature: bool) -> ModelFile:
    """Find the detector that a path leads to.

    Args:
        path: as `model_file` takes it.
        named: somebody names tensors of it.
        signature: somebody names a signature of it.

    Raises:
        InputError: as `model_file`, or names that this form has not.
    """
    file = model_file(path, DETECTOR_WANTED)
    if (named or signature) and file.form == "tflite":
        raise InputError(
            f"{file.path}: the last operation of a TFLite model tells its outputs. Leave out input, outputs "
            "and signature."
        )
    if signature and file.form == "frozen_graph":
        raise InputError(f"{file.path}: a frozen graph has no signatures. Leave out signature.")
    return file


def check_frozen_graph(path: Path, wanted: str) -> None:
    """Make sure that a file is a frozen graph, as far as its first bytes and its fields tell.

    Raises:
        InputError: it is something else; the message says what and what to do.
    """
    kind = what_is(path)
    if kind is not None and kind.name != "frozen_graph":
        raise InputError(_something_else(Path(path), kind, wanted))


def _of_file(path: Path, wanted: str) -> ModelFile:
    kind = what_is(path)
    name = kind.name if kind else None
    if path.name in _BESIDE and (path.parent / SAVED_MODEL_FILE).is_file():
        raise InputError(f"{path}: is a part of a SavedModel. Give its folder, {path.parent}.")
    if path.name == SAVED_MODEL_FILE and name in (None, "saved_model"):
        return ModelFile("saved_model", path.parent)
    if name == "tflite" or (name is None and path.suffix == ".tflite"):
        return ModelFile("tflite", path)
    if kind is not None and name != "frozen_graph":
        raise InputError(_something_else(path, kind, wanted))
    return ModelFile("frozen_graph", path)


def _something_else(path: Path, kind: FileKind, wanted: str) -> str:
    if kind.cure:
        return f"{path}: is {kind}"
    return f"{path}: is {kind.what}, not a frozen graph. {_NEXT.get(kind.name, wanted)}"


def _in_folder(folder: Path, wanted: str) -> ModelFile:
    if (folder / FROZEN_GRAPH).is_file():
        return _of_file(folder / FROZEN_GRAPH, wanted)
    for place in (folder, folder / SAVED_MODEL):
        if (place / SAVED_MODEL_FILE).is_file():
            return _of_file(place / SAVED_MODEL_FILE, wanted)
    hint = _inside(folder)
    raise InputError(f"{folder}: holds neither {FROZEN_GRAPH} nor a SavedModel. {hint or wanted}")


def _inside(folder: Path) -> str:
    """What the folder holds that may have been meant."""
    if (folder.parent / SAVED_MODEL_FILE).is_file():
        return f"Give the folder above it, {folder.parent}, which is a SavedModel."
    below = sorted(place.parent for place in folder.glob(f"*/{SAVED_MODEL_FILE}"))
    files = sorted(place for place in folder.iterdir() if place.suffix.lower() in (".pb", ".tflite"))
    for place in (*below, *files):
        if place.is_dir() or getattr(what_is(place), "name", None) in ("frozen_graph", "tflite"):
            return f"Give {place}, which lies in it."
    if any(folder.glob("*.index")) or (folder / "checkpoint").exists():
        return f"It holds a checkpoint. {_NEXT['checkpoint']}"
    return ""
