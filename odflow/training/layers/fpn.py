"""The Object Detection API's feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions, apply


class TopDown(tf_keras.layers.Layer):
    """The way down a feature pyramid: each map gets what the coarser ones have seen.

    TensorFlow 2's hands on what a level gives, after its smoothing; TensorFlow 1's the sum before it.

    Attributes:
        top_layers: brings the coarsest map to the pyramid's channels.
        residual_blocks: the same for each finer map, coarsest first.
        conv_layers: what smooths the sum of a map and its coarser neighbour, coarsest first.
    """

    def __init__(
        self,
        levels: int,
        filters: int,
        layers: Convolutions,
        separable: bool,
        explicit_padding: bool,
        slim: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            levels: maps that come in, and go out.
            filters: channels that go out.
            layers: makes them.
            separable: smooth with depthwise separable convolutions.
            explicit_padding: pad by the kernel's size alone.
            slim: go down as TensorFlow 1 does.
        """
        super().__init__(name="FeatureMaps")
        self._slim = slim
        self.top_layers = [layers.conv2d(filters, 1, f"projection_{levels}", use_bias=True)]
        self.residual_blocks = [
            [layers.conv2d(filters, 1, f"projection_{level}", use_bias=True)]
            for level in range(levels - 1, 0, -1)
        ]
        self.conv_layers = [
            layers.block(filters, f"smoothing_{level}", separable, explicit_padding=explicit_padding)
            for level in range(levels - 1, 0, -1)
        ]

    def call(self, maps: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """Go down.

        Args:
            maps: of the backbone, (N, h, w, channels), finest first, each half the size of the one before.
            training: batch norms learn.

        Returns:
            As many maps of the same sizes, finest first, (N, h, w, filters).
        """
        with tf.name_scope("top_down"):
            down = apply(self.top_layers, maps[-1], training)
            found = [down]
            for finer, project, smooth in zip(
                reversed(maps[:-1]), self.residual_blocks, self.conv_layers, strict=True
            ):
                residual = apply(project, finer, training)
                summed = upsample(down)[:, : finer.shape[1], : finer.shape[2]] + residual
                found.append(apply(smooth, summed, training))
                down = summed if self._slim else found[-1]
        return found[::-1]


def upsample(maps: tf.Tensor) -> tf.Tensor:
    """Write every cell of (N, h, w, channels) four times: (N, 2 h, 2 w, channels)."""
    _, height, width, channels = maps.shape
    cells = tf.reshape(maps, [-1, height, 1, width, 1, channels])
    return tf.reshape(tf.tile(cells, [1, 1, 2, 1, 2, 1]), [-1, 2 * height, 2 * width, channels])
