"""CSV files as spreadsheets, scripts and annotation tools write them, to tables with a header line."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from odflow.errors import TableError
from odflow.regular import check_regular
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd

ROW_END = "\r\n"
"""How writers must end their rows in a `csv_text`. Python's csv quotes those line ends alone that the
end of its rows has, and readers end a row at each of them."""

_DELIMITERS = ",;\t|"
_BLOCK = 1 << 20  # bytes that are looked at at once
_FOREIGN = (
    (
        {"imageid", "labelname", "xmin"},
        "Open Images' annotations (shares of the image, classes by machine id)",
    ),
    ({"region_shape_attributes"}, "a table of the VGG Image Annotator, whose regions are JSON"),
    ({"image_id", "bbox"}, "a table with a column of whole boxes (bbox)"),
)


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written.

    Attributes:
        path: the file.
        encoding: of its text, as Python calls it.
        delimiter: between values.
        blanks: there are blanks around the names in its header line, and so around its values.
    """

    path: Path
    encoding: str
    delimiter: str
    blanks: bool

    def lines(self, rows: Sequence[int]) -> list[int]:
        """The line of each of some rows, rising: quoted line ends and blank lines make them differ."""
        wanted, found = set(rows), []
        with (
            _fields_of_any_size(self.path.stat().st_size),
            self.path.open(encoding=self.encoding, newline="") as file,
            suppress(csv.Error),
        ):
            reader = csv.reader(file, delimiter=self.delimiter)
            filled = (reader.line_num for values in reader if values)
            next(filled, None)
            found = [line for row, line in enumerate(filled) if row in wanted]
        return found if len(found) == len(rows) else [row + 2 for row in rows]


class CsvText(io.TextIOWrapper):
    """A text file whose rows come one by one and end in `ROW_END`; each becomes one line feed."""

    def write(self, row: str) -> int:
        """Write a row."""
        return super().write(f"{row.removesuffix(ROW_END)}\n")


@contextmanager
def csv_text(path: Path, mode: Literal["w", "a"] = "w") -> Iterator[CsvText]:
    """Open a CSV file to write rows into, in UTF-8, for `csv.writer` or pandas with `ROW_END`.

    Args:
        path: the file.
        mode: "w" for a new one, "a" to go on.

    Raises:
        TableError: a text in it is not Unicode, as the name of a file may be.
    """
    try:
        with CsvText(Path(path).open(f"{mode}b"), encoding="utf-8", newline="") as file:
            yield file
    except UnicodeEncodeError as error:
        found = shown(error.object[max(error.start - 20, 0) : error.end])
        raise TableError(f"{path}: cannot hold {found}, which is not Unicode. Rename it.") from None


