"""Pictures to try an exported model on: those that somebody gave, or else drawn ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZES = ((240, 320), (480, 360), (300, 300))
"""Height and width in pixels."""

_AT_MOST = 20


def images_to_check(given: Path | None) -> Iterator[NDArray[np.uint8]]:
    """The first 20 images of a folder or a list file; drawn ones where it is None.

    Raises:
        InputError: there is no image, or one cannot be read.
    """
    if given is None:
        yield from drawn_images()
        return
    from odflow.formats.images import find_images, read_image

    for image in islice(find_images(given), _AT_MOST):
        yield read_image(image.path)


def drawn_images() -> Iterator[NDArray[np.uint8]]:
    """Draw coloured boxes before a coloured slope: (height, width, 3) uint8, always the same."""
    rng = np.random.default_rng(20)
    for height, width in SIZES:
        slope = np.linspace(0.0, 1.0, height)[:, None, None] * np.linspace(0.3, 1.0, width)[None, :, None]
        image = slope * rng.uniform(60.0, 255.0, 3) + rng.normal(0.0, 8.0, (height, width, 3))
        for _ in range(6):
            top, left = rng.integers(0, height - 40), rng.integers(0, width - 40)
            tall, wide = rng.integers(20, height // 2), rng.integers(20, width // 2)
            image[top : top + tall, left : left + wide] = rng.uniform(0.0, 255.0, 3)
        yield np.clip(image, 0, 255).astype(np.uint8)
