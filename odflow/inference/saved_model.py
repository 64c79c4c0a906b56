"""SavedModels, as the API's TF1 and TF2 exporters and odflow's heads write them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.inference.session import ImageGraph, first_line, new_session
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.odapi import tensor_names

_SIGNATURE = "serving_default"


def load_saved_model(folder: Path, outputs: Sequence[str], wanted: str) -> ImageGraph:
    """Load a SavedModel by its signature `serving_default`.

    TF1's loader reads TF2's SavedModels too, three times as fast as `tf.saved_model.load`,
    and gives a session as for a frozen graph.

    Args:
        folder: of the SavedModel.
        outputs: what to compute, by the signature's names.
        wanted: ends the message when it computes something else.

    Raises:
        InputError: damaged, no such signature, no single image input, or none of these outputs.
    """
    tf = import_tensorflow()

    graph = tf.Graph()
    session = new_session(graph)
    with graph.as_default(), _quiet():
        try:
            meta = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(folder))
        except Exception as error:  # its errors are of many kinds, RuntimeError and OSError among them
            raise InputError(f"{folder}: TensorFlow cannot load it ({first_line(error)}).") from None
    if _SIGNATURE not in meta.signature_def:
        names = ", ".join(sorted(meta.signature_def)) or "none"
        raise InputError(f"{folder}: has no signature {_SIGNATURE}. Its signatures: {names}.")
    signature = meta.signature_def[_SIGNATURE]
    missing = [name for name in outputs if name not in signature.outputs]
    if missing:
        there = ", ".join(sorted(signature.outputs))
        raise InputError(f"{folder}: gives no {', '.join(missing)}. Its outputs: {there}. {wanted}")
    image = signature.inputs[_image_key(folder, signature)].name
    return ImageGraph(session, image, [signature.outputs[name].name for name in outputs], str(folder))


def _image_key(folder: Path, signature: Any) -> str:
    keys = sorted(signature.inputs)
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
