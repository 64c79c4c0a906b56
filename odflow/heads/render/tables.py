"""What is in rendered pictures, as odflow's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from odflow.formats.detection_rows import COLUMNS
from odflow.formats.keypoints import REQUIRED, joint_columns
from odflow.heads.render.figure import JOINTS
from odflow.heads.render.recipe import FIGURE, Settings

if TYPE_CHECKING:
    import pandas as pd

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def boxes_table(settings: Settings, pictures: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One labelled object a row.

    Returns:
        `COLUMNS`, score 1, then `area` (visible pixels) and `visible` (their share, 0 to 1).
    """
    import pandas as pd

    size = (settings.width, settings.height)
    rows = [
        [name, *size, box["label"], 1.0, *box["xyxy"], box["area"], round(box["visible"], 4)]
        for name, picture in _named(settings, pictures)
        for box in picture["boxes"]
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS, "area", "visible"])


def joints_table(settings: Settings, pictures: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One labelled figure a row, as `formats.keypoints` has it, with box and area.

    A joint outside its picture has v 0 and no coordinates.
    """
    import pandas as pd

    rows = []
    for name, picture in _named(settings, pictures):
        if picture["joints"] is not None:
            (box,) = (box for box in picture["boxes"] if box["label"] == FIGURE)
            row = [name, 0, settings.width, settings.height, *box["xyxy"], box["area"]]
            for joint in JOINTS:
                x, y, visibility = picture["joints"][joint]
                row += [round(x, 2), round(y, 2), visibility] if visibility else [None, None, 0]
            rows.append(row)
    joints = [column for joint in JOINTS for column in joint_columns(joint)]
    return pd.DataFrame(rows, columns=[*REQUIRED, *_CORNERS, "area", *joints])


def _named(settings: Settings, pictures: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(settings.picture_name(picture["number"]), picture) for picture in pictures]
