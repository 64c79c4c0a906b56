"""The columns of a table of boxes, and what is wrong with rows of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import TableError
from odflow.formats.csv_table import CsvForm
from odflow.formats.image_names import name_inside
from odflow.formats.numbers import FAR, column_numbers
from odflow.left_out import SHOWN, Faults
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax"]
TEXTS = ["filename", "class"]
NUMBERS = [name for name in COLUMNS if name not in TEXTS]


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with `COLUMNS` first."""
    return frame[COLUMNS + [name for name in frame if name not in COLUMNS]]


class WrongRows:
    """Collects the rows that are wrong, chunk by chunk: the first ones' lines, the number of all.

    Attributes:
        count: how many there are.
    """

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._first: dict[int, str] = {}
        self._form: CsvForm | None = None

    def add(self, frame: pd.DataFrame, wrong: Mapping[int, str], form: CsvForm | None) -> None:
        """Take what is wrong with a chunk, by place in it."""
        self.count += len(wrong)
        self._form = form
        for place in sorted(wrong)[: SHOWN - len(self._first)]:
            name = shown(str(frame["filename"].iloc[place]))[:200]
            self._first[int(frame.index[place])] = f"{name}: {wrong[place]}"

    def tell(self) -> None:
        """Raise what is wrong with rows, each with its line."""
        rows = list(self._first)
        lines = self._form.lines(rows) if self._form and rows else [row + 1 for row in rows]
        faults = Faults()
        for row, line in zip(rows, lines, strict=True):
            faults.add(f"{self._path}:{line}: {self._first[row]}")
        faults.lines += [""] * (self.count - len(rows))  # counted, not told
        faults.raise_all(TableError)


def wrong_texts(frame: pd.DataFrame) -> dict[int, str]:
    """What holds no text in the columns `TEXTS`, by row; such cells become empty.

    Args:
        frame: a table, or a part of one, of a form whose cells have types.
    """
    import numpy as np

    wrong: dict[int, str] = {}
    for name in TEXTS:
        cells = list(frame[name])
        bad = np.array([not isinstance(cell, str) for cell in cells], bool)
        for row in bad.nonzero()[0].tolist():
            found = (
                f"{cells[row]!r:.40}" if type(cells[row]) in (int, float, bool) else type(cells[row]).__name__
            )
            wrong.setdefault(row, f"{name} is {found}; wanted a text.")
        if bad.any():
            texts = ["" if none else cell for none, cell in zip(bad, cells, strict=True)]
            frame[name] = np.array(texts, object)
    return wrong


def wrong_rows(frame: pd.DataFrame, known: Collection[str]) -> dict[int, str]:
    """What is wrong with rows, by row; columns of `NUMBERS` become numbers, NaN where they are wrong.

    Args:
        frame: a table, or a part of one.
        known: names of images that are right.
    """
    numbers = _wrong_numbers(frame)
    return {**_wrong_others(frame, known), **numbers}


def _wrong_numbers(frame: pd.DataFrame) -> dict[int, str]:
    """What is wrong with numbers, by row; the columns become numbers, NaN where they are wrong."""
    import numpy as np

    wrong: dict[int, str] = {}
    for name in NUMBERS:
        numbers, side = column_numbers(frame[name]), name in ("width", "height")
        far = np.isfinite(numbers) & (np.abs(numbers) > FAR)
        bad = far | ~np.isfinite(numbers)
        if side:
            bad |= (numbers < 1) | (numbers != np.floor(numbers))
        for row in bad.nonzero()[0].tolist():
            found = f"{frame[name].iloc[row]!s:.40}" or "empty"
            wrong.setdefault(row, f"{name} is {found}; wanted {_wanted(side, bool(far[row]))}.")
        frame[name] = np.where(bad, np.nan, numbers)
    return wrong


def _wanted(side: bool, far: bool) -> str:
    if far:
        return f"{1 if side else -FAR} to {FAR} pixels"
    return "a whole number above 0" if side else "a number"


def _wrong_others(frame: pd.DataFrame, known: Collection[str]) -> dict[int, str]:
    """What is wrong with rows whose numbers are right, by row."""
    wrong: dict[int, str] = {}
    for start, end in (("xmin", "xmax"), ("ymin", "ymax")):
        for row in (frame[end] < frame[start]).to_numpy().nonzero()[0].tolist():
            values = f"{start} {frame[start].iloc[row]:g} is beyond {end} {frame[end].iloc[row]:g}"
            wrong.setdefault(row, f"the box has a negative size: {values}.")
    for row in ((frame["score"] < 0) | (frame["score"] > 1)).to_numpy().nonzero()[0].tolist():
        wrong.setdefault(row, f"score is {frame['score'].iloc[row]:g}; wanted 0 to 1.")
    new = (name for name in frame["filename"].unique().tolist() if name not in known)
    outside = [name for name in new if name_inside(name) is None]
    for row in frame["filename"].isin(outside).to_numpy().nonzero()[0].tolist():
        wrong.setdefault(row, "filename must be a name inside the images folder.")
    for row in (frame["class"] == "").to_numpy().nonzero()[0].tolist():
        wrong.setdefault(row, "class is empty; wanted a name.")
    return wrong