@contextmanager
def _fields_of_any_size(most: int) -> Iterator[None]:
    before = csv.field_size_limit(max(most, 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def csv_form(path: Path, columns: Sequence[str]) -> CsvForm:
    """Find out how a CSV file is written.

    The header line says what separates values: a comma, a semicolon, a tab or a bar. Text is
    UTF-8, with or without a byte order mark, or UTF-16 with one. Blanks around values go where the
    header has them too.

    Args:
        path: the file.
        columns: names that its header line should have.

    Raises:
        TableError: it cannot be read, is no such text, or has other columns (the message says whose
            table it is, where that shows).
    """
    with _told(path, columns), path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with _told(path, columns, encoding), path.open(encoding=encoding, newline="") as lines:
        return _form(path, _first_line(lines), encoding, columns)


def read_csv_table(path: Path, columns: Sequence[str], texts: Sequence[str]) -> tuple[pd.DataFrame, CsvForm]:
    """Read a CSV file that is short.

    Args:
        path: the file.
        columns: names that its header line should have.
        texts: those of them that hold text.

    Returns:
        The table as pandas reads it, nothing taken for a missing value, and how it was written.

    Raises:
        TableError: as `csv_form` and `read_csv_chunks`.
    """
    form = csv_form(path, columns)
    (frame,) = read_csv_chunks(form, columns, dict.fromkeys(texts, "str"), sys.maxsize)
    return frame, form


def read_csv_chunks(
    form: CsvForm, columns: Sequence[str], kinds: Mapping[str, Any], rows: int
) -> Iterator[pd.DataFrame]:
    """Read a CSV file a chunk at a time; as much of it is in memory.

    Args:
        form: how it is written.
        columns: names that its header line should have, for messages.
        kinds: dtypes of columns; pandas finds those of the others out, for each chunk anew.
        rows: of a chunk; the last one has what is left.

    Yields:
        Tables as pandas reads them, nothing taken for a missing value; one at least.

    Raises:
        TableError: it is no such text, or has rows of other lengths than the header line.
    """
    import pandas as pd

    with _told(form.path, columns, form.encoding), _open(form) as file:
        chunks = pd.read_csv(
            file,
            sep=form.delimiter,
            skipinitialspace=form.blanks,
            dtype=str if form.blanks else dict(kinds),
            keep_default_na=False,  # "N/A" and "None" are names of classes here, not missing values
            float_precision="round_trip",
            chunksize=rows,
            low_memory=False,  # or a chunk's columns would be of several kinds
        )
        for frame in chunks:
            if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the surplus for an index
                raise TableError(f"{form.path}: the rows have more values than the header line has names.")
            yield _without_blanks(frame) if form.blanks else frame


def foreign_table(values: Sequence[str]) -> str:
    """What a CSV file is whose first line is no header of boxes; "" where that does not show.

    Args:
        values: of its first line.

    >>> foreign_table(["images/0.jpg", "5", "6", "30", "40", "cat"])
    "looks like RetinaNet's annotations, which have no header line (file,xmin,ymin,xmax,ymax,class)"
    """
    names = {value.strip().lower().lstrip("#") for value in values}
    if values and values[0] in ("TRAIN", "VALIDATION", "VALIDATE", "TEST", "UNASSIGNED"):
        return "looks like AutoML's annotations, which have no header line and hold shares of the image"
    for known, what in _FOREIGN:
        if known <= names:
            return f"looks like {what}"
    if len(values) == 6 and all(_is_number(value) or not value for value in values[1:5]):
        return (
            "looks like RetinaNet's annotations, which have no header line (file,xmin,ymin,xmax,ymax,class)"
        )
    if sum(map(_is_number, values)) >= 4:
        return "has no header line: its first line holds numbers"
    return ""


@contextmanager
def _told(path: Path, columns: Sequence[str], encoding: str = "") -> Iterator[None]:
    """Say what was wrong with a file that could not be read."""
    from pandas.errors import EmptyDataError, ParserError

    try:
        check_regular(path)
        yield
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}). Give a table of detections.") from None
    except EmptyDataError:
        raise TableError(f"{path}: is empty. Wanted a header line: {','.join(columns)}.") from None
    except UnicodeDecodeError:
        raise TableError(_not_text(path, encoding)) from None
    except (ParserError, ValueError, OverflowError) as error:
        reason = str(error).strip().replace("\n", " ")
        raise TableError(f"{path}: is not a CSV table ({reason}).") from None


def _open(form: CsvForm) -> TextIO:
    return form.path.open(encoding=form.encoding, newline="")


def _first_line(lines: Iterable[str]) -> str:
    """The first line that holds more than blanks; "" where there is none."""
    return next((line for line in lines if line.strip("\ufeff \t\r\n\0")), "")


def _not_text(path: Path, encoding: str) -> str:
    """Where a file is not text of its encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with path.open("rb") as file:
        while True:
            data = file.read(_BLOCK)
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                seen = bytes(error.object)  # the block, after what the one before it left open
                line += seen.count(b"\n", 0, error.start)
                start = seen.rfind(b"\n", 0, error.start) + 1
                found = seen[start : error.start + 12].decode("latin-1").splitlines()[0][-40:]
                return (
                    f"{path}:{line}: is not UTF-8 text (in latin-1 it would be: {shown(found)}). "
                    "Save the table as UTF-8."
                )
            line += data.count(b"\n")
            if not data:
                return f"{path}: has changed while it was read. Run again."


def _without_blanks(frame: pd.DataFrame) -> pd.DataFrame:
    frame.columns = frame.columns.str.strip()
    stripped: pd.DataFrame = frame.apply(lambda column: column.str.strip())
    return stripped


def _form(path: Path, first: str, encoding: str, columns: Sequence[str]) -> CsvForm:
    if not first:
        raise TableError(f"{path}: is empty. Wanted a header line: {','.join(columns)}.")
    found = max((_values(first, one) for one in _DELIMITERS), key=lambda row: len(_known(row.names, columns)))
    foreign = foreign_table(found.names)
    if foreign and len(_known(found.names, columns)) < len(columns) - 1:
        raise TableError(f"{path}: {foreign}. Wanted a header line: {','.join(columns)}.")
    return CsvForm(path, encoding, found.delimiter, any(name != name.strip() for name in found.names))


class _Header(NamedTuple):
    delimiter: str
    names: list[str]


def _values(line: str, delimiter: str) -> _Header:
    try:
        return _Header(delimiter, next(csv.reader([line], delimiter=delimiter), [""]))
    except csv.Error:
        return _Header(delimiter, [""])


def _known(names: Sequence[str], columns: Sequence[str]) -> set[str]:
    return {name.strip() for name in names} & set(columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
