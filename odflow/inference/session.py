"""Running a TensorFlow graph: one session for all images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError, StageError
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.inference.threads import WORKERS, cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PREAMBLES = ("Graph execution error:", "Detected at node", "Node: ")


def new_session(graph: Any) -> Any:
    """Open a `tf.compat.v1.Session` that several threads will call at once.

    Each thread runs its image's graph by itself (no pool of operations): without the
    thousands of hand-overs that a detector's post-processing costs otherwise, images side
    by side use the processor better than the operations of one image do.
    """
    tf = import_tensorflow()
    # The first session's threads would else be those of the whole process: one for all of training.
    os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=max(1, cores() // WORKERS),
        inter_op_parallelism_threads=-1,
        use_per_session_threads=True,
    )
    config.gpu_options.allow_growth = True
    return tf.compat.v1.Session(graph=graph, config=config)


class ImageGraph:
    """A graph in a session: images in, outputs out; safe to call from several threads at once."""

    def __init__(self, session: Any, image: str, outputs: Sequence[str], place: str) -> None:
        """Bind a session's graph.

        Args:
            session: a `tf.compat.v1.Session`.
            image: the name of the image tensor.
            outputs: the names of the tensors to compute.
            place: what messages call the model.

        Raises:
            InputError: the image tensor takes no uint8 images.
        """
        check_image(session.graph.get_tensor_by_name(image), place)
        self._place = place
        self._first = Lock()
        self._optimized = False
        self._failure = import_tensorflow().errors.OpError
        self._call = session.make_callable(list(outputs), [image])

    def run(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Compute the outputs, in the order in which they were asked for.

        Args:
            images: (N, height, width, 3) uint8 RGB.

        Raises:
            StageError: the graph failed.
        """
        try:
            return self._outputs(images)
        except self._failure as error:
            raise StageError(f"{self._place}: the model failed ({first_line(error)}).") from None

    def _outputs(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        if self._optimized:
            return list(self._call(images))
        with self._first:  # threads that begin together would each optimize the graph for itself
            outputs = list(self._call(images))
            self._optimized = True
            return outputs


def first_line(error: Exception) -> str:
    """The line of a framework's message that says what is wrong; it may have dozens around it."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(_PREAMBLES)]
    return (lines or [type(error).__name__])[0].strip()[:200].rstrip(".")


def check_image(tensor: Any, place: str) -> None:
    """Refuse an input that takes no uint8 images.

    Raises:
        InputError: the tensor's type or rank is another.
    """
    rank = tensor.shape.rank
    if tensor.dtype.name != "uint8" or rank not in (None, 4):
        raise InputError(
            f"{place}: {tensor.name} is {tensor.dtype.name} of rank {rank}; wanted uint8 "
            "(N, height, width, 3). Export the model again for image tensors."
        )
