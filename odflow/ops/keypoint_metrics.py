"""How near found keypoints are to the true ones: PCK, COCO's keypoint AP, and the mean pose to beat.

Keypoints are (N, K, 3) float, x y v of N persons' K joints in pixels of the image; v is
0 for a joint that is not labelled, whatever its x and y.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.ops.boxes import Floats

THRESHOLDS: NDArray[np.float64] = np.arange(51) / 100
"""0 to 0.5: where the curves of PCK are taken."""

TORSO = 0.2
"""The share of the torso that PCK is told at."""

HEAD = 0.5
"""The share of the head's size that PCKh is told at."""

PCK = f"PCK@{TORSO:g}"
PCKH = f"PCKh@{HEAD:g}"

LEAST = 1.0
"""Pixels: a person whose torso or head is shorter is no measure of anything."""

OKS_AP = "Keypoints_Precision/mAP ByCategory/person"

# COCOeval.stats in its order. The API's names of precision; its names of recall (AR@1, AR@10, AR@100)
# are those of boxes, and none of what stands there.
_OKS_STATS = (
    OKS_AP,
    "Keypoints_Precision/mAP@.50IOU ByCategory/person",
    "Keypoints_Precision/mAP@.75IOU ByCategory/person",
    "Keypoints_Precision/mAP (medium) ByCategory/person",
    "Keypoints_Precision/mAP (large) ByCategory/person",
    "Keypoints_Recall/AR ByCategory/person",
    "Keypoints_Recall/AR@.50IOU ByCategory/person",
    "Keypoints_Recall/AR@.75IOU ByCategory/person",
    "Keypoints_Recall/AR (medium) ByCategory/person",
    "Keypoints_Recall/AR (large) ByCategory/person",
)


class CorrectKeypoints:
    """The share of joints found within a share of a length of the person's body.

    Takes the persons of a set bit by bit and keeps counters alone. A joint is correct
    where its distance from the truth is at most the threshold times the person's length;
    only labelled joints count.

    Attributes:
        name: of the metric, `PCK` or `PCKh`.
        persons: how many were measured.
        left_out: how many had no length to measure by, or one below `LEAST`.
    """

    def __init__(self, name: str, joints: Sequence[str]) -> None:
        """Begin a set.

        Args:
            name: of the metric, `PCK` or `PCKh`.
            joints: their names.
        """
        self.name, self._joints = name, tuple(joints)
        self._labelled = np.zeros(len(self._joints), np.int64)
        self._correct = np.zeros((len(THRESHOLDS), len(self._joints)), np.int64)
        self.persons = self.left_out = 0

    def add(self, found: Floats, truth: Floats, lengths: Floats) -> None:
        """Take some persons.

        Args:
            found: (N, K, 2) or more columns, x y in pixels; NaN is not found.
            truth: (N, K, 3) x y v.
            lengths: (N,) pixels; NaN where there is none.
        """
        measured = np.asarray(lengths) >= LEAST
        self.persons += int(measured.sum())
        self.left_out += int((~measured).sum())
        truth = np.asarray(truth, np.float64)[measured]
        away = np.linalg.norm(np.asarray(found, np.float64)[measured, :, :2] - truth[..., :2], axis=-1)
        labelled = truth[..., 2] > 0
        share = away / np.asarray(lengths, np.float64)[measured, None]
        self._labelled += labelled.sum(axis=0)
        for row, threshold in enumerate(THRESHOLDS):
            self._correct[row] += ((share <= threshold) & labelled).sum(axis=0)

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Each joint's share at every one of `THRESHOLDS`; joints that were never labelled are absent."""
        return {
            joint: self._correct[:, place] / self._labelled[place]
            for place, joint in enumerate(self._joints)
            if self._labelled[place]
        }

    def mean_curve(self) -> NDArray[np.float64]:
        """The share of all labelled joints of all persons at every one of `THRESHOLDS`; NaN without any."""
        total = int(self._labelled.sum())
        return self._correct.sum(axis=1) / total if total else np.full(len(THRESHOLDS), np.nan)

    def at(self, threshold: float) -> dict[str, float | None]:
        """The metrics at one of `THRESHOLDS`.

        Returns:
            `PCK@0.2` of all labelled joints together (a joint that is labelled more often
            counts more), None where nothing was measured; and `PCK@0.2/JOINT` of each
            joint that was ever labelled.
        """
        row = int(np.abs(THRESHOLDS - threshold).argmin())
        name, mean = f"{self.name}@{threshold:g}", float(self.mean_curve()[row])
        joints = {f"{name}/{joint}": float(curve[row]) for joint, curve in self.curves().items()}
        return {name: None if np.isnan(mean) else mean, **joints}


