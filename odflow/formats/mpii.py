"""MPII Human Pose as JSON: a list of people with 16 joints each.

Keys of a person: `image`, `joints` (16 pairs x y), `joints_vis` (1 or 0), `center` (x y) and
`scale` (body height / 200 pixels). A joint without label has 0 in joints_vis or lies at -1, -1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError
from odflow.formats.pose_annotations import AnnotatedPeople, PoseFormat, gather_people, read_json
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
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)


@reads("an MPII file")
def read_mpii(path: Path) -> AnnotatedPeople:
    """Read people of MPII; a labelled joint has v 2, wherever it lies.

    Raises:
        InputError: no such file, no JSON, or no list.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: holds a {type(entries).__name__}; wanted MPII's list of people.")
    return gather_people(path, PoseFormat("", JOINTS, lambda entry: entry["image"], _person), entries)


def _person(entry: dict[str, Any]) -> tuple[dict[str, object], NDArray[np.float64]]:
    joints = np.asarray(entry["joints"], np.float64)
    labelled = np.asarray(entry["joints_vis"], np.float64).ravel() > 0
    if joints.shape != (len(JOINTS), 2) or len(labelled) != len(joints):
        raise InputError(f"it has {len(joints)} joints and {len(labelled)} joints_vis; wanted {len(JOINTS)}")
    v = np.where(labelled & ~(joints == -1).all(axis=1), 2, 0)
    x, y = (float(at) for at in entry.get("center") or (np.nan, np.nan))
    scale = float(entry.get("scale") or np.nan)
    facts: dict[str, object] = {"center_x": x, "center_y": y, "scale": scale if scale > 0 else np.nan}
    return facts, np.column_stack([joints, v])
