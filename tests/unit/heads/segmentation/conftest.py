"""Pictures of squares whose colour is their class, as records, and a network that tells colours apart."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = np.array([(30, 30, 30), (220, 40, 40), (40, 60, 220)], np.uint8)
"""Of background, red and blue."""

CLASSES = ("background", "red", "blue")


def painted(height: int, width: int, seed: int, classes=(1, 2)) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) and its mask (H, W), a square of each class on the background."""
    chance = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    side = min(height, width) // 3
    for number in classes:
        y, x = chance.integers(0, height - side), chance.integers(0, width - side)
        mask[y : y + side, x : x + side] = number
    return COLOURS[mask], mask


def png(array: np.ndarray) -> bytes:
    """Pixels as a PNG file."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def example(image: np.ndarray, mask: np.ndarray, name: str = "a.png") -> bytes:
    """An example as segmentation.records writes it."""
    from odflow.formats.encoding import EncodedImage
    from odflow.formats.masks import encode_mask
    from odflow.heads.segmentation.example import encode

    height, width = image.shape[:2]
    encoded = EncodedImage(data=png(image), format="png", height=height, width=width)
    return b"".join(encode(name, encoded, encode_mask(mask)))


def records(path: Path, *pairs) -> Path:
    """A file of examples of images and masks."""
    from odflow.formats.tfrecord import write_records

    write_records(path, [example(*pair, name=f"{number}.png") for number, pair in enumerate(pairs)])
    return path


def by_colour(images):
    """Logits (N, h, w, 3) for normalised images, highest for the nearest of the colours."""
    import tensorflow as tf

    from odflow.heads.segmentation.architecture import DEVIATION, MEAN

    pixels = images * tf.constant(DEVIATION) + tf.constant(MEAN)
    away = pixels[..., tf.newaxis, :] - tf.constant(COLOURS, tf.float32)
    return -tf.reduce_sum(away**2, -1) / 1000.0


@dataclass(frozen=True)
class Squares:
    """What goes with the pictures."""

    classes = CLASSES
    colours = COLOURS
    painted = staticmethod(painted)
    example = staticmethod(example)
    records = staticmethod(records)
    by_colour = staticmethod(by_colour)
    png = staticmethod(png)

    @staticmethod
    def model(**view):
        """The smallest model, of 64x64 pixels but for what is said."""
        from odflow.heads.segmentation.settings import SegmentationModel, View
        from odflow.training.model_garden.deeplab_config import DeepLabConfig

        network = DeepLabConfig(len(CLASSES), width=0.25, filters=8)
        return SegmentationModel(CLASSES, network, View(**{"height": 64, "width": 64} | view))


@pytest.fixture(scope="session")
def squares() -> Squares:
    """Pictures, records and a network that go together."""
    return Squares()
