"""People and their joints as a table: one person a row.

Columns: `filename` (relative to the images folder, POSIX), `person` (number within the
image, from 0), `width` and `height` of the image (pixels; empty where unknown), then any of
`OPTIONAL`, and for each joint `NAME_x`, `NAME_y` (pixels, origin at the top left) and
`NAME_v` (0 not labelled, 1 occluded, 2 visible). Predictions have `NAME_score` beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from odflow.errors import TableError
from odflow.formats.csv_table import ROW_END, csv_text
from odflow.formats.image_names import name_inside
from odflow.formats.numbers import FAR, column_numbers
from odflow.reading import reads
from odflow.regular import check_regular
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

REQUIRED = ("filename", "person", "width", "height")
OPTIONAL = (
    "center_x",
    "center_y",
    "scale",  # body height / 200 pixels
    "head_size",  # pixels
    "xmin",
    "ymin",
    "xmax",
    "ymax",
    "area",  # of the person, in square pixels
    "split",  # train or test
    "score",
)
"""Columns that a table may have before its joints, in this order; a cell may be empty."""

_TEXT = ("filename", "split")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a person is of no use.

    Attributes:
        where: file, place in it and image.
        why: the same words for all faults of one kind.
        detail: what is peculiar to this one.
    """

    where: str
    why: str
    detail: str = ""

    def __str__(self) -> str:
        return shown(f"{self.where}: {self.why}{f' ({self.detail})' if self.detail else ''}")


def joint_columns(joint: str) -> list[str]:
    """The columns of a joint.

    >>> joint_columns("nose")
    ['nose_x', 'nose_y', 'nose_v']
    """
    return [f"{joint}_{axis}" for axis in "xyv"]


def most_of(column: str) -> int:
    """The largest number that a column of `OPTIONAL`, or a size, can hold: no image is as large."""
    return FAR * FAR if column == "area" else FAR


def joints_of(frame: pd.DataFrame, joints: Sequence[str]) -> NDArray[np.float32]:
    """The joints of a table as an array.

    Returns:
        (people, joints, 3) float32 x y v; pixels. A joint without coordinates is at 0, 0.
    """
    columns = [column for joint in joints for column in joint_columns(joint)]
    values: NDArray[np.float64] = frame[columns].to_numpy("float64", na_value=np.nan)
    joints_xyv = values.reshape(len(frame), len(joints), 3).astype(np.float32)
    return np.where(np.isnan(joints_xyv), np.float32(0), joints_xyv)


@reads("a table of people", TableError)
def read_keypoints(
    path: Path, joints: Sequence[str], reject: Callable[[Fault], None] | None = None
) -> pd.DataFrame:
    """Read a table of people.

    Args:
        path: a CSV file (RFC 4180, UTF-8, a header line), or a `.parquet` file where
            pyarrow is installed.
        joints: of the skeleton; the table may have others too.
        reject: hears of each row that is wrong, and that row is left out; without it the
            first such row is an error.

    Returns:
        `REQUIRED`, those of `OPTIONAL` that are there, the joints in their order, then the
        other columns. filename and split are str, person int64, all others of these columns
        float64, NaN where a cell is empty. The index counts the file's rows from 1.

    Raises:
        TableError: not such a table, a column that is missing (a table of another skeleton:
            the message names the joints), or a wrong row: a name that leaves its folder,
            a person twice, a cell that is no number, v that is not 0, 1 or 2, a labelled
            joint without coordinates. The message names file, row and image.
    """
    path = Path(path)
    frame = _read(path)
    _check_columns(path, frame, joints)
    frame.index = np.arange(1, len(frame) + 1)
    texts = {name: frame[name].fillna("").astype(str) for name in _TEXT if name in frame}
    formed = {name: name_inside(name) or name for name in texts["filename"].unique()}
    texts["filename"] = texts["filename"].map(formed).astype(str)
    first = [*REQUIRED, *(name for name in OPTIONAL if name in frame)]
    first += [column for joint in joints for column in joint_columns(joint)]
    numeric = [name for name in first if name not in _TEXT]
    numbers, wrong = _numbers(frame, numeric)
    frame = frame.assign(**texts, **numbers)
    for mask, why in (*_wrong_rows(frame), *_wrong_joints(frame, joints)):
        wrong[mask.to_numpy() & (wrong == "")] = why
    right = np.flatnonzero(wrong == "")
    wrong[right[frame.iloc[right].duplicated(["filename", "person"])]] = "the same person as in a row before"
    for row, name, why in zip(frame.index, frame["filename"], wrong, strict=True):
        if why:
            _tell(Fault(f"{path}: row {row} ({shown(name)[:200]})", why), reject)
    kept: pd.DataFrame = frame[wrong == ""].astype({"person": "int64"})
    return kept[first + [name for name in kept if name not in first]]


