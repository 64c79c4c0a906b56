"""COCO's matching of detections to objects, kept compactly: a few bytes a detection."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class CocoMatches:
    """What pycocotools matched in images that it saw a few at a time, and the curves over all of them.

    pycocotools' own `accumulate` needs every image's `evalImgs`, which take about 2 KB a detection.
    Here a detection takes its score, class, rank in its image, and two bits for each of 4 ranges of
    area and 10 overlaps: whether it counts as right, and whether as wrong (neither: as ignored).
    """

    def __init__(self, class_ids: Sequence[int]) -> None:
        """Begin a set.

        Args:
            class_ids: every class there is.
        """
        from pycocotools.cocoeval import Params

        self._params = Params(iouType="bbox")
        self._params.catIds = sorted(class_ids)
        self._class = np.min_scalar_type(len(class_ids))
        self._bits = len(self._params.areaRng) * len(self._params.iouThrs)
        self._parts: list[NDArray[Any]] = []
        self._objects = np.zeros((len(class_ids), len(self._params.areaRng)), np.int64)

    def add(self, evaluation: Any, score: type[np.floating[Any]]) -> None:
        """Take what was matched in some images.

        Args:
            evaluation: a COCOeval of all classes, evaluated.
            score: a type that holds the scores as they are.
        """
        kind = np.dtype(
            [("score", score), ("class", self._class), ("rank", "u1"), ("bits", "u1", self._bits // 4)]
        )
        parts = [np.zeros(0, kind)]
        for index, one in self._matched(evaluation):
            scores = one[0]["dtScores"]
            right = np.array([area["dtMatches"] != 0 for area in one])
            counts = ~np.array([area["dtIgnore"] for area in one], np.bool_)
            part = np.zeros(len(scores), kind)
            part["score"], part["class"], part["rank"] = scores, index, np.arange(len(scores))
            part["bits"] = _packed(np.stack((right & counts, ~right & counts)))
            parts.append(part)
            self._objects[index] += [np.count_nonzero(area["gtIgnore"] == 0) for area in one]
        self._parts.append(np.concatenate(parts))

    def evaluation(self) -> Any:
        """A COCOeval of all images: its `eval` and `stats` are those of COCOeval over the whole set.

        Of precision, that at the most detections an image alone is there.
        """
        from pycocotools.cocoeval import COCOeval

        params = self._params
        sizes = [len(params.catIds), len(params.areaRng), len(params.maxDets)]
        precision = np.full((len(params.iouThrs), len(params.recThrs), *sizes), -1.0)
        recall = np.full((len(params.iouThrs), *sizes), -1.0)
        for index in range(len(params.catIds)):
            self._measure(index, precision[:, :, index, :, -1], recall[:, index])
        whole = COCOeval(iouType="bbox")
        whole.params, whole.eval = params, {"precision": precision, "recall": recall}
        with redirect_stdout(io.StringIO()):
            whole.summarize()
        return whole

    def _matched(self, evaluation: Any) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """What `evaluateImg` gave for each class and image that has anything: the ranges of area."""
        areas, images = len(self._params.areaRng), len(evaluation.params.imgIds)
        for index in range(len(self._params.catIds)):
            for image in range(images):
                first = index * areas * images + image
                one = [evaluation.evalImgs[first + area * images] for area in range(areas)]
                if one[0] is not None:
                    yield index, one

    def _measure(self, index: int, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> None:
        """Fill the curves of a class: (overlaps, recalls, areas), and recalls (overlaps, areas, most)."""
        if not self._objects[index].any():
            return
        rows = [part["class"] == index for part in self._parts]

        def column(name: str) -> NDArray[Any]:
            return np.concatenate([part[name][one] for part, one in zip(self._parts, rows, strict=True)])

        # The order of COCOeval, with the memory of the scores free again before there are bits
        order = np.argsort(-column("score"), kind="stable").astype(np.int32)
        ranks, bits = column("rank"), column("bits")
        for area, overlap in np.ndindex(recall.shape[1], recall.shape[0]):
            objects = int(self._objects[index, area])
            if not objects:
                continue
            bit = area * recall.shape[0] + overlap
            right, wrong = _bit(bits, bit), _bit(bits, self._bits + bit)
            for most, limit in enumerate(self._params.maxDets):
                recall[overlap, area, most] = np.count_nonzero(right & (ranks < limit)) / objects
            precision[overlap, :, area] = _precision(
                right[order], wrong[order], objects, self._params.recThrs
            )


def _precision(
    right: NDArray[np.bool_], wrong: NDArray[np.bool_], objects: int, recalls: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The best precision at each recall or above, of detections from the highest score down.

    Precision rises at right detections alone, so that the others need not be looked at.
    """
    (at,) = right.nonzero()
    true = np.arange(1, len(at) + 1, dtype=np.float64)
    false = np.cumsum(wrong, dtype=np.int32)[at]
    precision = true / (false + true + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(best, 0.0)[np.searchsorted(true / objects, recalls, side="left")]


def _packed(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(kinds, areas, overlaps, N) to (N, bytes)."""
    return np.packbits(flags.reshape(prod(flags.shape[:-1]), flags.shape[-1]), axis=0).T


def _bit(packed: NDArray[np.uint8], bit: int) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = (packed[:, bit // 8] & (128 >> bit % 8)).astype(np.bool_)
    return flags
