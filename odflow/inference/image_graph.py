"""Exported graphs in whatever form they lie: a frozen graph, a SavedModel, a folder with either."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from odflow.errors import InputError
from odflow.inference.frozen_graph import load_frozen_graph
from odflow.inference.saved_model import load_saved_model
from odflow.inference.session import ImageGraph

FROZEN_GRAPH = "frozen_inference_graph.pb"
SAVED_MODEL = "saved_model"
"""Their names in an exported folder."""

_SAVED_MODEL_FILE = "saved_model.pb"


def load_image_graph(path: Path, outputs: Sequence[str], wanted: str) -> ImageGraph:
    """Load a graph that takes images.

    Args:
        path: a frozen GraphDef (`.pb`), a SavedModel folder (as TF1 or TF2 exports it) or an
            exported folder that holds either (the frozen graph comes first).
        outputs: names of what to compute.
        wanted: what to give instead; ends the message when it is something else.

    Raises:
        InputError: no such path, damaged, or another kind of graph; the message says what was found.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such model. {wanted}")
    if path.name == _SAVED_MODEL_FILE:
        return load_saved_model(path.parent, outputs, wanted)
    if path.is_file():
        return load_frozen_graph(path, outputs, wanted)
    if (path / FROZEN_GRAPH).is_file():
        return load_frozen_graph(path / FROZEN_GRAPH, outputs, wanted)
    for folder in (path, path / SAVED_MODEL):
        if (folder / _SAVED_MODEL_FILE).is_file():
            return load_saved_model(folder, outputs, wanted)
    raise InputError(f"{path}: holds neither {FROZEN_GRAPH} nor a SavedModel. {wanted}")
