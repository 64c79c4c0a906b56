"""Running a TensorFlow graph: one session for all images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import StageError
from odflow.inference.image_input import ImageInput
from odflow.inference.tensorflow_alone import import_tensorflow
from odflow.inference.threads import WORKERS, cores

if TYPE_CHECKING:
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
    """A graph in a session: images in, outputs out; safe to call from several threads at once.

    Attributes:
        place: what messages call the model.
        size: height and width that each image is resized to; None where the graph takes any,
            and a side of it None where that may be any.
    """

    def __init__(self, session: Any, image: str, outputs: Sequence[str], place: str) -> None:
        """Bind a session's graph.

        Args:
            session: a `tf.compat.v1.Session`.
            image: the name of the image tensor.
            outputs: the names of the tensors to compute.
            place: what messages call the model.

        Raises:
            InputError: the image tensor takes no images.
        """
        self._input = ImageInput(session.graph.get_tensor_by_name(image), place)
        self.place, self.size = place, self._input.size
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
        parts = [self._part(fed, count) for fed, count in self._input.batches(images)]
        return parts[0] if len(parts) == 1 else [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _part(self, fed: Any, count: int) -> list[NDArray[Any]]:
        """The outputs of a batch, without those of images that only fill it."""
        try:
            outputs = self._outputs(fed)
        except self._failure as error:
            raise StageError(f"{self.place}: the model failed ({first_line(error)}).") from None
        padded = np.ndim(fed) and len(fed) > count
        return [output[:count] for output in outputs] if padded and np.ndim(fed) != 3 else outputs

    def _outputs(self, fed: Any) -> list[NDArray[Any]]:
        if self._optimized:
            return list(self._call(fed))
        with self._first:  # threads that begin together would each optimize the graph for itself
            outputs = list(self._call(fed))
            self._optimized = True
            return outputs


def first_line(error: Exception) -> str:
    """The line of a framework's message that says what is wrong; it may have dozens around it."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(_PREAMBLES)]
    return (lines or [type(error).__name__])[0].strip()[:200].rstrip(".")
