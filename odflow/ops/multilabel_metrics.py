"""How well scores tell which classes an image shows, where it may show several of them or none.

Truth is (N, C) bool and scores (N, C) float: an image a row, a class a column. What cannot be
told of a class, because no image shows it, is None, and is not part of a mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
Metrics = dict[str, float | None]

MAP = "mAP"
F1 = "F1"


class PrecisionRecall(NamedTuple):
    """What becomes right and what is found as the threshold falls.

    Attributes:
        precision: (T,) float64, of the images that score at least the threshold, the share that show
            the class.
        recall: (T,) float64, of the images that show the class, the share that score so much; rising.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def precision_recall(truth: Truth, scores: Scores) -> PrecisionRecall:
    """Precision and recall of one class at each score that an image has, the highest first.

    Args:
        truth: (N,) bool, at least one of them true.
        scores: (N,) finite.
    """
    order = np.argsort(-scores, kind="stable")
    # Images of one score are over the threshold together, whatever their order.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(truth[order])[last]
    return PrecisionRecall(right / (last + 1), right / truth.sum())


def average_precision(truth: Truth, scores: Scores) -> float | None:
    """The mean precision over recall: each rise of recall times the precision there, nothing interpolated.

    Args:
        truth: (N,) bool.
        scores: (N,) finite.

    Returns:
        0 to 1; of scores that say nothing about the share of images that show the class. None where
        no image shows it.
    """
    if not truth.any():
        return None
    precision, recall = precision_recall(truth, scores)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def ranking_metrics(truth: Truth, scores: Scores, classes: Sequence[str]) -> Metrics:
    """`AP/CLASS` of each class, see `average_precision`, and `mAP`, their mean."""
    values = [average_precision(*columns) for columns in zip(truth.T, scores.T, strict=True)]
    return _with_mean(MAP, "AP", values, classes)


class Confusion(NamedTuple):
    """Images by what is said of one class and what is so."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where no image shows the class."""
        if not self.true_positives + self.false_negatives:
            return None
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / (2 * self.true_positives + wrong)


def confusions(truth: Truth, scores: Scores, threshold: float) -> Iterator[Confusion]:
    """Of each class; it is said to be visible where its score is the threshold or more."""
    said = scores >= threshold
    for is_so, says in zip(truth.T, said.T, strict=True):
        counts = (is_so & says, ~is_so & says, is_so & ~says, ~is_so & ~says)
        yield Confusion(*(int(count.sum()) for count in counts))


def decision_metrics(truth: Truth, scores: Scores, classes: Sequence[str], threshold: float) -> Metrics:
    """`F1`, `F1/CLASS` and the counts of each `Confusion`, such as `true_positives/CLASS`."""
    found = list(confusions(truth, scores, threshold))
    metrics = _with_mean(F1, F1, [one.f1 for one in found], classes)
    for name, one in zip(classes, found, strict=True):
        metrics |= {f"{count}/{name}": number for count, number in one._asdict().items()}
    return metrics


def _with_mean(whole: str, each: str, values: Sequence[float | None], classes: Sequence[str]) -> Metrics:
    there = [value for value in values if value is not None]
    mean = {whole: float(np.mean(there)) if there else None}
    return mean | {f"{each}/{name}": value for name, value in zip(classes, values, strict=True)}
