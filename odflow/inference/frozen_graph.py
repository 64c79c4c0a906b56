"""Frozen graphs: a GraphDef with its weights as constants, as TF1 exporters write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.inference.graph_operations import check_graph
from odflow.inference.model_tensors import GraphTensors, Wanted
from odflow.inference.session import ImageGraph, first_line, new_session
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.regular import read_regular


def load_frozen_graph(path: Path, wanted: Wanted) -> ImageGraph:
    """Load a frozen graph.

    Args:
        path: the file.
        wanted: what it shall compute; see `GraphTensors` for what is found without a name.

    Raises:
        InputError: not a GraphDef, an operation that this TensorFlow lacks, one that reaches
            beyond the graph, or no input or output in it that is what is wanted.
    """
    tf = import_tensorflow()

    graph_def = _read(path, wanted.advice)
    if not wanted.trusted:
        check_graph(graph_def, str(path))
    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.import_graph_def(graph_def, name="")
        except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
            raise InputError(f"{path}: TensorFlow cannot load this graph ({first_line(error)}).") from None
    found = GraphTensors(graph, wanted, str(path))
    return ImageGraph(new_session(graph), found.image, found.outputs, str(path))


def _read(path: Path, advice: str) -> Any:
    tf = import_tensorflow()
    from google.protobuf.message import DecodeError

    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(read_regular(path))
    except (DecodeError, OSError) as error:
        raise InputError(
            f"{path}: is not a frozen graph, or is damaged ({first_line(error)}). Copy it again."
        ) from None
    if not graph_def.node:
        raise InputError(f"{path}: is an empty graph. {advice}")
    return graph_def