def lengths_between(truth: Floats, *pairs: tuple[int, int]) -> NDArray[np.float64]:
    """Distances between two joints of each person.

    Args:
        truth: (N, K, 3) x y v.
        pairs: the places of the joints; of several pairs the first that is labelled counts.

    Returns:
        (N,) pixels, NaN where no pair is labelled.
    """
    truth = np.asarray(truth, np.float64)
    lengths = np.full(len(truth), np.nan)
    for pair in pairs:
        first, last = (truth[:, joint] for joint in pair)
        between = np.linalg.norm(first[:, :2] - last[:, :2], axis=-1)
        measured = np.isnan(lengths) & (first[:, 2] > 0) & (last[:, 2] > 0)
        lengths = np.where(measured, between, lengths)
    return lengths


def joint_boxes(truth: Floats) -> NDArray[np.float64]:
    """The box around the labelled joints of each person.

    Args:
        truth: (N, K, 3) x y v.

    Returns:
        (N, 4) xmin ymin xmax ymax, NaN where no joint is labelled.
    """
    truth = np.asarray(truth, np.float64)
    labelled = truth[..., 2:] > 0
    low = np.where(labelled, truth[..., :2], np.inf).min(axis=1)
    high = np.where(labelled, truth[..., :2], -np.inf).max(axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes), boxes, np.nan)


@dataclass(frozen=True)
class MeanPose:
    """What can be found without a look at the image: every joint where it mostly is in the person's box.

    Attributes:
        places: (K, 2) x y as shares of the box; NaN for a joint that was never labelled.
    """

    places: NDArray[np.float64]

    @classmethod
    def of(cls, truth: Floats) -> MeanPose:
        """Learn from persons with their true joints, (N, K, 3) x y v."""
        truth, boxes = np.asarray(truth, np.float64), joint_boxes(truth)
        sides = np.maximum(boxes[:, None, 2:] - boxes[:, None, :2], LEAST)
        places = (truth[..., :2] - boxes[:, None, :2]) / sides
        labelled = truth[..., 2:] > 0
        count = labelled.sum(axis=0)
        total = np.where(labelled, places, 0).sum(axis=0)
        return cls(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))

    def predict(self, boxes_xyxy: Floats) -> NDArray[np.float64]:
        """Find the joints of persons.

        Args:
            boxes_xyxy: (N, 4) as `joint_boxes` gives them.

        Returns:
            (N, K, 2) x y in pixels.
        """
        boxes = np.asarray(boxes_xyxy, np.float64)[:, None]
        places: NDArray[np.float64] = boxes[..., :2] + self.places * (boxes[..., 2:] - boxes[..., :2])
        return places


class ObjectKeypointSimilarity:
    """COCO's AP and AR of keypoints, through pycocotools; keeps all persons until the end."""

    def __init__(self, sigmas: Sequence[float]) -> None:
        """Begin a set.

        Args:
            sigmas: COCO's constant of each joint.
        """
        self._sigmas = np.array(sigmas)
        self._images: dict[str, int] = {}
        self._truths: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []

    def add_truth(self, image: str, joints: Floats, area: float) -> None:
        """Take a true person.

        Args:
            image: any name of the image.
            joints: (K, 3) x y v.
            area: pixels that the person covers.
        """
        annotation = {
            "id": len(self._truths) + 1,
            "area": float(area),
            "bbox": [0, 0, 0, 0],  # looked at where no joint is labelled, and such a person counts nothing
            "iscrowd": 0,
            "num_keypoints": int((joints[:, 2] > 0).sum()),
        }
        self._truths.append(annotation | self._person(image, joints))

    def add_found(self, image: str, joints: Floats, score: float) -> None:
        """Take a person that was found.

        Args:
            image: as for `add_truth`.
            joints: (K, 2) or more columns, x y.
            score: how sure that is; orders the persons of all images.
        """
        visible = np.column_stack((joints[:, :2], np.full(len(joints), 2)))
        self._found.append(self._person(image, visible) | {"score": float(score)})

    def compute(self) -> dict[str, float | None]:
        """COCO's ten figures, 0 to 1; None where there is no truth to find."""
        from pycocotools.cocoeval import COCOeval

        with redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
            truth = self._dataset(self._truths)
            found = truth.loadRes(self._found) if self._found else self._dataset([])
            evaluation = COCOeval(truth, found, "keypoints")
            evaluation.params.kpt_oks_sigmas = self._sigmas
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        figures = (None if value < 0 or np.isnan(value) else float(value) for value in evaluation.stats)
        return dict(zip(_OKS_STATS, figures, strict=True))

    def _person(self, image: str, joints: Floats) -> dict[str, Any]:
        number = self._images.setdefault(image, len(self._images) + 1)
        return {"image_id": number, "category_id": 1, "keypoints": np.asarray(joints, float).ravel().tolist()}

    def _dataset(self, annotations: list[dict[str, Any]]) -> Any:
        from pycocotools.coco import COCO

        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": number} for number in self._images.values()],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": annotations,
        }
        coco.createIndex()
        return coco
