"""Running a detector over many images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from odflow.errors import ImageError
from odflow.inference.detections import Detections
from odflow.inference.detector import Detector
from odflow.inference.threads import map_in_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Item = TypeVar("Item")


@dataclass(frozen=True)
class Seen(Generic[Item]):
    """One image that was looked at.

    Attributes:
        item: what it was read from.
        height, width: its size in pixels; 0 where it could not be read.
        found: what is in it; None where it could not be read.
        error: why it could not be read, without the path; empty where it could.
    """

    item: Item
    height: int
    width: int
    found: Detections | None
    error: str = ""


def detect_all(
    detector: Detector, items: Iterable[Item], read: Callable[[Item], NDArray[np.uint8]]
) -> Iterator[Seen[Item]]:
    """Detect in many images, several at once, decoding ahead of the network.

    Args:
        detector: from `load_detector`.
        items: images by whatever `read` takes; taken as the work goes on.
        read: gives an item's pixels, (height, width, 3) uint8 RGB; called in threads. An
            ImageError that it raises becomes the result's `error`.

    Returns:
        One result an item, in the order of the items; a few wait at a time.

    Raises:
        StageError: the model failed on an image.
    """

    def look(item: Item) -> Seen[Item]:
        try:
            image = read(item)
        except ImageError as error:
            return Seen(item, 0, 0, None, str(error).removeprefix(f"{getattr(item, 'path', item)}: "))
        height, width = image.shape[:2]
        return Seen(item, height, width, detector.detect(image))

    return map_in_order(look, items)
