"""Tables in Parquet files, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import TableError
from odflow.regular import check_regular

if TYPE_CHECKING:
    import pandas as pd


def read_parquet_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Read a Parquet file a chunk at a time.

    Args:
        path: the file.
        rows: of a chunk, at most.

    Yields:
        Tables; one at least.

    Raises:
        TableError: it is no such file, or pyarrow is not installed.
    """
    need_pyarrow(path)
    from pyarrow import Table
    from pyarrow.parquet import ParquetFile

    try:
        check_regular(path)
        with ParquetFile(path) as file:
            empty = file.schema_arrow.empty_table().to_pandas()
            for batch in file.iter_batches(batch_size=rows):
                empty = None
                yield Table.from_batches([batch]).to_pandas()
            if empty is not None:
                yield empty
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not a readable Parquet file ({error}).") from None


def need_pyarrow(path: Path) -> None:
    """Raise a TableError where pyarrow is not installed.

    Args:
        path: of the file that needs it, for the message.
    """
    if find_spec("pyarrow") is None:
        raise TableError(f"{path}: Parquet needs pyarrow. Install it, or use a .csv file.")
