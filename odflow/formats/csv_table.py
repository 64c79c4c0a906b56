"""CSV files as spreadsheets, scripts and annotation tools write them, to tables with a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from odflow.errors import TableError
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd

ROW_END = "\r\n"
"""How writers must end their rows in a `csv_text`. Python's csv quotes those line ends alone that the
end of its rows has, and readers end a row at each of them."""

_DELIMITERS = ",;\t|"
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


def read_csv_table(path: Path, columns: Sequence[str], texts: Sequence[str]) -> tuple[pd.DataFrame, CsvForm]:
    """Read a CSV file.

    The header line says what separates values: a comma, a semicolon, a tab or a bar. Text is
    UTF-8, with or without a byte order mark, or UTF-16 with one. Blanks around values go where the
    header has them too.

    Args:
        path: the file.
        columns: names that its header line should have.
        texts: those of them that hold text.

    Returns:
        The table as pandas reads it, nothing taken for a missing value, and how it was written.

    Raises:
        TableError: it cannot be read, is no such text, has other columns (the message says whose
            table it is, where that shows), or rows of other lengths than the header line.
    """
    data = _read(path, columns)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = _decoded(path, data, encoding)
    form = _form(path, text, encoding, columns)
    frame = _parsed(form, text, columns, texts)
    if form.blanks:
        frame.columns = frame.columns.str.strip()
        frame = frame.apply(lambda column: column.str.strip())
    return frame, form


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


def _read(path: Path, columns: Sequence[str]) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}). Give a table of detections.") from None
    if not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0"):
        raise TableError(f"{path}: is empty. Wanted a header line: {','.join(columns)}.")
    return data


def _decoded(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        start = data.rfind(b"\n", 0, error.start) + 1
        found = data[start : error.start + 12].decode("latin-1").splitlines()[0][-40:]
        raise TableError(
            f"{path}:{line}: is not UTF-8 text (in latin-1 it would be: {shown(found)}). "
            "Save the table as UTF-8."
        ) from None


def _form(path: Path, text: str, encoding: str, columns: Sequence[str]) -> CsvForm:
    first = next((line for line in io.StringIO(text) if line.strip()), "")
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


def _parsed(form: CsvForm, text: str, columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    path = form.path
    try:
        frame = pd.read_csv(
            io.StringIO(text, newline=""),
            sep=form.delimiter,
            skipinitialspace=form.blanks,
            dtype=str if form.blanks else dict.fromkeys(texts, str),
            keep_default_na=False,  # "N/A" and "None" are names of classes here, not missing values
            float_precision="round_trip",
        )
    except pd.errors.EmptyDataError:
        raise TableError(f"{path}: is empty. Wanted a header line: {','.join(columns)}.") from None
    except (pd.errors.ParserError, ValueError, OverflowError) as error:
        reason = str(error).strip().replace("\n", " ")
        raise TableError(f"{path}: is not a CSV table ({reason}).") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the surplus for an index
        raise TableError(f"{path}: the rows have more values than the header line has names.")
    return frame
