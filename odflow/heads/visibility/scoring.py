"""Scoring labelled images with an exported visibility model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from odflow.errors import ImageError, InputError
from odflow.formats.labelled_images import LabelledImage
from odflow.heads.visibility.settings import VISIBILITY
from odflow.inference.chunks import Chunk, Spread, work_in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Means:
    """What the workers need.

    Attributes:
        run: names the run.
        model: as `Head.load` takes it.
    """

    run: str
    model: Path


def score_images(
    model: Path, images: Iterable[LabelledImage], spread: Spread
) -> Iterator[tuple[LabelledImage, NDArray[Any]]]:
    """Score many images, several at once.

    Args:
        model: as `Head.load` takes it. Each worker process loads it once.
        images: taken as the work goes on.
        spread: calls a function on every value, by workers, and gives the results in order.

    Returns:
        Each image with its scores, (classes,) float32, in the order of the images.

    Raises:
        InputError: the model cannot be loaded, or an image cannot be read.
        StageError: the model failed.
    """
    return work_in_chunks(score_chunk, Means(uuid4().hex, model), images, spread)


def score_chunk(chunk: Chunk[Means, LabelledImage]) -> list[NDArray[Any]]:
    """Score a few images, one after the other: they may be of different sizes."""
    graph = VISIBILITY.shared(chunk.means.model, chunk.means.run)
    return [graph.run(_pixels(image)[np.newaxis])[0] for image in chunk.items]


def _pixels(image: LabelledImage) -> NDArray[np.uint8]:
    try:
        return image.read()
    except ImageError as error:
        raise InputError(f"{error} Metrics need every image: mend it, or take it out.") from None