def write_keypoints(frame: pd.DataFrame, path: Path) -> None:
    """Write a table of people; `read_keypoints` gives an equal one back.

    Args:
        frame: with `REQUIRED` and joints; its columns are put in the order of this page.
        path: `.parquet` for Parquet, else CSV. Columns of whole numbers are written without a point.

    Raises:
        TableError: Parquet is asked for and pyarrow is not installed.
    """
    first = [*REQUIRED, *(name for name in OPTIONAL if name in frame)]
    frame = frame[first + [name for name in frame if name not in first]].reset_index(drop=True)
    if Path(path).suffix == ".parquet":
        _need_pyarrow(path)
        frame.to_parquet(path, index=False)
        return
    whole = [name for name in frame if frame[name].dtype.kind == "f" and _is_whole(frame[name].to_numpy())]
    with csv_text(path) as file:
        frame.astype(dict.fromkeys(whole, "Int64")).to_csv(file, index=False, lineterminator=ROW_END)


def _is_whole(values: NDArray[np.float64]) -> bool:
    there = values[~np.isnan(values)]
    return bool((np.abs(there) < 2**53).all() and (there % 1 == 0).all())


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        check_regular(path)
        if path.suffix == ".parquet":
            _need_pyarrow(path)
            return pd.read_parquet(path, engine="pyarrow")
        header = pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(_TEXT, str),
            keep_default_na=False,  # a file may be called "NA"
            na_values={name: ["", "nan", "NaN", "NAN"] for name in header if name not in _TEXT},
            float_precision="round_trip",
            encoding="utf-8-sig",
        )
    except pd.errors.EmptyDataError:
        raise TableError(f"{path}: is empty. Wanted a header line: {','.join(REQUIRED)}, ...") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error}). Give a table of keypoints.") from None
    except ValueError as error:  # what pandas, pyarrow and decoding raise
        reason = " ".join(str(error).split())
        raise TableError(f"{path}: is not a table in CSV (UTF-8) or Parquet ({reason}).") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the surplus for an index
        raise TableError(f"{path}: the rows have more values than the header line has names.")
    return frame


def _need_pyarrow(path: Path) -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise TableError(f"{path}: Parquet needs pyarrow. Install it, or use a .csv file.")


def _check_columns(path: Path, frame: pd.DataFrame, joints: Sequence[str]) -> None:
    lacking = [name for name in REQUIRED if name not in frame]
    if lacking:
        raise TableError(f"{path}: has no column {', '.join(lacking)}; wanted a table of keypoints.")
    missing = [joint for joint in joints if not set(joint_columns(joint)) <= set(frame)]
    if not missing:
        return
    there = [str(name).removesuffix("_v") for name in frame if str(name).endswith("_v")]
    other = [joint for joint in there if set(joint_columns(joint)) <= set(frame) and joint not in joints]
    also = f"; it has {', '.join(other)}, which the skeleton lacks" if other else ""
    raise TableError(
        f"{path}: lacks {len(missing)} of the skeleton's {len(joints)} joints: {', '.join(missing)}{also}. "
        "Give the skeleton that the table was made with."
    )


def _numbers(
    frame: pd.DataFrame, columns: Sequence[str]
) -> tuple[dict[str, pd.Series[float]], NDArray[np.object_]]:
    """The columns as numbers, and what is wrong with each row, empty where nothing is."""
    import pandas as pd

    wrong = np.full(len(frame), "", object)
    numbers = {}
    for name in columns:
        numbers[name] = pd.Series(column_numbers(frame[name]), frame.index)
        bad = (numbers[name].isna() & frame[name].notna()) | np.isinf(numbers[name])
        wrong[bad.to_numpy() & (wrong == "")] = f"{name} is no number"
    return numbers, wrong


def _wrong_rows(frame: pd.DataFrame) -> Iterator[tuple[pd.Series[bool], str]]:
    outside = {name for name in frame["filename"].unique() if name_inside(name) is None}
    yield frame["filename"].isin(outside), "filename is no name inside the images folder"
    yield ~((frame["person"] >= 0) & (frame["person"] % 1 == 0)), "person is no whole number from 0"
    for name in ("width", "height"):
        yield (frame[name] < 1) | (frame[name] % 1 > 0), f"{name} is no whole number above 0"
    for name in ("person", "width", "height", *OPTIONAL):
        if name in frame and name not in _TEXT:
            yield frame[name].abs() > most_of(name), f"{name} is beyond {most_of(name)}"


def _wrong_joints(frame: pd.DataFrame, joints: Sequence[str]) -> Iterator[tuple[pd.Series[bool], str]]:
    for joint in joints:
        x, y, v = (frame[column] for column in joint_columns(joint))
        yield ~v.isin([0, 1, 2]), f"{joint}_v is not 0, 1 or 2"
        yield (v > 0) & (x.isna() | y.isna()), f"{joint} is labelled and has no coordinates (NaN)"
        far = (x.abs() > FAR) | (y.abs() > FAR)
        yield far, f"{joint} lies more than {FAR} pixels away"


def _tell(fault: Fault, reject: Callable[[Fault], None] | None) -> None:
    if reject is None:
        raise TableError(f"{fault}. Correct that row.")
    reject(fault)
