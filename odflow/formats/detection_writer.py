"""Writing tables of boxes: whole, by many rows at a time, or image by image as a detector gives them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.formats.csv_table import ROW_END, csv_text
from odflow.formats.detection_rows import COLUMNS, NUMBERS, in_order
from odflow.formats.parquet_table import need_pyarrow

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

UNKNOWN = "N/A"
"""What a class is called whose id the label map lacks."""


def write_detections(frame: pd.DataFrame, path: Path) -> None:
    """Write a table of boxes; `read_detections` gives an equal one back.

    Args:
        frame: with `COLUMNS` and perhaps more.
        path: `.parquet` for Parquet, else CSV. Whole numbers are written without a point.

    Raises:
        TableError: Parquet is asked for and pyarrow is not installed.
    """
    if path.suffix == ".parquet":
        need_pyarrow(path)
        in_order(frame).to_parquet(path, index=False)
        return
    with TableWriter(path, fractions(frame)) as table:
        table.add(frame)


def fractions(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Which numbers of a table have a fraction.

    Args:
        frame: N rows of some of `COLUMNS`, or all.

    Returns:
        (N, len(NUMBERS)); False for what is not there.
    """
    found = np.zeros((len(frame), len(NUMBERS)), np.bool_)
    for column, name in enumerate(NUMBERS):
        if name in frame:
            found[:, column] = frame[name].to_numpy() % 1 != 0
    return found


class TableWriter:
    """A CSV file of boxes that grows by many rows at a time; use it in a `with`."""

    def __init__(self, path: Path, with_fractions: NDArray[np.bool_]) -> None:
        """Begin the file.

        Args:
            path: the file.
            with_fractions: (N, len(NUMBERS)): `fractions` of all rows that will be written, or what it
                comes to for groups of them. A column without any is written without a point.
        """
        self._stack = ExitStack()
        self._file = self._stack.enter_context(csv_text(path))
        self._whole = [name for name, point in zip(NUMBERS, with_fractions.T, strict=True) if not point.any()]
        self._begun = False

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, frame: pd.DataFrame) -> None:
        """Write rows.

        Args:
            frame: with `COLUMNS` and perhaps more, the same ones each time.
        """
        table = in_order(frame).astype(dict.fromkeys(self._whole, "int64"))
        table.to_csv(self._file, index=False, header=not self._begun, lineterminator=ROW_END)
        self._begun = True


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
