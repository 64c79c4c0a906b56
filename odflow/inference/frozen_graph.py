"""Frozen graphs: a GraphDef with its weights as constants, as TF1 exporters write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.inference.session import SessionDetector, check_image, first_line, new_session
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.odapi import tensor_names


def load_frozen_graph(path: Path) -> SessionDetector:
    """Load a frozen graph with the API's tensor names.

    Raises:
        InputError: not a GraphDef, an operation that this TensorFlow lacks, or no
            `image_tensor:0` or detection outputs in it.
    """
    tf = import_tensorflow()

    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.import_graph_def(_read(path), name="")
        except (ValueError, tf.errors.OpError) as error:
            raise InputError(f"{path}: TensorFlow cannot load this graph ({first_line(error)}).") from None
    nodes = {operation.name: operation for operation in graph.get_operations()}
    if tensor_names.IMAGE not in nodes:
        inputs = [f"{name}:0" for name, node in nodes.items() if node.type == "Placeholder"]
        raise InputError(
            f"{path}: has no {tensor_names.IMAGE}:0. Its inputs: {', '.join(inputs) or 'none'}. "
            "Give a detector exported for image tensors."
        )
    missing = [f"{name}:0" for name in tensor_names.OUTPUTS if name not in nodes]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}. Give a graph that ends in detections.")
    check_image(graph.get_tensor_by_name(f"{tensor_names.IMAGE}:0"), str(path))
    outputs = {name: f"{name}:0" for name in tensor_names.OUTPUTS}
    return SessionDetector(new_session(graph), f"{tensor_names.IMAGE}:0", outputs, str(path))


def _read(path: Path) -> Any:
    tf = import_tensorflow()
    from google.protobuf.message import DecodeError

    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except (DecodeError, OSError) as error:
        raise InputError(
            f"{path}: is not a frozen graph, or is damaged ({first_line(error)}). Copy it again."
        ) from None
    if not graph_def.node:
        raise InputError(f"{path}: is an empty graph. Give a frozen graph of a detector.")
    return graph_def
