"""A head's trained network as graphs that anything can run, and whether they find what it finds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from odflow.errors import InputError, StageError
from odflow.inference.head_graph import Head
from odflow.odapi import tensor_names
from odflow.odapi.model_files import FROZEN_GRAPH, SAVED_MODEL
from odflow.training.checkpoints import load_weights
from odflow.training.disk import told_by_disk
from odflow.training.export.freezing import freeze
from odflow.training.settings import LearningRate, Model, Optimizer, Settings, Training

CHECKPOINT = "checkpoint"
"""The folder of the weights, in trained and exported folders."""

Images = Iterable[NDArray[np.uint8]]


class Predictor(Protocol):
    """What an architecture has for its models to be exported."""

    def build(self) -> tf_keras.Model:
        """A network with fresh weights."""

    def predict(self, network: tf_keras.Model, images: tf.Tensor) -> tf.Tensor:
        """The head's output for (N, H, W, 3) uint8 RGB images of any size."""


class HeadModule(tf.Module):
    """A network with what comes before and after it: pixels in, one output out."""

    def __init__(self, kind: Predictor, network: tf_keras.Model, output: str) -> None:
        super().__init__()
        # Saved are the variables alone: as a Keras model every layer would be written once more.
        self.weights = network.variables
        self._output = output
        self._predict = lambda images: kind.predict(network, images)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name=tensor_names.IMAGE)],
        autograph=False,
    )
    def __call__(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """The output by its name; see `Predictor.predict`."""
        return {self._output: tf.identity(self._predict(image_tensor), name=self._output)}

    def run(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """The output for images (N, H, W, 3) uint8 RGB."""
        found: NDArray[Any] = self(tf.constant(images))[self._output].numpy()
        return found


@dataclass(frozen=True)
class Sameness:
    """When an output that two graphs give for an image is the same.

    Attributes:
        things: what the output consists of, in the plural.
        close: from one output, the other, and height and width of the image: which things are
            the same, bools of any shape.
        tolerance: in words, what `close` lets pass.
        share: of all things, that must be the same.
    """

    things: str
    close: Callable[[NDArray[Any], NDArray[Any], tuple[int, int]], NDArray[np.bool_]]
    tolerance: str
    share: float = 1.0


def trained_module(head: Head[Any], model: Model, weights: Path) -> HeadModule:
    """Build a network and fill it with all of its trained weights.

    Args:
        head: of the model.
        model: what to build; its architecture is a `Predictor`.
        weights: see `load_weights`.

    Raises:
        InputError: the weights are another network's.
    """
    training = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0)))  # nothing is trained here
    kind = model.architecture(Settings(model, training))
    tf_keras.backend.reset_uids()  # else names count the models that this process has built before
    network = kind.build()
    load_weights(network, weights)
    return HeadModule(kind, network, head.output)


def write_frozen_graph(module: HeadModule, file: Path) -> None:
    """Write a GraphDef from `image_tensor:0` to the output; the same weights give the same bytes."""
    file.write_bytes(freeze(module.__call__.get_concrete_function()))


def write_saved_model(module: HeadModule, folder: Path) -> None:
    """Write a SavedModel whose signature `serving_default` has the same names."""
    with told_by_disk():
        tf.saved_model.save(module, str(folder), signatures=module.__call__)


def check(head: Head[Any], file: Path, module: HeadModule, images: Images, sameness: Sameness) -> str:
    """Load what was written again, and compare what it finds.

    Args:
        head: of the model.
        file: a frozen graph or the folder of a SavedModel.
        module: what was written.
        images: (H, W, 3) uint8 RGB each, of any size.
        sameness: what must be the same.

    Returns:
        A line that says how it compares.

    Raises:
        InputError: it cannot be loaded.
        StageError: it finds something else.
    """
    graph = head.load(file)
    counts = []
    for image in images:
        found, wanted = graph.run(image[np.newaxis])[0], module.run(image[np.newaxis])[0]
        close = sameness.close(found, wanted, image.shape[:2])
        counts.append((close.sum(), close.size))
    same, total = np.sum(counts, axis=0)
    told = f"{same} of {total} {sameness.things} in {len(counts)} images are the checkpoint's"
    if same < sameness.share * total:
        raise StageError(
            f"{file.name}: does not find what the checkpoint does: {told}; "
            f"wanted: {sameness.share:.1%} of them, {sameness.tolerance}."
        )
    return f"{told}, {sameness.tolerance}"


def export_head(
    head: Head[Any], trained: Path, exported: Path, images: Images, sameness: Sameness
) -> Iterator[str]:
    """Write everything that an exported folder holds, and check the graphs.

    Args:
        head: of the model.
        trained: what its training stage wrote.
        exported: is made, with both graphs, checkpoint/ and the settings.
        images: in which the graphs must find what the checkpoint does.
        sameness: what must be the same.

    Yields:
        A line about each of the two graphs, once it is there.

    Raises:
        InputError: `trained` is no such folder.
        StageError: a graph finds something else than the checkpoint.
    """
    if not (trained / CHECKPOINT).is_dir():
        raise InputError(f"{trained}: has no checkpoint; wanted: the folder that {head.name}.train wrote.")
    module = trained_module(head, head.read_model(trained), trained)
    exported.mkdir()
    shutil.copyfile(trained / head.settings, exported / head.settings)
    shutil.copytree(trained / CHECKPOINT, exported / CHECKPOINT, copy_function=shutil.copyfile)
    pictures = list(images)
    for name, write in ((FROZEN_GRAPH, write_frozen_graph), (SAVED_MODEL, write_saved_model)):
        file = exported / name
        write(module, file)
        yield f"{name}, {_megabytes(file):.1f} MB: {check(head, file, module, pictures, sameness)}"


def _megabytes(path: Path) -> float:
    return sum(one.stat().st_size for one in (path, *path.rglob("*")) if one.is_file()) / 1e6
