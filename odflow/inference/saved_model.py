"""SavedModels, as the API's TF1 and TF2 exporters and odflow's heads write them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odflow.errors import InputError, nearest
from odflow.inference.graph_operations import check_saved_model
from odflow.inference.model_tensors import TensorNames, Wanted, listed
from odflow.inference.session import ImageGraph, first_line, new_session
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.odapi import tensor_names

_SIGNATURE = "serving_default"


def load_saved_model(folder: Path, wanted: Wanted) -> ImageGraph:
    """Load a SavedModel by a signature: the one named, `serving_default`, or the only one.

    TF1's loader reads TF2's SavedModels too, three times as fast as `tf.saved_model.load`,
    and gives a session as for a frozen graph.

    Args:
        folder: of the SavedModel.
        wanted: what to compute, by the signature's names.

    Raises:
        InputError: damaged, an operation that reaches beyond the graph, no such signature, no
            single image input, or none of these outputs.
    """
    tf = import_tensorflow()

    if not wanted.trusted:
        check_saved_model(folder)
    graph = tf.Graph()
    session = new_session(graph)
    with graph.as_default(), _quiet():
        try:
            meta = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(folder))
        except Exception as error:  # its errors are of many kinds, RuntimeError and OSError among them
            raise InputError(f"{folder}: TensorFlow cannot load it ({first_line(error)}).") from None
    names = wanted.names or TensorNames()
    signature = _signature(folder, meta.signature_def, names.signature)
    image = signature.inputs[_image_key(folder, signature, names.input)].name
    outputs = _outputs(folder, signature, wanted)
    return ImageGraph(session, image, outputs, str(folder))


def _signature(folder: Path, there: Mapping[str, Any], named: str | None) -> Any:
    """The signature to run."""
    able = [name for name, signature in there.items() if signature.outputs and signature.inputs]
    name = named or (able[0] if len(able) == 1 and _SIGNATURE not in able else _SIGNATURE)
    if name in there:
        return there[name]
    known = ", ".join(sorted(able)) or "none"
    hint = " Name one as signature." if not named and able else ""
    raise InputError(f"{folder}: has no signature {name}. Its signatures: {known}.{hint}")


def _outputs(folder: Path, signature: Any, wanted: Wanted) -> list[str]:
    """The tensors of what is wanted, in that order."""
    tf = import_tensorflow()
    said = dict((wanted.names or TensorNames()).outputs)
    keys = {name: said.get(name, name) for name in wanted.outputs}
    missing = [
        key
        for name, key in keys.items()
        if key not in signature.outputs and (name in said or name not in wanted.optional)
    ]
    if missing:
        there = {
            name: tf.TensorShape(signature.outputs[name].tensor_shape) for name in sorted(signature.outputs)
        }
        raise InputError(
            f"{folder}: gives no {', '.join(missing)}. Its outputs: {listed(there.items())}. "
            f"{wanted.naming(next(iter(there), 'output_0'))}"
        )
    return [signature.outputs[key].name for key in keys.values() if key in signature.outputs]


def _image_key(folder: Path, signature: Any, named: str | None) -> str:
    keys = sorted(signature.inputs)
    if named is not None:
        if named not in keys:
            raise InputError(f'{folder}: has no input "{named}".{nearest(named, keys)}')
        return named
    known = [key for key in tensor_names.SIGNATURE_IMAGES if key in keys]
    if not known and len(keys) != 1:
        raise InputError(f"{folder}: takes {', '.join(keys) or 'nothing'}; wanted one input, an image.")
    return known[0] if known else keys[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the loader's deprecation notice to itself."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
