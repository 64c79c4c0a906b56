"""Look through records of people before a training is started on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from odflow.errors import InputError
from odflow.formats.record_check import check_each
from odflow.heads.pose.person import decode


def check_people(
    files: Sequence[Path], joints: Sequence[str], counted: Callable[[Iterable[str]], Iterable[str]] = iter
) -> int:
    """Read every record, and verify that it is whole and of these joints.

    Args:
        files: TFRecord files.
        joints: their names in the skeleton's order.
        counted: shows how the records go by.

    Returns:
        How many people there are.

    Raises:
        InputError: there is none, or records that training cannot use; see `check_each`.
    """

    def look(payload: bytes) -> None:
        _, _, found = decode(payload)
        if found != list(joints):
            raise InputError(
                f"its joints are {', '.join(found)}; wanted: {', '.join(joints)}. "
                "Give the skeleton that the records were written with."
            )

    return check_each(files, look, counted, writer="pose.records")
