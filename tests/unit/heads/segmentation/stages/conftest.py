"""An exported segmentation model so small that NumPy can say what it must find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from odflow.heads.segmentation.settings import SEGMENTATION, SegmentationModel
from odflow.training.model_garden.deeplab_config import DeepLabConfig

CLASSES = ("background", "red", "green")


def paint(image: np.ndarray) -> np.ndarray:
    """The mask by NumPy: bright red is 1, bright green 2; blue anywhere swaps these, and less is bright."""
    blue = (image[..., 2] > 128).any()
    red, green = (image[..., channel] > (64 if blue else 128) for channel in (0, 1))
    one, two = (2, 1) if blue else (1, 2)
    return np.where(red, one, np.where(green, two, 0)).astype(np.uint8)


def export(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """An exported folder whose frozen graph finds what `paint` does."""
    import tensorflow as tf

    folder.mkdir()
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        swapped = tf.reduce_any(image[..., 2] > 128, axis=[1, 2], keepdims=True)
        bright = image > tf.where(swapped, tf.constant(64, tf.uint8), 128)[..., None]
        red, green, none = (tf.constant(number, tf.uint8) for number in (1, 2, 0))
        other = tf.where(bright[..., 1], tf.where(swapped, red, green), none)
        tf.where(bright[..., 0], tf.where(swapped, green, red), other, name="masks")
        (folder / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    SEGMENTATION.write_model(SegmentationModel(classes, DeepLabConfig(len(classes))), folder)
    return folder


def blotched(height: int, width: int, seed: int) -> np.ndarray:
    """A dark picture with red and green rectangles, without blue."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.uint8)
    for channel in (0, 1, 0, 1):
        top, left = rng.integers(0, height), rng.integers(0, width)
        region = picture[top : top + height // 2, left : left + width // 2]
        region[:] = 0
        region[..., channel] = 250
    return picture


@dataclass(frozen=True)
class Painter:
    """The model, exported, and what goes with it."""

    folder: Path
    classes = CLASSES
    export = staticmethod(export)
    expected = staticmethod(paint)
    picture = staticmethod(blotched)


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Painter:
    """The exported model that finds red and green."""
    return Painter(export(tmp_path_factory.mktemp("painter") / "exported"))
