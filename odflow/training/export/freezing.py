"""Put a function's weights into its graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from odflow.errors import StageError


def freeze(function: tf.types.experimental.ConcreteFunction) -> bytes:
    """Make a GraphDef with the weights inside, which a TensorFlow 1 session can run.

    TensorFlow's own converter gives functions (bodies of loops) names that count all
    functions of the process, and takes the old ones from it, so that nothing traced
    before works any longer.

    Args:
        function: its outputs named by `tf.identity`; no function that it calls reads a weight.

    Returns:
        The serialized GraphDef; the same graph and weights give the same bytes.
    """
    graph_def = function.graph.as_graph_def()
    values = {placeholder.op.name: value for value, placeholder in function.graph.captures}
    for node in graph_def.node:
        if node.op == "ReadVariableOp" and node.input[0] in values:
            _become_constant(
                node, tf.raw_ops.ReadVariableOp(resource=values[node.input[0]], dtype=_dtype(node))
            )
        elif node.name in values and values[node.name].dtype != tf.resource:
            _become_constant(node, values[node.name])
    nodes = _reached(graph_def, [output.op.name for output in function.outputs])
    del graph_def.node[:]
    graph_def.node.extend(nodes)
    left = [node.name for node in nodes if node.name in values and node.op == "Placeholder"]
    if left:
        raise StageError(f"export: {left[0]} of the graph reads a weight in a way that cannot be frozen.")
    _number_functions(graph_def)
    return bytes(graph_def.SerializeToString(deterministic=True))


def _dtype(node: Any) -> tf.DType:
    return tf.as_dtype(node.attr["dtype"].type)


def _become_constant(node: Any, value: tf.Tensor) -> None:
    dtype = node.attr["dtype"].type
    node.op = "Const"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.numpy()))


def _reached(graph_def: Any, outputs: Iterable[str]) -> list[Any]:
    """Copies of the nodes that the outputs need, in their order."""
    inputs = {node.name: [_producer(name) for name in node.input] for node in graph_def.node}
    needed, waiting = set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(inputs[name])
    kept = []
    for node in graph_def.node:
        if node.name in needed:
            kept.append(tf.compat.v1.NodeDef())
            kept[-1].CopyFrom(node)
    return kept


def _producer(name: str) -> str:
    return name.lstrip("^").partition(":")[0]


def _number_functions(graph_def: Any) -> None:
    """Name functions by their place in the graph, and drop those that nobody calls."""
    library = {function.signature.name: function for function in graph_def.library.function}
    numbers: dict[str, str] = {}
    waiting = [graph_def.node]
    while waiting:
        for name in _called(waiting.pop(0)):
            if name.name in library and name.name not in numbers:
                numbers[name.name] = f"function_{len(numbers)}"
                waiting.append(library[name.name].node_def)
    kept = []
    for old, new in numbers.items():
        kept.append(tf.compat.v1.GraphDef().library.function.add())
        kept[-1].CopyFrom(library[old])
        kept[-1].signature.name = new
        _number_arguments(kept[-1])
    del graph_def.library.function[:]
    graph_def.library.function.extend(kept)
    for nodes in [graph_def.node, *(function.node_def for function in graph_def.library.function)]:
        for name in _called(nodes):
            name.name = numbers.get(name.name, name.name)


def _number_arguments(function: Any) -> None:
    """Name a function's arguments by their order: some carry the function's old name."""
    numbers = {argument.name: f"argument_{i}" for i, argument in enumerate(function.signature.input_arg)}
    for argument in function.signature.input_arg:
        argument.name = numbers[argument.name]
    for node in function.node_def:
        node.input[:] = [_renamed(name, numbers) for name in node.input]
    for key, value in list(function.ret.items()):
        function.ret[key] = _renamed(value, numbers)


def _renamed(place: str, numbers: Mapping[str, str]) -> str:
    name, colon, rest = place.partition(":")
    return numbers.get(name, name) + colon + rest


def _called(nodes: Iterable[Any]) -> Iterator[Any]:
    """The attributes of nodes that hold a function's name."""
    for node in nodes:
        for key in sorted(node.attr):
            attribute = node.attr[key]
            if attribute.HasField("func"):
                yield attribute.func
            yield from attribute.list.func
