"""Feature extractors that lay a feature pyramid on a backbone."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions, apply
from odflow.training.layers.fpn import TopDown
from odflow.training.ssd.settings import Extractor

COARSEST = 5
"""The last level that a backbone itself has."""


class FpnExtractor(tf_keras.layers.Layer):
    """A backbone, the way down its pyramid, and coarser levels on top.

    The attributes have the names that the Object Detection API's have: they are part of the
    names of the weights in a checkpoint.
    """

    def __init__(
        self,
        backbone: tf_keras.Model,
        settings: Extractor,
        layers: Convolutions,
        coarse: list[str],
        name: str,
    ) -> None:
        """Make the pyramid.

        Args:
            backbone: gives the maps of levels 2 to 5, finest first.
            settings: of the extractor; it has a pyramid.
            layers: makes the pyramid's layers.
            coarse: what the levels above 5, or above the pyramid's last, are called.
            name: of the layer.
        """
        super().__init__(name=name)
        assert settings.pyramid is not None
        self._first, last = settings.pyramid.min_level, settings.pyramid.max_level
        self._last = min(last, COARSEST)
        self._multiple = settings.pad_to_multiple
        filters = settings.depth(settings.pyramid.filters)
        self.classification_backbone = backbone
        self._fpn_features_generator = TopDown(
            self._last + 1 - self._first,
            filters,
            layers,
            settings.separable,
            settings.explicit_padding,
            slim=settings.slim,
        )
        self._coarse_feature_layers = [
            layers.block(filters, coarse[i], settings.separable, 2, settings.explicit_padding)
            for i in range(last - self._last)
        ]

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> list[tf.Tensor]:
        """The maps of a batch of preprocessed images.

        Args:
            inputs: (N, H, W, 3) float32.
            training: batch norms learn.

        Returns:
            A map (N, h, w, filters) for each level of the pyramid, finest first.
        """
        maps = self.classification_backbone(pad_to_multiple(inputs, self._multiple), training=training)
        maps = self._fpn_features_generator(maps[self._first - 2 : self._last - 1], training=training)
        for layers in self._coarse_feature_layers:
            maps.append(apply(layers, maps[-1], training))
        return maps


def pad_to_multiple(inputs: tf.Tensor, multiple: int) -> tf.Tensor:
    """Add zeros below and to the right, until height and width are multiples."""
    _, height, width, _ = inputs.shape
    rows, columns = -height % multiple, -width % multiple
    return tf.pad(inputs, [[0, 0], [0, rows], [0, columns], [0, 0]]) if rows or columns else inputs


def cut(backbone: tf_keras.Model, names: list[str]) -> tf_keras.Model:
    """The part of a backbone up to some of its layers, whose outputs it gives."""
    return tf_keras.Model(backbone.inputs, [backbone.get_layer(name).output for name in names])
