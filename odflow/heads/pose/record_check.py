"""Look through records of people before a training is started on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from odflow.errors import InputError
from odflow.formats.record_check import Looking, check_each
from odflow.heads.pose.person import decode


def check_people(files: Sequence[Path], joints: Sequence[str], looking: Looking | None = None) -> int:
    """Read every record, and verify that it is whole and of these joints.

    Args:
        files: TFRecord files.
        joints: their names in the skeleton's order.
        looking: how.

    Returns:
        How many people there are.

    Raises:
        InputError: there is none, or records that training cannot use; see `check_each`.
    """

    return check_each(files, partial(_look, joints=list(joints)), looking, writer="pose.records")


def _look(payload: bytes, joints: list[str]) -> None:
    _, _, found = decode(payload)
    if found != joints:
        raise InputError(
            f"its joints are {', '.join(found)}; wanted: {', '.join(joints)}. "
            "Give the skeleton that the records were written with."
        )
