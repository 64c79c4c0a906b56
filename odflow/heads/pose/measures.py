"""Comparing a table of found joints with a table of true ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from odflow.formats.keypoints import joints_of
from odflow.ops.keypoint_metrics import (
    HEAD,
    TORSO,
    CorrectKeypoints,
    MeanPose,
    ObjectKeypointSimilarity,
    joint_boxes,
    lengths_between,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from odflow.heads.pose.skeleton import Skeleton

Metrics = dict[str, float | None]

_PERSON = ["filename", "person"]


@dataclass(frozen=True)
class Truth:
    """People and their true joints, to measure by.

    Attributes:
        table: of keypoints, one person a row.
        skeleton: the joints.
    """

    table: pd.DataFrame
    skeleton: Skeleton

    @cached_property
    def joints(self) -> NDArray[np.float32]:
        """(N, K, 3) x y v, pixels."""
        return joints_of(self.table, self.skeleton.joints)

    def matched(self, found: pd.DataFrame) -> tuple[NDArray[np.float64], int]:
        """The joints that were found of each person.

        Args:
            found: a table of keypoints of the same skeleton; its people are those of the
                truth by file name and number.

        Returns:
            (N, K, 3) x y v, NaN for a person that is not in it; and how many are not.
        """
        rows = found.set_index(_PERSON).index.get_indexer(self.table.set_index(_PERSON).index)
        joints = joints_of(found, self.skeleton.joints).astype(np.float64)
        absent = np.full((1, *joints.shape[1:]), np.nan)
        return np.concatenate([joints, absent])[rows], int((rows < 0).sum())

    def correct(self, found: NDArray[np.floating]) -> list[CorrectKeypoints]:
        """PCK by the torso and, where heads can be measured, PCKh by the head."""
        joints = self.skeleton.joints
        torso, head = CorrectKeypoints("PCK", joints), CorrectKeypoints("PCKh", joints)
        torso.add(found, self.joints, lengths_between(self.joints, *self.skeleton.torsos))
        head.add(found, self.joints, self._heads())
        return [torso, head] if head.persons else [torso]

    def similarity(self, found: pd.DataFrame) -> Metrics:
        """COCO's AP and AR of keypoints; people who are not in the truth count as found wrongly."""
        similarity = ObjectKeypointSimilarity(self.skeleton.sigmas)
        low, high = np.split(joint_boxes(self.joints), 2, axis=1)
        areas = self._column("area", np.prod(high - low, axis=1))
        for name, joints, area in zip(self.table["filename"], self.joints, areas, strict=True):
            similarity.add_truth(name, joints, float(np.nan_to_num(area)))
        scores = found["score"] if "score" in found else np.ones(len(found))
        here = found["filename"].isin(set(self.table["filename"])).to_numpy()
        rows = zip(found["filename"], joints_of(found, self.skeleton.joints), scores, here, strict=True)
        for name, joints, score, counts in rows:
            if counts:
                similarity.add_found(name, joints, score)
        return similarity.compute()

    def baseline(self, others: Truth) -> NDArray[np.float64]:
        """Where the mean pose of other people would find the joints: (N, K, 2) x y."""
        return MeanPose.of(others.joints).predict(joint_boxes(self.joints))

    def _heads(self) -> NDArray[np.float64]:
        return self._column("head_size", lengths_between(self.joints, *self.skeleton.heads))

    def _column(self, name: str, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        """A column of the table; what is empty or not above 0 in it by another way."""
        if name not in self.table:
            return otherwise
        values = self.table[name].to_numpy(np.float64)
        return np.where(values > 0, values, otherwise)


def metrics_of(correct: list[CorrectKeypoints]) -> Metrics:
    """PCK@0.2 and PCKh@0.5, of all joints and of each."""
    shares = (TORSO, HEAD)
    return {
        key: value
        for one, share in zip(correct, shares, strict=False)
        for key, value in one.at(share).items()
    }
