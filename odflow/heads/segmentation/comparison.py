"""Comparing the masks that an exported model finds with those of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from odflow.errors import InputError
from odflow.formats.mask_classes import BACKGROUND
from odflow.formats.masks import IGNORE
from odflow.formats.tfrecord import read_records
from odflow.heads.segmentation.example import Labelled, decode
from odflow.heads.segmentation.finding import Means
from odflow.heads.segmentation.settings import SEGMENTATION
from odflow.inference.chunks import Chunk, Spread, work_in_chunks
from odflow.ops.segmentation_metrics import confusion_matrix, mask_metrics, thresholded_iou_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metrics = dict[str, float | None]

SCORE = "thresholded_IoU"


@dataclass(frozen=True, slots=True)
class Record:
    """An example of a file of records.

    Attributes:
        place: what messages call it.
        data: the example.
        shown: its masks are wanted, not the counts alone.
    """

    place: str
    data: bytes
    shown: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found in the image of a record.

    Attributes:
        confusion: (C, C) int64 pixels, see `confusion_matrix`.
        labelled: the image with its true mask, and
        found: (height, width) uint8, the mask that was found; both None but for a record that is shown.
    """

    confusion: NDArray[np.int64]
    labelled: Labelled | None
    found: NDArray[np.uint8] | None


def read_all(files: Sequence[Path], shown: Iterable[int]) -> Iterator[Record]:
    """Read every record of some files, one at a time; `shown` are the places, from 0, of those to show."""
    wanted, number = set(shown), 0
    for file in files:
        for at, data in enumerate(read_records(file)):
            yield Record(f"{file}: record {at}", data, number in wanted)
            number += 1


def compare_all(
    model: Path, classes: tuple[str, ...], records: Iterable[Record], spread: Spread
) -> Iterator[Compared]:
    """Find the masks of many records and compare them, pixel by pixel at the images' own size.

    Args:
        model: as `Head.load` takes it. Each worker process loads it once.
        classes: its classes.
        records: taken as the work goes on.
        spread: calls a function on every value, by workers, and gives the results in order.

    Raises:
        InputError: the model cannot be loaded, a record is damaged or of other classes.
        StageError: the model failed.
    """
    pairs = work_in_chunks(compare, Means(uuid4().hex, model, classes), records, spread)
    return (compared for _, compared in pairs)


def compare(chunk: Chunk[Means, Record]) -> list[Compared]:
    """Compare a few records, as one of `compare_all`'s workers."""
    means = chunk.means
    graph = SEGMENTATION.shared(means.model, means.run)

    def one(record: Record) -> Compared:
        labelled = decode(record.data, record.place)
        _check_numbers(labelled, record.place, means.classes)
        found = graph.run(labelled.image[None])[0]
        confusion = confusion_matrix(labelled.mask, found, len(means.classes))
        return Compared(confusion, labelled, found) if record.shown else Compared(confusion, None, None)

    return [one(record) for record in chunk.items]


class Measured:
    """Adds up what was compared, and what all background would reach beside it.

    Args:
        classes: names of the C classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._background = classes.index(BACKGROUND) if BACKGROUND in classes else 0
        self._foreground = 1 - self._background if len(classes) == 2 else None
        self._scores: list[list[float]] = []
        self.confusion = np.zeros([len(classes)] * 2, np.int64)

    def add(self, confusion: NDArray[np.int64]) -> None:
        """Take the confusion of one image."""
        self.confusion += confusion
        if self._foreground is not None:
            both = (confusion, self._baseline(confusion))
            self._scores.append([_score(one, self._foreground) for one in both])

    def metrics(self) -> Metrics:
        """`mask_metrics`, the thresholded score where there are two classes, and `baseline/...` of each."""
        found = mask_metrics(self.confusion, self._classes)
        baseline = mask_metrics(self._baseline(self.confusion), self._classes)
        if self._scores:
            found[SCORE], baseline[SCORE] = np.mean(self._scores, axis=0).tolist()
        return found | {f"baseline/{name}": value for name, value in baseline.items()}

    def _baseline(self, confusion: NDArray[np.int64]) -> NDArray[np.int64]:
        """The confusion if every pixel were taken for background; without such a class, the first one."""
        baseline = np.zeros_like(confusion)
        baseline[:, self._background] = confusion.sum(axis=1)
        return baseline


def _score(confusion: NDArray[np.int64], number: int) -> float:
    """The thresholded score of a class in an image; 1 where neither mask shows it."""
    both = confusion[number, number]
    either = confusion[number].sum() + confusion[:, number].sum() - both
    return float(thresholded_iou_score(both / either if either else 1.0))


def _check_numbers(labelled: Labelled, place: str, classes: Sequence[str]) -> None:
    numbers = np.unique(labelled.mask)
    unknown = numbers[(numbers >= len(classes)) & (numbers != IGNORE)].tolist()
    if unknown:
        raise InputError(
            f"{place} ({labelled.name}): its mask has the class number {', '.join(map(str, unknown))}; the "
            f"model has {len(classes)} classes, from 0: {', '.join(classes)}. Give records of these."
        )
