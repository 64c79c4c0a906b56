"""Which tensors of a graph are the image and the outputs: as they are named, or as they can only be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from odflow.errors import InputError, nearest
from odflow.inference.image_input import takes_images
from odflow.odapi import tensor_names

_PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TensorNames:
    """What somebody says that a model's tensors are called.

    Attributes:
        input: the image: a tensor of a frozen graph, or a key of a SavedModel's signature.
        outputs: pairs of an output's name, as the Object Detection API has it, and what the
            model calls it: a tensor of a frozen graph, or a key of a SavedModel's signature.
        signature: of a SavedModel.
    """

    input: str | None = None
    outputs: tuple[tuple[str, str], ...] = ()
    signature: str | None = None

    def __bool__(self) -> bool:
        return bool(self.input or self.outputs or self.signature)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a graph shall compute.

    Attributes:
        outputs: their names.
        advice: what to give instead of a model that computes something else.
        optional: those of the outputs that it may lack.
        names: what the model calls them; None where that cannot be told to it.
        trusted: it may hold operations that reach files, Python or the network.
    """

    outputs: Sequence[str]
    advice: str
    optional: Sequence[str] = ()
    names: TensorNames | None = None
    trusted: bool = False

    def naming(self, example: str) -> str:
        """How to name the outputs of a model that has other names for them."""
        if self.names is None:
            return self.advice
        return (
            f"Name those that are meant, in a pipeline as outputs: {{{self.outputs[0]}: {example}, ...}}, "
            f"as a flag --outputs {self.outputs[0]}={example} ..."
        )


class GraphTensors:
    """The tensors of a frozen graph that are wanted.

    Attributes:
        image: the name of the image's tensor.
        outputs: the names of the outputs that there are, in the order in which they are wanted.
    """

    def __init__(self, graph: Any, wanted: Wanted, place: str) -> None:
        """Find them.

        Without a name an input is called as the API calls it, with a scope before or not, or is
        the only one that takes images, or the only one at all. Outputs are called as the API
        calls them, in the scope of the input or in any other that alone has one.

        Args:
            graph: a `tf.Graph`.
            wanted: what is wanted of it.
            place: what messages call the model.

        Raises:
            InputError: there is none, or it is not clear which.
        """
        self._nodes = {operation.name: operation for operation in graph.get_operations()}
        self._wanted, self._place = wanted, place
        names = wanted.names or TensorNames()
        self.image = self._named("input", names.input) if names.input else self._image()
        said = dict(names.outputs)
        found = {name: self._output(name, said.get(name)) for name in wanted.outputs}
        missing = [
            f"{name}:0" for name, tensor in found.items() if not tensor and name not in wanted.optional
        ]
        if missing:
            there, example = self._ends()
            raise InputError(
                f"{place}: has no {', '.join(missing)}. Its outputs: {there}. {wanted.naming(example)}"
            )
        self.outputs = [tensor for tensor in found.values() if tensor]

    def _named(self, field: str, name: str) -> str:
        node, _, port = name.partition(":")
        operation = self._nodes.get(node)
        if operation is None or not (port or "0").isdigit() or int(port or 0) >= len(operation.outputs):
            raise InputError(f'{self._place}: has no tensor "{name}" ({field}).{nearest(node, self._nodes)}')
        return f"{node}:{port or 0}"

    def _image(self) -> str:
        inputs = [name for name, node in self._nodes.items() if node.type in _PLACEHOLDERS]
        if tensor_names.IMAGE in self._nodes:
            return f"{tensor_names.IMAGE}:0"
        for known in tensor_names.GRAPH_IMAGES:
            alike = [name for name in inputs if name.rpartition("/")[2] == known]
            if len(alike) == 1:
                return f"{alike[0]}:0"
        of_images = [name for name in inputs if takes_images(self._nodes[name].outputs[0])]
        for alone in (of_images, inputs):
            if len(alone) == 1:
                return f"{alone[0]}:0"
        there = ", ".join(f"{name}:0" for name in inputs[:_SHOWN]) or "none"
        advice = self._wanted.advice
        if self._wanted.names is not None:
            advice = "Name the image's as input." if inputs else "It takes no image."
        raise InputError(f"{self._place}: has no {tensor_names.IMAGE}:0. Its inputs: {there}. {advice}")

    def _output(self, name: str, said: str | None) -> str | None:
        if said:
            return self._named(f"outputs, {name}", said)
        scope = self.image.rpartition("/")[0]
        for known in (name, f"{scope}/{name}"):
            if known in self._nodes:
                return f"{known}:0"
        alike = [node for node in self._nodes if node.endswith(f"/{name}")]
        return f"{alike[0]}:0" if len(alike) == 1 else None

    def _ends(self) -> tuple[str, str]:
        """The tensors that nothing of the graph takes, as a message lists them, and one of them."""
        ends = [
            tensor
            for node in self._nodes.values()
            if node.type not in (*_PLACEHOLDERS, "Const")
            for tensor in node.outputs
            if not tensor.consumers()
        ]
        return listed((tensor.name, tensor.shape) for tensor in ends), ends[0].name if ends else "NAME:0"


def listed(tensors: Iterable[tuple[str, Any]]) -> str:
    """Tensors with their shapes, the first of many."""
    told = [f"{name} {_shape(shape)}".rstrip() for name, shape in tensors]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return ", ".join(told[:_SHOWN]) + more or "none"


def _shape(shape: Any) -> str:
    if shape.rank is None:
        return ""
    return "(" + ", ".join("?" if size is None else str(size) for size in shape.as_list()) + ")"
