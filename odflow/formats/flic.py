"""FLIC (Frames Labeled In Cinema): `examples.mat`, upper bodies in frames of films.

Each of `examples` has `coords` (2, 29: x and y in pixels, NaN where a joint has no label),
`filepath` (the image's name), `imgdims` (height, width, channels), and `istrain` and `istest`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError
from odflow.formats.mat_files import read_mat
from odflow.formats.pose_annotations import AnnotatedPeople, PoseFormat, gather_people
from odflow.reading import reads

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOINTS = (
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "nose",
    "middle_shoulder",
    "middle_hip",
    "middle_ear",
    "middle_torso",
    "middle_left_upper_arm",
    "middle_right_upper_arm",
    "middle_left_lower_arm",
    "middle_right_lower_arm",
    "middle_left_upper_leg",
    "middle_right_upper_leg",
    "middle_left_lower_leg",
    "torso",
)
"""The columns of `coords`; of the film frames only the first joints, eyes and nose are labelled."""

_FIELDS = ("coords", "filepath", "imgdims")


@reads("a FLIC file")
def read_flic(path: Path) -> AnnotatedPeople:
    """Read people of FLIC.

    A labelled joint has v 2, and 1 where it lies outside its image; it stays where it is.

    Raises:
        InputError: no such file, or no FLIC annotations.
    """
    examples = read_mat(path, "examples", "FLIC").ravel()
    lacking = [name for name in _FIELDS if name not in (examples.dtype.names or ())]
    if lacking:
        raise InputError(f"{path}: is no FLIC file: its examples have no {', '.join(lacking)}.")
    form = PoseFormat("examples", JOINTS, lambda example: str(example["filepath"].item()), _person)
    return gather_people(path, form, examples)


def _person(example: Any) -> tuple[dict[str, object], NDArray[np.float64]]:
    xy = np.asarray(example["coords"], np.float64)
    if xy.shape != (2, len(JOINTS)):
        raise InputError(f"its coords are of the shape {xy.shape}; wanted (2, {len(JOINTS)})")
    height, width = (int(side) for side in example["imgdims"].ravel()[:2])
    labelled = np.isfinite(xy).all(axis=0)
    outside = (xy < 0).any(axis=0) | (xy[0] > width) | (xy[1] > height)
    facts = {"width": width, "height": height, "split": _split(example)}
    return facts, np.column_stack([*xy, np.where(labelled, 2 - outside, 0)])


def _split(example: Any) -> str:
    """Empty for an example that is in neither."""
    names = example.dtype.names
    for split in ("train", "test"):
        if f"is{split}" in names and np.any(example[f"is{split}"]):
            return split
    return ""
