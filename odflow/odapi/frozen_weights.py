"""Read the weights back out of a frozen graph of the API's TensorFlow 1 exporter."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError
from odflow.odapi.model_files import FROZEN_WANTED, check_frozen_graph
from odflow.odapi.tf1_names import VARIABLE, aligned, canonical_names
from odflow.reading import reads
from odflow.regular import read_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONVOLUTIONS = {"Conv2D": "weights", "DepthwiseConv2dNative": "depthwise_weights"}
"""A convolution's operation to TF-Slim's name for its kernel."""

ADDITIONS = ("BiasAdd", "Add", "AddV2")

NAME_SCOPES = re.compile(
    r"(?<=/fpn/)top_down/|/separable_conv2d$|(?<=WeightSharedConvolutionalBoxPredictor)_\d+"
)
"""What operations have in their names, and variables have not."""

_LARGEST = 1 << 28  # numbers in a constant; a few bytes may stand for as many as their shape says


@dataclass(frozen=True)
class FrozenGraph:
    """The weights of a frozen graph, under the names that its checkpoint had.

    Attributes:
        path: the graph's file.
        arrays: name of TF-Slim's to array, float32. Batch norms that were folded into
            their convolutions are there again: scale 1, mean 0, variance 1, epsilon 0.
        epsilons: scope of a batch norm to what the graph adds to its variance.
    """

    path: Path
    arrays: Mapping[str, NDArray[np.float32]]
    epsilons: Mapping[str, float]

    def for_network(
        self, wanted: Collection[str], epsilons: Mapping[str, float]
    ) -> dict[str, NDArray[np.float32]]:
        """The weights with which a network computes what the graph computes.

        Args:
            wanted: canonical names of the network's variables.
            epsilons: canonical name of each of its batch norms to its epsilon; the graph's may differ.

        Returns:
            Canonical name to array; what has no such name keeps its TensorFlow 1 name.
        """
        canonical = canonical_names(self.arrays)
        places = aligned(canonical.values(), wanted)
        names = {name: places[canonical[name]] if name in canonical else name for name in self.arrays}
        found = {names[name]: array for name, array in self.arrays.items()}
        for scope, epsilon in self.epsilons.items():
            norm = names[f"{scope}/moving_variance"].rpartition("/")[0]
            if norm in epsilons:
                found |= _with_epsilon(found, norm, epsilon, epsilons[norm], f"{norm}/gamma" in wanted)
        return found


def _with_epsilon(
    weights: Mapping[str, NDArray[np.float32]], norm: str, epsilon: float, wanted: float, scaled: bool
) -> dict[str, NDArray[np.float32]]:
    """Make a batch norm compute with the epsilon `wanted` what it computed with another."""
    import numpy as np

    variance = weights[f"{norm}/moving_variance"].astype(np.float64)
    if not scaled:
        shifted = np.maximum(variance + epsilon - wanted, 0.0)
        return {f"{norm}/moving_variance": shifted.astype(np.float32)}
    # A graph without learned scales has none among its constants.
    gamma = weights.get(f"{norm}/gamma", np.ones_like(variance))
    return {f"{norm}/gamma": (gamma * np.sqrt((variance + wanted) / (variance + epsilon))).astype(np.float32)}


@reads("a frozen graph")
def read_frozen_graph(path: Path) -> FrozenGraph:
    """Read the constants of a frozen graph; nothing of it is run.

    Args:
        path: a binary GraphDef, as `frozen_inference_graph.pb`.

    Returns:
        Its weights.

    Raises:
        InputError: not a GraphDef, or quantised, so that no float network computes the same.
    """
    nodes = _nodes(path)
    try:
        return _frozen_graph(path, nodes)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: holds constants that make no sense ({reason}). Copy it again.") from error


def _frozen_graph(path: Path, nodes: Mapping[str, Any]) -> FrozenGraph:
    quantised = next((node.name for node in nodes.values() if "Quant" in node.op), None)
    if quantised:
        raise InputError(
            f"{path}: is quantised ({quantised}); wanted: the graph of a float model, to train it on."
        )
    constants = _Constants(nodes)
    if not any(map(constants.is_weight, nodes)):
        raise InputError(
            f"{path}: holds no weights under the names of TensorFlow 1. From an export of odflow or of "
            "the API's TensorFlow 2, give the checkpoint/ beside it to odapi.import-checkpoint."
        )
    arrays = {_variable_name(name): constants.array(name) for name in nodes if constants.is_weight(name)}
    folded = dict(constants.folded())
    for scope, (kernel, array, offset) in folded.items():
        arrays |= {f"{scope}/{kernel}": array, **_norm(f"{scope}/BatchNorm", offset)}
    epsilons = {**constants.epsilons(), **{f"{scope}/BatchNorm": 0.0 for scope in folded}}
    return FrozenGraph(
        path, arrays, {scope: epsilons[scope] for scope in _norms(arrays) if scope in epsilons}
    )


def _nodes(path: Path) -> dict[str, Any]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework.graph_pb2 import GraphDef

    check_frozen_graph(path, FROZEN_WANTED)
    try:
        graph = GraphDef.FromString(read_regular(path))
    except DecodeError as error:
        raise InputError(
            f"{path}: is no GraphDef, or is damaged; wanted: a frozen_inference_graph.pb."
        ) from error
    return {node.name: node for node in graph.node}


def _norm(scope: str, offset: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """A batch norm that adds an offset and, with an epsilon of 0, does nothing else."""
    import numpy as np

    one, zero = np.ones_like(offset), np.zeros_like(offset)
    values = {"gamma": one, "beta": offset, "moving_mean": zero, "moving_variance": one}
    return {f"{scope}/{name}": value for name, value in values.items()}


def _norms(names: Collection[str]) -> list[str]:
    ending = "/moving_variance"
    return [name.removesuffix(ending) for name in names if name.endswith(ending)]


class _Constants:
    """The constants of a graph, and what its convolutions and batch norms take of them."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        self._nodes = nodes
        self._takers: dict[str, list[Any]] = {}
        for node in nodes.values():
            for name in node.input:
                self._takers.setdefault(_node_name(name), []).append(node)

    def is_weight(self, name: str) -> bool:
        """Whether a node is a constant with the name of a variable."""
        return self._nodes[name].op == "Const" and VARIABLE.fullmatch(name) is not None

    def array(self, name: str) -> NDArray[np.float32]:
        """A constant's value."""
        import numpy as np
        from tensorflow import make_ndarray

        tensor = self._nodes[name].attr["value"].tensor
        sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
        if min(sizes, default=1) < 0 or math.prod(sizes) > _LARGEST:
            raise ValueError(f"{name} has the shape {sizes}")
        return np.asarray(make_ndarray(tensor), np.float32)

    def epsilons(self) -> dict[str, float]:
        """Scope of each batch norm to its epsilon."""
        found = {}
        for node in self._nodes.values():
            if node.op.startswith("FusedBatchNorm"):
                variance = self._constant(_input(node, 4))
                found[variance.rpartition("/")[0]] = float(node.attr["epsilon"].f)
            # Before TensorFlow 1.4 a batch norm was a dozen nodes.
            elif node.name.endswith("/batchnorm/add/y") and node.op == "Const":
                found[_variable_name(node.name.removesuffix("/batchnorm/add/y"))] = float(
                    self.array(node.name)
                )
        return found

    def folded(self) -> Iterator[tuple[str, tuple[str, NDArray[np.float32], NDArray[np.float32]]]]:
        """Convolutions into which a tool folded the batch norm: scope, and kernel's name, kernel, offset."""
        for node in self._nodes.values():
            kernel = self._constant(_input(node, 1)) if node.op in CONVOLUTIONS else ""
            offset = self._offset(node) if kernel else ""
            if kernel and offset and not self.is_weight(offset):
                scope = _variable_name(node.name.rpartition("/")[0])
                yield scope, (CONVOLUTIONS[node.op], self.array(kernel), self.array(offset))

    def _offset(self, convolution: Any) -> str:
        """The constant that is added to what a convolution gives."""
        for node in self._takers.get(convolution.name, []):
            if node.op in ADDITIONS:
                return next(filter(None, (self._constant(name) for name in node.input)), "")
        return ""

    def _constant(self, name: str) -> str:
        """The constant behind an input, read through what passes it on; empty if it is none."""
        node, seen = self._nodes.get(_node_name(name)), {""}
        while node is not None and node.op in ("Identity", "Cast", "Enter") and node.name not in seen:
            seen.add(node.name)
            node = self._nodes.get(_node_name(_input(node, 0)))
        return str(node.name) if node is not None and node.op == "Const" else ""


def _input(node: Any, number: int) -> str:
    """The name of an input of a node; "" where it has no so many."""
    return str(node.input[number]) if number < len(node.input) else ""


def _node_name(name: str) -> str:
    """Inputs are written as ``name``, ``name:1`` or ``^name``."""
    return name.removeprefix("^").partition(":")[0]


def _variable_name(name: str) -> str:
    """A scope as variables have it: operations repeat its first part, and add scopes of their own."""
    return NAME_SCOPES.sub("", re.sub(r"(^|/)([^/]+)/\2(?=/)", r"\1\2", name))
