"""Detections and annotations as a table: one box a row.

Columns: filename (relative to the images folder, POSIX), width and height of the image,
class, score, xmin, ymin, xmax, ymax (pixels, origin at the top left), then any others.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import TableError, nearest
from odflow.formats.csv_table import ROW_END, CsvForm, csv_text, read_csv_table
from odflow.formats.image_names import FolderNames, name_inside
from odflow.formats.image_names import names_below as names_below
from odflow.formats.numbers import FAR, column_numbers
from odflow.left_out import SHOWN, Faults
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax"]
_TEXT = ["filename", "class"]
_NUMBERS = [name for name in COLUMNS if name not in _TEXT]


def read_detections(path: Path, images: Path | FolderNames | None = None) -> pd.DataFrame:
    """Read a table of boxes.

    Args:
        path: a CSV file (a header line; separated by commas, semicolons, tabs or bars; UTF-8, or
            UTF-16 with a byte order mark), or a `.parquet` file where pyarrow is installed.
            Without a column `score` it is ground truth: score 1.
        images: the folder of the images, where it is known: names that lead to no file in it are
            brought below it where that can be done; see `names_below`. What was renamed is in
            `attrs["renamed"]`, old name to new.

    Returns:
        `COLUMNS` in that order, then the others in the file's order. filename and class
        are str, width and height int64, score and the box float64. Each name is in one form, see
        `name_inside`.

    Raises:
        TableError: not such a table, a column that is missing, a number that is none, NaN or
            further than `FAR`, an image size below 1, a score outside [0, 1], a box that ends
            before it starts, a file name that leaves its folder. The message names file and
            line (for Parquet the row, counted from 1) of the first ten such rows.
    """
    path = Path(path)
    frame, form = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    for name in COLUMNS:
        if name not in frame and name != "score":
            near = nearest(name, frame.columns)
            raise TableError(f'{path}: has no column "{name}".{near} Wanted: {",".join(COLUMNS)}.')
    if "score" not in frame:
        frame["score"] = 1.0
    renamed = rename(frame, images)
    numbers = _wrong_numbers(frame)  # first: it makes numbers of the columns
    wrong = {**_wrong_rows(frame), **numbers}
    _tell(path, frame, form, wrong)
    frame = frame.astype({"width": "int64", "height": "int64"} | dict.fromkeys(_NUMBERS[2:], "float64"))
    frame = frame[COLUMNS + [name for name in frame if name not in COLUMNS]]
    frame.attrs["renamed"] = renamed
    return frame


def rename(frame: pd.DataFrame, images: Path | FolderNames | None = None) -> dict[str, str]:
    """Bring the file names of a table, or of a part of it, to one form, in place.

    Args:
        frame: with a column filename.
        images: as `read_detections` takes it.

    Returns:
        What was renamed, old name to new.
    """
    there = frame["filename"].unique()
    formed = {name: name_inside(name) or name for name in there}
    below = names_below(dict.fromkeys(formed.values()), images) if images else {}
    renamed = {name: below.get(one, one) for name, one in formed.items() if below.get(one, one) != name}
    if renamed:
        frame["filename"] = frame["filename"].map(lambda name: renamed.get(name, name)).astype("str")
    return renamed


def check_pixels(path: Path, table: pd.DataFrame) -> list[str]:
    """Verify that the boxes of annotations are in pixels, not shares of their image.

    Args:
        path: of the table, for the message.
        table: as `read_detections` gives it.

    Returns:
        Names of images, one for each box in them that looks like shares: within 0 to 1, with
        fractions, smaller than a pixel.

    Raises:
        TableError: every box lies within 0 to 1, in images of more than two pixels.
    """
    box = table[["xmin", "ymin", "xmax", "ymax"]].to_numpy()
    inside = (box >= 0).all(axis=1) & (box <= 1).all(axis=1) & (box[:, :2] < box[:, 2:]).all(axis=1)
    inside &= table[["width", "height"]].to_numpy().max(axis=1, initial=0) > 2
    if len(table) and inside.all():
        width, height = table[["width", "height"]].iloc[0]
        raise TableError(
            f"{path}: all boxes ({len(table)}) lie within 0 to 1 in images of {width}x{height} pixels "
            "and the like: these are shares of the image; wanted: pixels. Multiply xmin and xmax by "
            "width, ymin and ymax by height."
        )
    return list(table["filename"][inside & (box % 1 != 0).any(axis=1)])


def write_detections(frame: pd.DataFrame, path: Path) -> None:
    """Write a table of boxes; `read_detections` gives an equal one back.

    Args:
        frame: with `COLUMNS` and perhaps more.
        path: `.parquet` for Parquet, else CSV. Whole numbers are written without a point.

    Raises:
        TableError: Parquet is asked for and pyarrow is not installed.
    """
    frame = frame[COLUMNS + [name for name in frame if name not in COLUMNS]]
    if Path(path).suffix == ".parquet":
        _need_pyarrow(path)
        frame.to_parquet(path, index=False)
        return
    whole = [name for name in _NUMBERS if (frame[name] % 1 == 0).all()]
    with csv_text(path) as file:
        frame.astype(dict.fromkeys(whole, "int64")).to_csv(file, index=False, lineterminator=ROW_END)


def _read_csv(path: Path) -> tuple[pd.DataFrame, CsvForm | None]:
    return read_csv_table(path, COLUMNS, _TEXT)


def _read_parquet(path: Path) -> tuple[pd.DataFrame, CsvForm | None]:
    import pandas as pd

    _need_pyarrow(path)
    try:
        return pd.read_parquet(path, engine="pyarrow"), None
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not a readable Parquet file ({error}).") from None


def _need_pyarrow(path: Path) -> None:
    if find_spec("pyarrow") is None:
        raise TableError(f"{path}: Parquet needs pyarrow. Install it, or use a .csv file.")


def _wrong_numbers(frame: pd.DataFrame) -> dict[int, str]:
    """What is wrong with numbers, by row; the columns become numbers, NaN where they are wrong."""
    import numpy as np

    wrong: dict[int, str] = {}
    for name in _NUMBERS:
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


def _wrong_rows(frame: pd.DataFrame) -> dict[int, str]:
    """What is wrong with rows whose numbers are right, by row."""
    wrong: dict[int, str] = {}
    for start, end in (("xmin", "xmax"), ("ymin", "ymax")):
        for row in (frame[end] < frame[start]).to_numpy().nonzero()[0].tolist():
            values = f"{start} {frame[start].iloc[row]:g} is beyond {end} {frame[end].iloc[row]:g}"
            wrong.setdefault(row, f"the box has a negative size: {values}.")
    for row in ((frame["score"] < 0) | (frame["score"] > 1)).to_numpy().nonzero()[0].tolist():
        wrong.setdefault(row, f"score is {frame['score'].iloc[row]:g}; wanted 0 to 1.")
    outside = [name for name in frame["filename"].unique() if name_inside(name) is None]
    for row in frame["filename"].isin(outside).to_numpy().nonzero()[0].tolist():
        wrong.setdefault(row, "filename must be a name inside the images folder.")
    for row in (frame["class"] == "").to_numpy().nonzero()[0].tolist():
        wrong.setdefault(row, "class is empty; wanted a name.")
    return wrong


def _tell(path: Path, frame: pd.DataFrame, form: CsvForm | None, wrong: Mapping[int, str]) -> None:
    """Raise what is wrong with rows, each with its line."""
    rows = sorted(wrong)
    first = rows[:SHOWN]
    lines = form.lines(first) if form and first else [row + 1 for row in first]
    faults = Faults()
    for row, line in zip(first, lines, strict=True):
        faults.add(f"{path}:{line}: {shown(str(frame['filename'].iloc[row]))[:200]}: {wrong[row]}")
    faults.lines += [""] * len(rows[SHOWN:])  # counted, not told
    faults.raise_all(TableError)
