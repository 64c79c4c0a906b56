"""Frozen graphs: a GraphDef with its weights as constants, as TF1 exporters write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.inference.session import ImageGraph, first_line, new_session
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.odapi import tensor_names


def load_frozen_graph(path: Path, outputs: Sequence[str], wanted: str) -> ImageGraph:
    """Load a frozen graph whose input is `image_tensor:0`.

    Args:
        path: the file.
        outputs: names of the operations to compute.
        wanted: ends the message when it is something else.

    Raises:
        InputError: not a GraphDef, an operation that this TensorFlow lacks, or no
            `image_tensor:0` or output in it.
    """
    tf = import_tensorflow()

    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.import_graph_def(_read(path, wanted), name="")
        except (ValueError, tf.errors.OpError) as error:
            raise InputError(f"{path}: TensorFlow cannot load this graph ({first_line(error)}).") from None
    nodes = {operation.name: operation for operation in graph.get_operations()}
    if tensor_names.IMAGE not in nodes:
        inputs = [f"{name}:0" for name, node in nodes.items() if node.type == "Placeholder"]
        raise InputError(
            f"{path}: has no {tensor_names.IMAGE}:0. Its inputs: {', '.join(inputs) or 'none'}. {wanted}"
        )
    missing = [f"{name}:0" for name in outputs if name not in nodes]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}. {wanted}")
    image, *tensors = (f"{name}:0" for name in (tensor_names.IMAGE, *outputs))
    return ImageGraph(new_session(graph), image, tensors, str(path))


def _read(path: Path, wanted: str) -> Any:
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
        raise InputError(f"{path}: is an empty graph. {wanted}")
    return graph_def
