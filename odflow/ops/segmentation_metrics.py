"""How well masks of class numbers agree with the true ones: IoU of each class, their mean, pixel accuracy.

All of it follows from one table that masks add up to, whatever their sizes: `confusion_matrix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odflow.ops.boxes import Floats

IGNORE = 255
"""The number of pixels whose class is not known: they do not count."""

THRESHOLDS: NDArray[np.float64] = np.arange(10, 20) / 20
"""0.5, 0.55 to 0.95: what `thresholded_iou_score` compares with."""

MEAN_IOU = "mIoU"

Integers = NDArray[np.integer[Any]]


def confusion_matrix(truth: Integers, prediction: Integers, num_classes: int) -> NDArray[np.int64]:
    """Count which class is taken for which.

    Args:
        truth: class numbers, any shape; 255 is ignored.
        prediction: class numbers of the same shape; ignored where the truth is.
        num_classes: C; the numbers are 0 to C - 1.

    Returns:
        (C, C) int64, pixels: a row for each true class, a column for each predicted one. The sum
        of several is the matrix of all their masks.

    Raises:
        ValueError: the shapes differ, or a number is none of the classes.

    >>> confusion_matrix(np.array([0, 1, 1, 255]), np.array([0, 0, 1, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}; wanted the same shape")
    counted = truth != IGNORE
    rows, columns = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    for name, found in (("truth", rows), ("prediction", columns)):
        if found.size and not (found.min() >= 0 and found.max() < num_classes):
            raise ValueError(
                f"{name} has numbers {found.min()} to {found.max()}; wanted: 0 to {num_classes - 1}"
            )
    counts = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def class_iou(confusion: Integers) -> NDArray[np.float64]:
    """Of each class the pixels that are and are said to be of it, as a share of those that either holds for.

    Args:
        confusion: (C, C), see `confusion_matrix`.

    Returns:
        (C,) 0 to 1; NaN for a class that the truth has no pixel of. What is wrongly taken for
        it lowers the IoU of the class that is really there.
    """
    correct, true = np.diagonal(confusion), confusion.sum(axis=1)
    either = true + confusion.sum(axis=0) - correct
    return _share(correct, np.where(true > 0, either, 0))


def mean_iou(confusion: Integers) -> float | None:
    """The mean of `class_iou` over the classes that occur, 0 to 1; None if there is none."""
    found = class_iou(confusion)
    there = ~np.isnan(found)
    return float(found[there].mean()) if there.any() else None


def pixel_accuracy(confusion: Integers) -> float | None:
    """The share of pixels whose class is right, 0 to 1; None if there is no pixel."""
    pixels = int(confusion.sum())
    return int(np.trace(confusion)) / pixels if pixels else None


def mask_metrics(confusion: Integers, names: Sequence[str]) -> dict[str, float | None]:
    """All of it by name: `mIoU`, `pixel_accuracy`, and `IoU/NAME` of each class; None where there is none.

    Args:
        confusion: (C, C), see `confusion_matrix`.
        names: of the C classes.
    """
    ious = (None if np.isnan(iou) else float(iou) for iou in class_iou(confusion))
    return {
        MEAN_IOU: mean_iou(confusion),
        "pixel_accuracy": pixel_accuracy(confusion),
        **{f"IoU/{name}": iou for name, iou in zip(names, ious, strict=True)},
    }


def thresholded_iou_score(iou: Floats | float) -> Floats:
    """The share of ten thresholds that an IoU is above.

    The same as clip(20 * (iou - 0.5), 0, 10), rounded up, / 10, but for what rounding makes of
    an IoU that lies on a threshold: 20 * (0.55 - 0.5) is a little more than 1 in floating point.

    Args:
        iou: any shape, 0 to 1, or NaN.

    Returns:
        Of the same shape, 0 to 1 in tenths; NaN where there is no IoU.

    >>> thresholded_iou_score(np.array([0.5, 0.55, 0.56, 0.96])).tolist()
    [0.0, 0.1, 0.2, 1.0]
    """
    found = np.asarray(iou, np.float64)
    above = np.count_nonzero(found[..., np.newaxis] > THRESHOLDS, axis=-1)
    return np.where(np.isnan(found), np.nan, above / len(THRESHOLDS))


def _share(part: Integers, whole: Integers) -> NDArray[np.float64]:
    """Part / whole; NaN where the whole is 0."""
    shares: NDArray[np.float64] = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
