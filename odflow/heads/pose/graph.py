"""A trained network as graphs that anything can run, and whether they find what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from odflow.errors import StageError
from odflow.heads.pose.architecture import Pose
from odflow.heads.pose.exported import KEYPOINTS, load_network
from odflow.heads.pose.settings import PoseModel
from odflow.odapi import tensor_names
from odflow.training.checkpoints import load_weights
from odflow.training.export.freezing import freeze
from odflow.training.settings import LearningRate, Optimizer, Settings, Training

SHARE = 0.95
"""Of the joints that must be found in the same place: of two cells of a map whose values differ
by rounding alone, either may be the highest."""

PIXELS, SCORE = 0.5, 1e-4
"""Greatest differences of what is the same."""


class PoseGraph(tf.Module):
    """A network with what comes before and after it: pixels in, joints out."""

    def __init__(self, network: tf_keras.Model, kind: Pose) -> None:
        super().__init__()
        # Saved are the variables alone: as a Keras model every layer would be written once more.
        self.weights = network.variables
        self._detect = lambda images: kind.detect(network, images)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name=tensor_names.IMAGE)],
        autograph=False,
    )
    def __call__(self, image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Find the joints of the person in each image; see `Pose.detect`."""
        return {KEYPOINTS: tf.identity(self._detect(image_tensor)[KEYPOINTS], name=KEYPOINTS)}


def trained_graph(model: PoseModel, weights: Path) -> PoseGraph:
    """Build a network and fill it with all of its trained weights.

    Args:
        model: what to build.
        weights: see `load_weights`.

    Raises:
        InputError: the weights are another network's.
    """
    training = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0)))  # nothing is trained here
    kind = Pose(Settings(model, training))
    tf_keras.backend.reset_uids()  # else names count the models that this process has built before
    network = kind.build()
    load_weights(network, weights)
    return PoseGraph(network, kind)


def write_frozen_graph(graph: PoseGraph, file: Path) -> None:
    """Write a GraphDef from `image_tensor:0` to `keypoints:0`; the same weights give the same bytes."""
    file.write_bytes(freeze(graph.__call__.get_concrete_function()))


def write_saved_model(graph: PoseGraph, folder: Path) -> None:
    """Write a SavedModel whose signature `serving_default` has the same names."""
    tf.saved_model.save(graph, str(folder), signatures=graph.__call__)


@dataclass(frozen=True)
class Agreement:
    """How a written graph compares with the network.

    Attributes:
        images: how many were looked at.
        joints: of all of them together.
        same: joints that are where the network finds them.
        pixels: greatest distance among these along a side of the image.
        score: greatest difference of the scores of any joint.
    """

    images: int
    joints: int
    same: int
    pixels: float
    score: float

    def summary(self) -> str:
        """One line."""
        return (
            f"{self.same} of {self.joints} joints in {self.images} images are the checkpoint's, "
            f"scores within {self.score:.2g}, places within {self.pixels:.2g} pixels"
        )


def check(file: Path, graph: PoseGraph, images: Iterable[NDArray[np.uint8]]) -> Agreement:
    """Load what was written again, and compare what it finds.

    Args:
        file: a frozen graph or the folder of a SavedModel.
        graph: what was written.
        images: (H, W, 3) uint8 RGB each, of any size.

    Raises:
        InputError: it cannot be loaded.
        StageError: it finds something else.
    """
    network = load_network(file)
    distances, scores = [], []
    for image in images:
        batch = image[np.newaxis]
        apart = np.abs(network.find(batch) - graph(tf.constant(batch))[KEYPOINTS].numpy())[0]
        distances.append((apart[:, :2] * image.shape[:2]).max(axis=1))
        scores.append(apart[:, 2])
    distance = np.concatenate(distances)
    same = distance <= PIXELS
    agreement = Agreement(
        images=len(distances),
        joints=len(distance),
        same=int(same.sum()),
        pixels=float(distance[same].max(initial=0.0)),
        score=float(np.concatenate(scores).max()),
    )
    if agreement.same < SHARE * agreement.joints or not agreement.score <= SCORE:
        raise StageError(
            f"{file.name}: does not find what the checkpoint does: {agreement.summary()}; "
            f"wanted: {SHARE:.0%} of the joints within {PIXELS:g} pixels, scores within {SCORE:g}."
        )
    return agreement
