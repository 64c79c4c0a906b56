"""A set of rows of a long table, one bit a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowSet:
    """Numbers of rows, from 0.

    >>> rows = RowSet()
    >>> rows.add(np.array([1, 9]))
    >>> rows.holds(np.array([8, 9, 1, 999]))
    array([False,  True,  True, False])
    """

    def __init__(self) -> None:
        self._bits = np.zeros(0, np.uint8)

    def add(self, rows: NDArray[np.integer[Any]]) -> None:
        """Take rows, (N,), in any order."""
        if not len(rows):
            return
        lacking = int(rows.max()) // 8 + 1 - len(self._bits)
        if lacking > 0:
            self._bits = np.pad(self._bits, (0, lacking + len(self._bits) // 8))
        np.bitwise_or.at(self._bits, rows // 8, _bit(rows))

    def holds(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Which of some rows, (N,), are in the set: (N,)."""
        known = rows < 8 * len(self._bits)
        found = np.zeros(len(rows), np.bool_)
        found[known] = self._bits[rows[known] // 8] & _bit(rows[known]) != 0
        return found


def _bit(rows: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = np.left_shift(1, rows % 8).astype(np.uint8)
    return bits
