"""Exported graphs in whatever form they lie: a frozen graph, a SavedModel, a folder with either."""

from __future__ import annotations

from pathlib import Path

from odflow.errors import InputError
from odflow.inference.frozen_graph import load_frozen_graph
from odflow.inference.model_tensors import Wanted
from odflow.inference.saved_model import load_saved_model
from odflow.inference.session import ImageGraph
from odflow.odapi.model_files import ModelFile, model_file


def load_image_graph(path: Path, wanted: Wanted) -> ImageGraph:
    """Load a graph that takes images.

    Args:
        path: a frozen GraphDef (`.pb`), a SavedModel folder (as TF1 or TF2 exports it) or an
            exported folder that holds either (the frozen graph comes first).
        wanted: what it shall compute.

    Raises:
        InputError: no such path, damaged, or another kind of graph; the message says what was found.
    """
    return load_model_file(model_file(path, wanted.advice), wanted)


def load_model_file(file: ModelFile, wanted: Wanted) -> ImageGraph:
    """Load a graph of a known form.

    Raises:
        InputError: as `load_image_graph`.
    """
    if file.form == "tflite":
        raise InputError(f"{file.path}: is a TFLite model. {wanted.advice}")
    if file.form == "saved_model":
        return load_saved_model(file.path, wanted)
    return load_frozen_graph(file.path, wanted)
