"""What every detector architecture gives to training, evaluation and export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf
import tf_keras

from odflow.training.center_net.architecture import CenterNet
from odflow.training.center_net.settings import CenterNetModel
from odflow.training.checkpoints import Parts
from odflow.training.examples.augmentation import Sample
from odflow.training.faster_rcnn.architecture import FasterRcnn
from odflow.training.faster_rcnn.settings import FasterRcnnModel
from odflow.training.settings import Settings
from odflow.training.ssd.architecture import Ssd
from odflow.training.ssd.settings import SsdModel

Tensors = Mapping[str, tf.Tensor]


class Architecture(Protocol):
    """A kind of detector, as its settings describe it; holds no weights.

    Attributes:
        settings: what the config says.
        parts: what the network's variables belong to.
    """

    settings: Settings
    parts: Parts

    def build(self) -> tf_keras.Model:
        """A network with fresh weights; `tf.train.Checkpoint(model=network)` holds them."""

    def targets(self, sample: Sample) -> tuple[Any, Tensors]:
        """Preprocess one example; part of a `tf.data` pipeline.

        Args:
            sample: an augmented image and its objects.

        Returns:
            inputs: what `forward` takes of the example, of fixed shape, so that examples can be batched.
            labels: what `losses` compares with, of fixed shape.
        """

    def forward(self, network: tf_keras.Model, inputs: Any, labels: Tensors) -> Any:
        """Run the network on a batch as training does.

        Returns:
            What `losses` takes.
        """

    def losses(self, outputs: Any, labels: Tensors) -> dict[str, tf.Tensor]:
        """The weighted terms of the loss, scalars by the API's names, without regularization."""

    def normalizer(self, labels: Tensors) -> tf.Tensor:
        """What `losses` divides by, float32 scalar: small batches of one large one count by it."""

    def detect(self, network: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size: preprocessing, network, post-processing.

        Args:
            network: from `build`.
            images: (N, height, width, 3) uint8 RGB, any size.

        Returns:
            detection_boxes (N, M, 4) float32, ymin xmin ymax xmax of the image's
            height and width; detection_scores (N, M); detection_classes (N, M)
            float32, ids of the label map; num_detections (N,) float32. More where
            the architecture has more (masks, keypoints).
        """


def architecture(settings: Settings) -> Architecture:
    """The architecture that the settings are for."""
    return ARCHITECTURES[type(settings.model)](settings)


ARCHITECTURES: dict[type, Any] = {SsdModel: Ssd, FasterRcnnModel: FasterRcnn, CenterNetModel: CenterNet}
