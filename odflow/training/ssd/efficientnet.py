"""EfficientDet's feature extractor: EfficientNet under a bidirectional feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import tensorflow as tf
import tf_keras
from official.legacy.image_classification.efficientnet.efficientnet_model import EfficientNet

from odflow.training.layers.convolutions import Convolutions
from odflow.training.ssd.bifpn import Bifpn
from odflow.training.ssd.settings import BifpnShape, Extractor

LEVELS = {
    1: "stack_0/block_0/project_bn",
    2: "stack_1/block_1/add",
    3: "stack_2/block_1/add",
    4: "stack_4/block_2/add",
    5: "stack_6/block_0/project_bn",
}
"""The layer that gives each level. As in the API these are EfficientNet-B0's for all
sizes, though the deeper ones have more blocks in these stacks."""


def bifpn_extractor(settings: Extractor, layers: Convolutions) -> EfficientNetBifpn:
    """`ssd_efficientnet-b0_bifpn_keras` to `-b7_`: EfficientDet's."""
    assert isinstance(settings.pyramid, BifpnShape)
    shape = replace(settings.pyramid, filters=max(settings.pyramid.filters, settings.min_depth))
    return EfficientNetBifpn(settings.type.split("_")[1], shape, layers)


class EfficientNetBifpn(tf_keras.Model):
    """Images in, a pyramid of feature maps out.

    The attributes and their order are the API's, and so are the keys in checkpoints.
    `classification_backbone` is the whole EfficientNet with its classifier, as the API
    has it: what stands above the maps in use is saved and regularized, but never run.
    """

    def __init__(self, version: str, shape: BifpnShape, layers: Convolutions) -> None:
        """Make the layers.

        Args:
            version: `efficientnet-b0` to `efficientnet-b7`.
            shape: of the feature pyramid.
            layers: makes the pyramid's convolutions; EfficientNet's own have their own settings.
        """
        super().__init__(name=f"EfficientDet-D{version[-1]}")
        whole = EfficientNet.from_name(version, overrides={"rescale_input": False})
        top = min(max(LEVELS), shape.max_level)
        maps = [whole.get_layer(LEVELS[level]).output for level in range(shape.min_level, top + 1)]
        self._efficientnet = tf_keras.Model(whole.inputs, maps)
        self.classification_backbone = whole
        self._bifpn_stage = Bifpn(shape, top, layers)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> Sequence[tf.Tensor]:
        """Compute the feature maps.

        Args:
            inputs: (N, height, width, 3) float32, ImageNet's mean and deviation taken
                out; the sides multiples of 2^max_level.
            training: whether batch norms see the batch and blocks are dropped at random.

        Returns:
            One map a level, finest first, (N, h, w, channels).
        """
        return self._bifpn_stage(self._efficientnet(inputs, training=training), training=training)
