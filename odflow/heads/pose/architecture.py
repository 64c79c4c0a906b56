"""A stacked hourglass as training, evaluation and export see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.formats.label_map import LabelMap
from odflow.formats.tfrecord import Records
from odflow.heads.pose.hourglass import StackedHourglass, check_shape
from odflow.heads.pose.inputs import PoseInputs
from odflow.heads.pose.losses import heatmap_loss
from odflow.heads.pose.prediction import find_joints, fit
from odflow.heads.pose.settings import PoseModel
from odflow.ops.keypoint_metrics import PCK
from odflow.training.architecture import Evaluator, Goal, Tensors
from odflow.training.checkpoints import Parts
from odflow.training.layers.names import number_layers_anew
from odflow.training.settings import LOSS, Settings


class Pose:
    """The architecture of `PoseModel`.

    Attributes:
        settings: of the model and its training.
        model: the former.
        parts: what the network's variables belong to.
        inputs: from records to images and labels.

    Raises:
        ConfigError: there is no such network; see `check_shape`.
    """

    def __init__(self, settings: Settings) -> None:
        assert isinstance(settings.model, PoseModel)
        check_shape(settings.model)
        self.settings, self.model = settings, settings.model
        self.parts = _parts(self.model)
        self.inputs = PoseInputs(self.model)

    @property
    def goal(self) -> Goal:
        """The highest PCK or the lowest loss."""
        if getattr(self.settings, "keep", "pck") == "loss":
            return Goal({LOSS: LOSS, PCK: PCK}, rises=False)
        return Goal({PCK: PCK, LOSS: LOSS})

    def build(self) -> tf_keras.Model:
        """The network with fresh weights."""
        number_layers_anew()
        return StackedHourglass(self.model)

    def example(self, serialized: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Crop a person and make heatmaps; see `PoseInputs`."""
        image, labels = self.inputs(serialized, draw, training=True)
        return image, labels

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Tensors) -> list[tf.Tensor]:
        """The maps of each stack, (N, h, w, joints) float32."""
        maps: list[tf.Tensor] = network(inputs, training=True)
        return maps

    def losses(self, outputs: Sequence[tf.Tensor], labels: Tensors) -> dict[str, tf.Tensor]:
        """`heatmap_loss`: the mean of the examples."""
        return {"heatmap_loss": tf.reduce_mean(self.example_losses(outputs, labels))}

    def example_losses(self, outputs: Sequence[tf.Tensor], labels: Tensors) -> tf.Tensor:
        """The loss of each example, (N,) float32; see `heatmap_loss`."""
        return heatmap_loss(
            outputs,
            labels["heatmaps"],
            labels["labelled"] if self.model.skeleton.masked else None,
            foreground_weight=self.model.foreground_weight,
        )

    def normalizer(self, labels: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the loss of a batch is divided by: its examples."""
        return tf.cast(tf.shape(labels["heatmaps"])[0], tf.float32)

    def evaluator(self, records: Records, label_map: LabelMap | None) -> Evaluator:
        """What measures PCK and loss against records."""
        from odflow.heads.pose.evaluation import PoseEvaluator

        return PoseEvaluator(self, records)

    def predict(self, network: tf_keras.Model, images: tf.Tensor) -> tf.Tensor:
        """Find the joints of the one person in each image.

        Args:
            network: from `build`.
            images: (N, H, W, 3) uint8 RGB, any size, each filled by its person.

        Returns:
            (N, joints, 3) float32: y and x as shares of the image's height and width, and a
            score, the height of the heatmap there as a share of its peak, 0 to 1.
        """
        inputs, placement = fit(images, self.model.crop)
        maps = network(inputs, training=False)[-1]
        return placement.to_image(find_joints(maps, self.model.heatmaps))


def _parts(model: PoseModel) -> Parts:
    """Of another number of joints everything but what gives the maps, or takes them, fits."""
    stacks = range(model.stacks)
    return Parts(
        backbone=("model/stem/", "model/stacks/"),
        features=("model/stem/", "model/stacks/"),
        class_layers=(
            *(f"model/stacks/{i}/maps/" for i in stacks),
            *(f"model/remaps/{i}/maps/" for i in stacks[:-1]),
        ),
    )
