"""Running a detector over many images, by workers in threads, processes or on other machines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from odflow.errors import ImageError
from odflow.inference.detections import Detections
from odflow.inference.detector import Detector, shared_detector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Item = TypeVar("Item")

_CHUNK = 16  # images: enough for the way to another machine, few enough to end together


@dataclass(frozen=True)
class Seen:
    """What was seen in one image.

    Attributes:
        height, width: its size in pixels; 0 where it could not be read.
        found: what is in it; None where it could not be read.
        error: why it could not be read, without the path; empty where it could.
    """

    height: int
    width: int
    found: Detections | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Chunk(Generic[Item]):
    """What one worker does at a time.

    Attributes:
        run: the same for all chunks of a run.
        model: as `load_detector` takes it.
        items: a few images, by whatever `read` takes.
        read: gives an item's pixels; importable by name.
    """

    run: str
    model: Path
    items: Sequence[Item]
    read: Callable[[Item], NDArray[np.uint8]]


def detect_all(
    model: Path,
    items: Iterable[Item],
    read: Callable[[Item], NDArray[np.uint8]],
    spread: Callable[[Callable[[Chunk[Any]], list[Seen]], Iterable[Chunk[Any]]], Iterable[list[Seen]]],
) -> Iterator[tuple[Item, Seen]]:
    """Detect in many images, several at once.

    Args:
        model: as `load_detector` takes it. Each worker process loads it once.
        items: images by whatever `read` takes, plain data; taken as the work goes on.
        read: gives an item's pixels, (height, width, 3) uint8 RGB; importable by name. An
            ImageError that it raises becomes the result's `error`.
        spread: calls a function on every value, by workers, and gives the results in order.

    Returns:
        Each item with what was seen in it, in the order of the items.

    Raises:
        InputError: the model cannot be loaded.
        StageError: the model failed on an image.
    """
    under_way: deque[Sequence[Item]] = deque()  # so that nobody has to send the items back

    def chunks() -> Iterator[Chunk[Item]]:
        run, waiting = uuid4().hex, iter(items)
        while chunk := list(islice(waiting, _CHUNK)):
            under_way.append(chunk)
            yield Chunk(run, model, chunk, read)

    for seen in spread(detect_chunk, chunks()):
        yield from zip(under_way.popleft(), seen, strict=True)


def detect_chunk(chunk: Chunk[Item]) -> list[Seen]:
    """Detect in a few images, one after the other, as one of `detect_all`'s workers."""
    detector = shared_detector(chunk.model, chunk.run)
    return [_look(detector, item, chunk.read) for item in chunk.items]


def _look(detector: Detector, item: Item, read: Callable[[Item], NDArray[np.uint8]]) -> Seen:
    try:
        image = read(item)
    except ImageError as error:
        return Seen(0, 0, None, str(error).removeprefix(f"{getattr(item, 'path', item)}: "))
    height, width = image.shape[:2]
    return Seen(height, width, detector.detect(image))
