"""The images that detections are of: the table that detectors write beside them, or a list."""

from __future__ import annotations

from pathlib import Path

from odflow.errors import TableError, nearest
from odflow.formats.csv_table import read_csv_table
from odflow.formats.image_list import listed_names
from odflow.formats.image_names import name_inside
from odflow.left_out import Faults
from odflow.terminal import shown

_COLUMNS = ("filename", "status")


def read_images_seen(path: Path) -> list[str]:
    """Read the names of the images that could be read.

    Args:
        path: a CSV file with the columns filename and status, which is ok for such an image, or a
            text file with a name a line.

    Returns:
        Each name once, in one form (see `name_inside`), in the order of the file.

    Raises:
        TableError: a table that cannot be read, lacks a column, or has a name that leads out of its
            folder; all such lines.
        InputError: a list that cannot be read, or with such a name.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        return listed_names(path)
    table, form = read_csv_table(path, _COLUMNS, _COLUMNS)
    for column in _COLUMNS:
        if column not in table:
            near = nearest(column, table.columns)
            raise TableError(f'{path}: has no column "{column}".{near} Give detect\'s, or a list (.txt).')
    rows = (table["status"] == "ok").to_numpy().nonzero()[0].tolist()
    names = {row: name_inside(table["filename"].iloc[row]) for row in rows}
    wrong = [row for row, name in names.items() if name is None]
    faults = Faults()
    for row, line in zip(wrong, form.lines(wrong), strict=True):
        said = shown(str(table["filename"].iloc[row]))[:200]
        faults.add(f"{path}:{line}: {said}: filename must be a name inside the images folder.")
    faults.raise_all(TableError)
    return list(dict.fromkeys(name for name in names.values() if name is not None))
