"""COCO's detection metrics under the Object Detection API's names, through pycocotools."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.ops.coco_matches import CocoMatches

_FEW = 16  # images

_PRECISION = "DetectionBoxes_Precision"
_RECALL = "DetectionBoxes_Recall"
_CATEGORY = "DetectionBoxes_PerformanceByCategory"

MAP = f"{_PRECISION}/mAP"
AP50 = f"{_PRECISION}/mAP@.50IOU"
AR100 = f"{_RECALL}/AR@100"

# COCOeval.stats in its order
_STATS = (
    MAP,
    AP50,
    f"{_PRECISION}/mAP@.75IOU",
    f"{_PRECISION}/mAP (small)",
    f"{_PRECISION}/mAP (medium)",
    f"{_PRECISION}/mAP (large)",
    f"{_RECALL}/AR@1",
    f"{_RECALL}/AR@10",
    AR100,
    f"{_RECALL}/AR@100 (small)",
    f"{_RECALL}/AR@100 (medium)",
    f"{_RECALL}/AR@100 (large)",
)


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The N objects of one image.

    Attributes:
        boxes_yxyx: (N, 4), ymin xmin ymax xmax, pixels.
        classes: (N,) ids.
        is_crowd: (N,) bool: a region of many objects, which counts neither as found nor as missed.
        area: (N,) pixels, which tell small, medium and large; the boxes' own where None.
    """

    boxes_yxyx: NDArray[np.floating[Any]]
    classes: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]
    area: NDArray[np.floating[Any]] | None = None


class CocoMetrics:
    """Takes the images of a set one by one, then tells the metrics over all of them.

    Attributes:
        images: how many it took.
        objects: how many objects the ground truth holds, crowds not counted.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        """Begin a set.

        Args:
            names: every class's name by its id; detections of other ids do not count.
        """
        self._names = dict(names)
        self.images = 0
        self.objects = 0
        self._matches = CocoMatches(list(self._names))
        self._begin()

    def _begin(self) -> None:
        """Begin the next few images: pycocotools sees so many at once, since it takes 2 KB a detection."""
        self._few = 0
        self._truths: list[dict[str, Any]] = []
        self._found: list[NDArray[np.float64]] = []
        self._score: type[np.floating[Any]] = np.float32

    def add(
        self,
        truth: GroundTruth,
        boxes_yxyx: NDArray[np.floating[Any]],
        scores: NDArray[np.floating[Any]],
        classes: NDArray[np.int64],
    ) -> None:
        """Take one image.

        Args:
            truth: what is in it; nothing is fine.
            boxes_yxyx: (M, 4) detections, ymin xmin ymax xmax, pixels, not rounded.
            scores: (M,).
            classes: (M,) ids.
        """
        self.images += 1
        self._few += 1
        self.objects += int(np.count_nonzero(~np.asarray(truth.is_crowd, np.bool_)))
        boxes = _xywh(truth.boxes_yxyx)
        areas = boxes[:, 2] * boxes[:, 3] if truth.area is None else truth.area
        for box, area, class_id, crowd in zip(boxes, areas, truth.classes, truth.is_crowd, strict=True):
            self._truths.append(
                {
                    "id": len(self._truths) + 1,
                    "image_id": self._few,
                    "category_id": int(class_id),
                    "bbox": box.tolist(),
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
        image = np.full(len(scores), self._few)
        self._found.append(np.column_stack((image, _xywh(boxes_yxyx), scores, classes)))
        if scores.dtype != np.float32:
            self._score = np.float64
        if self._few == _FEW:
            self._match()

    def compute(self) -> dict[str, float | None]:
        """Compute the metrics.

        Returns:
            The twelve COCO figures, then `DetectionBoxes_PerformanceByCategory/mAP/NAME` and
            `.../mAP@.50IOU/NAME` of every class, each 0 to 1; None where there is no ground
            truth to find.
        """
        if self._few:
            self._match()
        evaluation = self._matches.evaluation()
        metrics = dict(zip(_STATS, map(_figure, evaluation.stats), strict=True))
        # precision: IoU thresholds, recalls, classes, areas (0: all), detections an image (2: 100)
        precision = evaluation.eval["precision"][:, :, :, 0, 2]
        half = int(np.argmin(np.abs(evaluation.params.iouThrs - 0.5)))
        for index, class_id in enumerate(evaluation.params.catIds):
            name = self._names[class_id]
            metrics[f"{_CATEGORY}/mAP/{name}"] = _mean(precision[:, :, index])
            metrics[f"{_CATEGORY}/mAP@.50IOU/{name}"] = _mean(precision[half, :, index])
        return metrics

    def _match(self) -> None:
        """Match the detections of the last few images to their objects."""
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        with redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
            truth = COCO()
            truth.dataset = {
                "info": {},
                "images": [{"id": image} for image in range(1, self._few + 1)],
                "categories": [{"id": class_id, "name": name} for class_id, name in self._names.items()],
                "annotations": self._truths,
            }
            truth.createIndex()
            evaluation = COCOeval(truth, self._results(truth), "bbox")
            evaluation.evaluate()
        self._matches.add(evaluation, self._score)
        self._begin()

    def _results(self, truth: Any) -> Any:
        from pycocotools.coco import COCO

        found = np.concatenate(self._found) if self._found else np.empty((0, 7))
        if len(found):
            return truth.loadRes(found)
        nothing = COCO()  # loadRes takes no empty list
        nothing.dataset = truth.dataset | {"annotations": []}
        nothing.createIndex()
        return nothing


def class_ap50(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Take each class's AP50 out of the metrics, of the classes that have ground truth."""
    prefix = f"{_CATEGORY}/mAP@.50IOU/"
    return {
        key.removeprefix(prefix): value
        for key, value in metrics.items()
        if key.startswith(prefix) and value is not None
    }


def _xywh(boxes_yxyx: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    ymin, xmin, ymax, xmax = np.asarray(boxes_yxyx, np.float64).reshape(-1, 4).T
    return np.column_stack((xmin, ymin, xmax - xmin, ymax - ymin))


def _mean(precision: NDArray[np.float64]) -> float | None:
    """COCO marks with -1 what has no ground truth."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _figure(value: float) -> float | None:
    return None if value < 0 or np.isnan(value) else float(value)
