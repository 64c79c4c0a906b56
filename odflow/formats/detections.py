"""Detections and annotations as a table: one box a row.

Columns: filename (relative to the images folder, POSIX), width and height of the image,
class, score, xmin, ymin, xmax, ymax (pixels, origin at the top left), then any others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import TableError, nearest
from odflow.formats.csv_table import CsvForm, csv_form, read_csv_chunks
from odflow.formats.detection_rows import (
    COLUMNS,
    NUMBERS,
    TEXTS,
    WrongRows,
    in_order,
    wrong_rows,
    wrong_texts,
)
from odflow.formats.image_names import FolderNames, name_inside, names_below
from odflow.formats.parquet_table import read_parquet_chunks
from odflow.reading import reads

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

CHUNK_ROWS = 1 << 16
"""Rows of a table that are in memory at once."""


class DetectionTable:
    """A table of boxes in a file, read a chunk of rows at a time, as often as it is iterated over.

    The names of its images stay in memory, the rows do not.

    Attributes:
        path: the file.
        names: the number of each image read so far, from 0 in the order in which they come.
        renamed: names that were brought to another form, or below the folder of the images, old to new.
    """

    def __init__(self, path: Path, images: Path | FolderNames | None = None, rows: int = 0) -> None:
        """Take a file; nothing is read yet.

        Args:
            path: as `read_detections` takes it.
            images: likewise.
            rows: of a chunk; `CHUNK_ROWS` if left out.
        """
        self.path = Path(path)
        self.names: dict[str, int] = {}
        self.renamed: dict[str, str] = {}
        self._images = FolderNames(images) if isinstance(images, Path) else images
        self._rows = rows or CHUNK_ROWS
        self._kinds = _Kinds()

    def __iter__(self) -> Iterator[tuple[pd.DataFrame, NDArray[np.int64]]]:
        """Read all of it.

        Yields:
            The boxes of a chunk as `read_detections` gives them, with the numbers of their rows, from
            0, for an index; and (N,) the number of the image of each. One chunk at least. Columns
            beside `COLUMNS` have a dtype that fits the chunk, from the second time on one that fits
            them all.

        Raises:
            TableError: as `read_detections`, once all rows are looked at. After the first wrong one no
                chunk is given.
        """
        import pandas as pd

        kinds, wrong, begin = _Kinds(), WrongRows(self.path), 0
        for frame, form in self._chunks():
            frame.index = pd.RangeIndex(begin, begin + len(frame))
            begin += len(frame)
            self._check_columns(frame)
            kinds.take(frame)
            texts = {} if form else wrong_texts(frame)
            self._rename(frame)
            wrong.add(frame, wrong_rows(frame, self.names) | texts, form)
            if not wrong.count:
                yield _typed(frame), self._numbers(frame)
        wrong.tell()
        self._kinds = kinds

    @property
    def mixed(self) -> bool:
        """Whether the dtypes of columns differed between chunks when it was read last."""
        return self._kinds.mixed

    def _chunks(self) -> Iterator[tuple[pd.DataFrame, CsvForm | None]]:
        if self.path.suffix == ".parquet":
            kinds = self._kinds.common("object")
            for frame in read_parquet_chunks(self.path, self._rows):
                yield frame.astype(kinds), None
            return
        form = csv_form(self.path, COLUMNS)
        kinds = dict.fromkeys(TEXTS, "str") | self._kinds.common("str")
        for frame in read_csv_chunks(form, COLUMNS, kinds, self._rows):
            yield frame, form

    def _check_columns(self, frame: pd.DataFrame) -> None:
        for name in COLUMNS:
            if name not in frame and name != "score":
                near = nearest(name, frame.columns)
                raise TableError(f'{self.path}: has no column "{name}".{near} Wanted: {",".join(COLUMNS)}.')
        if "score" not in frame:
            frame["score"] = 1.0

    def _rename(self, frame: pd.DataFrame) -> None:
        """Bring the file names to one form, in place."""
        new = [name for name in frame["filename"].unique().tolist() if not self._is_known(name)]
        formed = {name: name_inside(name) or name for name in new}
        below = names_below(dict.fromkeys(formed.values()), self._images) if self._images else {}
        better = {name: below.get(one, one) for name, one in formed.items()}
        self.renamed |= {name: one for name, one in better.items() if one != name}
        if self.renamed:
            names = frame["filename"].map(lambda name: self.renamed.get(name, name))
            frame["filename"] = names.astype("str")

    def _is_known(self, name: str) -> bool:
        return name in self.names or name in self.renamed

    def _numbers(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        import numpy as np
        import pandas as pd

        codes, names = pd.factorize(frame["filename"])
        numbers = [self.names.setdefault(name, len(self.names)) for name in names.tolist()]
        return np.array(numbers, np.int64)[codes]


@reads("a table of boxes", TableError)
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
    import pandas as pd

    table = DetectionTable(path, images)
    chunks = [boxes for boxes, _ in table]
    if table.mixed:
        chunks = [boxes for boxes, _ in table]
    frame = pd.concat(chunks)
    frame.attrs["renamed"] = table.renamed
    return frame


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
    look = PixelCheck(path)
    look.add(table)
    look.tell()
    return look.below_a_pixel


class PixelCheck:
    """`check_pixels` of a table that comes in chunks.

    Attributes:
        below_a_pixel: names of images, one for each box in them so far that looks like shares.
    """

    def __init__(self, path: Path) -> None:
        self.below_a_pixel: list[str] = []
        self._path = path
        self._boxes = self._inside = 0
        self._size = (0, 0)

    def add(self, table: pd.DataFrame) -> None:
        """Look at a chunk, as `DetectionTable` gives it."""
        box = table[["xmin", "ymin", "xmax", "ymax"]].to_numpy()
        sizes = table[["width", "height"]].to_numpy()
        inside = (box >= 0).all(axis=1) & (box <= 1).all(axis=1) & (box[:, :2] < box[:, 2:]).all(axis=1)
        inside &= sizes.max(axis=1, initial=0) > 2
        if not self._boxes and len(table):
            self._size = (int(sizes[0, 0]), int(sizes[0, 1]))
        self._boxes += len(table)
        self._inside += int(inside.sum())
        self.below_a_pixel += list(table["filename"][inside & (box % 1 != 0).any(axis=1)])

    def tell(self) -> None:
        """Refuse boxes that are all shares; see `check_pixels`."""
        if self._boxes and self._inside == self._boxes:
            width, height = self._size
            raise TableError(
                f"{self._path}: all boxes ({self._boxes}) lie within 0 to 1 in images of {width}x{height} "
                "pixels and the like: these are shares of the image; wanted: pixels. Multiply xmin and xmax "
                "by width, ymin and ymax by height."
            )


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return in_order(frame).astype(
        {"width": "int64", "height": "int64"} | dict.fromkeys(NUMBERS[2:], "float64")
    )


class _Kinds:
    """The dtypes that chunks of a table gave to columns beside `COLUMNS`."""

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}

    def take(self, frame: pd.DataFrame) -> None:
        for name, kind in frame.dtypes.items():
            if name not in COLUMNS and kind not in self._found.setdefault(str(name), []):
                self._found[str(name)].append(kind)

    @property
    def mixed(self) -> bool:
        return any(len(kinds) > 1 for kinds in self._found.values())

    def common(self, other: str) -> dict[str, Any]:
        """The dtype that holds all values of each column; `other` where no number does."""
        import numpy as np

        def one(kinds: list[Any]) -> Any:
            if len(kinds) == 1:
                return kinds[0]
            numbers = all(isinstance(kind, np.dtype) and kind.kind in "if" for kind in kinds)
            return "float64" if numbers else other

        return {name: one(kinds) for name, kinds in self._found.items()}
