"""Writing a table of detections row by row, as a detector gives them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.formats.csv_table import ROW_END, csv_text
from odflow.formats.detections import COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN = "N/A"
"""What a class is called whose id the label map lacks."""


class DetectionWriter:
    """A CSV file of detections that grows image by image; use it in a `with`."""

    def __init__(self, path: Path, names: Mapping[int, str]) -> None:
        """Begin the file.

        Args:
            path: the CSV file to write.
            names: what to call each class id; others become `UNKNOWN`.
        """
        self._file = ExitStack()
        self._rows = csv.writer(self._file.enter_context(csv_text(path)), lineterminator=ROW_END)
        self._rows.writerow(COLUMNS)
        self._names = names

    def __enter__(self) -> DetectionWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)

    def add(
        self,
        filename: str,
        boxes: NDArray[np.int64] | NDArray[np.float64],
        scores: NDArray[np.float32],
        classes: NDArray[np.int64],
        size: tuple[int, int],
    ) -> None:
        """Write one image's rows.

        Args:
            filename: relative to the images folder.
            boxes: (M, 4) ymin xmin ymax xmax, pixels.
            scores: (M,) 0 to 1, written with as many digits as it takes to read the same
                float32 back.
            classes: (M,) ids.
            size: the image's height and width in pixels.
        """
        height, width = size
        for (ymin, xmin, ymax, xmax), score, class_id in zip(boxes.tolist(), scores, classes, strict=True):
            name = self._names.get(int(class_id), UNKNOWN)
            self._rows.writerow([filename, width, height, name, _digits(score), xmin, ymin, xmax, ymax])


def _digits(score: Any) -> str:
    return str(np.format_float_positional(np.float32(score), trim="-"))
