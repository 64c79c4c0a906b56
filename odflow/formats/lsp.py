"""Leeds Sports Pose and its extension: `joints.mat`, 14 joints of one person an image.

LSP has (3, 14, N): x, y, 1 where the joint is hidden; images im0001.jpg, im0002.jpg, ...
LSP Extended has (14, 3, N): x, y, 1 where the joint is annotated; images im00001.jpg, ...
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from odflow.errors import InputError
from odflow.formats.mat_files import read_mat
from odflow.formats.pose_annotations import AnnotatedPeople, PoseFormat, gather_people
from odflow.reading import reads

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)


@reads("an LSP file")
def read_lsp(path: Path) -> AnnotatedPeople:
    """Read people of LSP (v 2, hidden joints 1) or LSP Extended (v 2, or 0 without a label).

    Raises:
        InputError: no such file, or no annotations of either.
    """
    found = read_mat(path, "joints", "LSP")
    if found.dtype.kind not in "fiu" or found.ndim != 3 or set(found.shape[:2]) != {3, len(JOINTS)}:
        raise InputError(
            f"{path}: is no LSP file: joints is {found.dtype} {found.shape}; wanted numbers, "
            f"(3, {len(JOINTS)}, N) or ({len(JOINTS)}, 3, N)."
        )
    extended = found.shape[1] == 3
    people = np.moveaxis(found if extended else found.swapaxes(0, 1), 2, 0).astype(np.float64)
    flag = people[:, :, 2] > 0
    people[:, :, 2] = np.where(flag, 2, 0) if extended else np.where(flag, 1, 2)
    digits = 5 if extended else 4
    form: PoseFormat[tuple[int, NDArray[np.float64]]] = PoseFormat(
        "joints", JOINTS, lambda entry: f"im{entry[0]:0{digits}d}.jpg", lambda entry: ({}, entry[1])
    )
    return gather_people(path, form, enumerate(people, 1))
