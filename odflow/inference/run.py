"""Running a detector over many images, by workers in threads, processes or on other machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from odflow.errors import ImageError
from odflow.inference.chunks import Chunk, Spread, work_in_chunks
from odflow.inference.detections import Detections
from odflow.inference.detector import Detector, shared_detector
from odflow.inference.model_tensors import TensorNames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Item = TypeVar("Item")

_AS_THE_API = TensorNames()


@dataclass(frozen=True)
class Seen:
    """What was seen in one image.

    Attributes:
        height, width: its size in pixels; 0 where it could not be read.
        found: what is in it; None where it could not be read.
        error: why it could not be read, without the path; empty where it could.
        resized: height and width that the graph takes alone; None where it takes any.
    """

    height: int
    width: int
    found: Detections | None
    error: str = ""
    resized: tuple[int | None, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What the workers need.

    Attributes:
        run: names the run.
        model: as `load_detector` takes it.
        read: gives an item's pixels; importable by name.
        names: what the model calls its tensors.
        trusted: the model may hold operations that reach files, Python or the network.
    """

    run: str
    model: Path
    read: Callable[[Any], NDArray[np.uint8]]
    names: TensorNames
    trusted: bool


def detect_all(
    model: Path,
    items: Iterable[Item],
    read: Callable[[Item], NDArray[np.uint8]],
    spread: Spread,
    names: TensorNames = _AS_THE_API,
    trusted: bool = False,
) -> Iterator[tuple[Item, Seen]]:
    """Detect in many images, several at once.

    Args:
        model: as `load_detector` takes it. Each worker process loads it once.
        items: images by whatever `read` takes, plain data; taken as the work goes on.
        read: gives an item's pixels, (height, width, 3) uint8 RGB; importable by name. An
            ImageError that it raises becomes the result's `error`.
        spread: calls a function on every value, by workers, and gives the results in order.
        names: what the model calls its tensors, where it does not as the API does.
        trusted: it may hold operations that reach files, Python or the network.

    Returns:
        Each item with what was seen in it, in the order of the items.

    Raises:
        InputError: the model cannot be loaded.
        StageError: the model failed on an image.
    """
    return work_in_chunks(detect_chunk, Means(uuid4().hex, model, read, names, trusted), items, spread)


def detect_chunk(chunk: Chunk[Means, Any]) -> list[Seen]:
    """Detect in a few images, one after the other, as one of `detect_all`'s workers."""
    means = chunk.means
    detector = shared_detector(means.model, means.run, means.names, means.trusted)
    return [_look(detector, item, means.read) for item in chunk.items]


def _look(detector: Detector, item: Item, read: Callable[[Item], NDArray[np.uint8]]) -> Seen:
    try:
        image = read(item)
    except ImageError as error:
        return Seen(0, 0, None, str(error).removeprefix(f"{getattr(item, 'path', item)}: "))
    height, width = image.shape[:2]
    return Seen(height, width, detector.detect(image), resized=getattr(detector, "size", None))
