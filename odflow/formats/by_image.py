"""Rows of a long table, those of an image together: through files on disk, a part at a time in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_ROW = np.dtype(
    [("row", "i8"), ("filename", "i8"), ("class", "i4")]
    + [(name, "f8") for name in ("score", "xmin", "ymin", "xmax", "ymax")]
)
_PART_BYTES = 1 << 24  # of the table
_MOST_PARTS = 100  # open files


def parts_for(table_bytes: int) -> int:
    """In how many parts to look at a table, so that one takes little memory.

    Args:
        table_bytes: size of its file.
    """
    return min(_MOST_PARTS, 1 + table_bytes // _PART_BYTES)


def by_image(
    chunks: Iterable[tuple[pd.DataFrame, NDArray[np.int64]]], parts: int, folder: Path
) -> Iterator[pd.DataFrame]:
    """Bring the rows of each image together.

    Args:
        chunks: as a `DetectionTable` gives them.
        parts: how many to give; images take turns.
        folder: for files that have no name, and so go with this process, however it ends.

    Yields:
        Tables of score and box, with class and filename as numbers, and the index of the chunks; all
        rows of an image in one, in their order.
    """
    import pandas as pd

    with ExitStack() as stack:
        files = [stack.enter_context(TemporaryFile(dir=folder)) for _ in range(parts)]
        classes: dict[str, int] = {}
        for boxes, images in chunks:
            _spill(_rows(boxes, images, classes), files)
        for file in files:
            file.seek(0)
            rows = np.fromfile(file, _ROW)
            columns = {name: rows[name] for name in _ROW.names or () if name != "row"}
            yield pd.DataFrame(columns, index=rows["row"])


def _rows(boxes: pd.DataFrame, images: NDArray[np.int64], classes: dict[str, int]) -> NDArray[Any]:
    import pandas as pd

    codes, names = pd.factorize(boxes["class"])
    numbers = np.array([classes.setdefault(name, len(classes)) for name in names], np.int32)
    rows = np.empty(len(boxes), _ROW)
    rows["row"], rows["filename"], rows["class"] = boxes.index, images, numbers[codes]
    for name in ("score", "xmin", "ymin", "xmax", "ymax"):
        rows[name] = boxes[name]
    return rows


def _spill(rows: NDArray[Any], files: Sequence[IO[bytes]]) -> None:
    part = rows["filename"] % len(files)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=len(files)))
    for file, some in zip(files, np.split(order, ends[:-1]), strict=True):
        file.write(rows[some].tobytes())
