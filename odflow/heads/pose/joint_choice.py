"""The joints of a skeleton out of those that a format of annotations has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from odflow.errors import ConfigError
from odflow.formats.keypoints import joint_columns, joints_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from odflow.formats.pose_annotations import AnnotatedPeople
    from odflow.heads.pose.skeleton import Skeleton


def with_joints_of(skeleton: Skeleton, people: AnnotatedPeople) -> pd.DataFrame:
    """Choose the joints of a skeleton, by name, and work out those that are the mean of others.

    Returns:
        The people's table with these joints in the skeleton's order.

    Raises:
        ConfigError: the skeleton has joints that the format lacks; the message names them.
    """
    import pandas as pd

    means = skeleton.means or {}
    lacking = [joint for joint in skeleton.joints if joint not in (*people.joints, *means)]
    if lacking:
        raise ConfigError(
            f"{people.path}: its people lack joints of the skeleton {skeleton.name}: {', '.join(lacking)}. "
            f"They have {', '.join(people.joints)}."
        )
    others = {column for joint in people.joints for column in joint_columns(joint)}
    facts = people.table[[name for name in people.table if name not in others]]
    chosen = [people.table[joint_columns(joint)] for joint in skeleton.joints if joint not in means]
    worked_out = [_mean(people.table, joint, parts) for joint, parts in means.items()]
    joints = pd.concat([*chosen, *worked_out], axis="columns")
    order = [column for joint in skeleton.joints for column in joint_columns(joint)]
    return pd.concat([facts, joints[order]], axis="columns")


def _mean(table: pd.DataFrame, joint: str, parts: Sequence[str]) -> pd.DataFrame:
    """As visible as the least visible part; not labelled where a part is not."""
    import pandas as pd

    xyv: NDArray[np.float64] = joints_of(table, parts).astype(np.float64)
    v = xyv[:, :, 2].min(axis=1, initial=2)
    xy = np.where(v[:, None] > 0, xyv[:, :, :2].mean(axis=1), np.nan)
    return pd.DataFrame(np.column_stack([xy, v]), table.index, joint_columns(joint))
