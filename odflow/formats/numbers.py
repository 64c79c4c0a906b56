"""Numbers in tables and annotation files: what is one, and how many pixels there can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

FAR = 1_000_000
"""Pixels from the corner of an image beyond which nothing is an image's; float32 loses single pixels
not much further."""


def column_numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """The numbers of a column as a table was read, NaN for what is none.

    Args:
        column: of any kind: numbers, text, or both. Truth values are no numbers.

    >>> import pandas as pd
    >>> column_numbers(pd.Series(["1.5", "x", 10**400, None])).tolist()
    [1.5, nan, inf, nan]
    """
    import numpy as np
    import pandas as pd

    if column.dtype.kind in "iuf" and not pd.api.types.is_extension_array_dtype(column.dtype):
        return column.to_numpy("float64")
    if column.dtype.kind == "b":
        return np.full(len(column), np.nan)
    try:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy("float64", na_value=np.nan)
    except (ArithmeticError, TypeError, ValueError):  # numbers beyond float64, things that are none
        numbers = np.array([_number(value) for value in column], np.float64)
    return numbers


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return float("nan")
    try:
        return float(value)
    except ValueError:
        return float("nan")
    except OverflowError:
        return float("inf")
