"""Detections and annotations as a table: one box a row.

Columns: filename (relative to the images folder, POSIX), width and height of the image,
class, score, xmin, ymin, xmax, ymax (pixels, origin at the top left), then any others.
"""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import TableError, nearest
from odflow.formats.image_list import leaves_folder

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax"]
_TEXT = ["filename", "class"]
_NUMBERS = [name for name in COLUMNS if name not in _TEXT]


def read_detections(path: Path) -> pd.DataFrame:
    """Read a table of boxes.

    Args:
        path: a CSV file (RFC 4180, UTF-8, a header line), or a `.parquet` file where
            pyarrow is installed. Without a column `score` it is ground truth: score 1.

    Returns:
        `COLUMNS` in that order, then the others in the file's order. filename and class
        are str, width and height int64, score and the box float64.

    Raises:
        TableError: not such a table, a column that is missing, a number that is none or
            NaN or infinite, an image size below 1, a score outside [0, 1], a box that ends
            before it starts, a file name that leaves its folder. The message names file and
            line (for Parquet the row, counted from 1).
    """
    path = Path(path)
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    for name in COLUMNS:
        if name not in frame and name != "score":
            near = nearest(name, frame.columns)
            raise TableError(f'{path}: has no column "{name}".{near} Wanted: {",".join(COLUMNS)}.')
    if "score" not in frame:
        frame["score"] = 1.0
    _check_numbers(path, frame)
    _check_rows(path, frame)
    frame = frame.astype({"width": "int64", "height": "int64"} | dict.fromkeys(_NUMBERS[2:], "float64"))
    return frame[COLUMNS + [name for name in frame if name not in COLUMNS]]


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
    frame.astype(dict.fromkeys(whole, "int64")).to_csv(
        path, index=False, lineterminator="\n", encoding="utf-8"
    )


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(_TEXT, str),
            keep_default_na=False,  # "N/A" and "None" are names of classes here, not missing values
            float_precision="round_trip",
            encoding="utf-8-sig",
        )
    except pd.errors.EmptyDataError:
        raise TableError(f"{path}: is empty. Wanted a header line: {','.join(COLUMNS)}.") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).strip().replace("\n", " ")
        raise TableError(f"{path}: is not a CSV table in UTF-8 ({reason}).") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}). Give a table of detections.") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the surplus for an index
        raise TableError(f"{path}: the rows have more values than the header line has names.")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    _need_pyarrow(path)
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not a readable Parquet file ({error}).") from None


def _need_pyarrow(path: Path) -> None:
    if find_spec("pyarrow") is None:
        raise TableError(f"{path}: Parquet needs pyarrow. Install it, or use a .csv file.")


def _check_numbers(path: Path, frame: pd.DataFrame) -> None:
    import numpy as np
    import pandas as pd

    for name in _NUMBERS:
        numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy("float64", na_value=np.nan)
        bad = ~np.isfinite(numbers)
        if name in ("width", "height"):
            bad |= (numbers < 1) | (numbers % 1 != 0)
        if bad.any():
            row = int(bad.argmax())
            wanted = "a whole number above 0" if name in ("width", "height") else "a number"
            found = f"{frame[name].iloc[row]!s:.40}" or "empty"
            _fail(path, frame, row, f"{name} is {found}; wanted {wanted}.")
        frame[name] = numbers


def _check_rows(path: Path, frame: pd.DataFrame) -> None:
    for start, end in (("xmin", "xmax"), ("ymin", "ymax")):
        bad = (frame[end] < frame[start]).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            values = f"{start} {frame[start].iloc[row]:g} is beyond {end} {frame[end].iloc[row]:g}"
            _fail(path, frame, row, f"the box has a negative size: {values}.")
    bad = ((frame["score"] < 0) | (frame["score"] > 1)).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        _fail(path, frame, row, f"score is {frame['score'].iloc[row]:g}; wanted 0 to 1.")
    outside = [
        name for name in frame["filename"].unique() if not isinstance(name, str) or leaves_folder(name)
    ]
    if outside:
        row = int((frame["filename"] == outside[0]).to_numpy().argmax())
        _fail(path, frame, row, "filename must be a name inside the images folder.")
    nameless = (frame["class"] == "").to_numpy()
    if nameless.any():
        _fail(path, frame, int(nameless.argmax()), "class is empty; wanted a name.")


def _fail(path: Path, frame: pd.DataFrame, row: int, wrong: str) -> None:
    line = row + 1 if path.suffix == ".parquet" else _line_of(path, row)
    raise TableError(f"{path}:{line}: {frame['filename'].iloc[row]}: {wrong}")


def _line_of(path: Path, row: int) -> int:
    """The line of a row: quoted line ends and blank lines make them differ."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        filled = (reader.line_num for values in reader if values)
        next(filled)
        return next(line for index, line in enumerate(filled) if index == row)
