"""Whether two detectors find the same, where the order of near-equal scores is not a difference.

Rounding differs between processors, and so does which of two near-equal scores comes first, and
which of them is cut off. Tensors whose order is no ranking (raw predictions) are compared in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

Outputs = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class _Found:
    """Detections of one image: arrays by their names, a row each; how many rows there was room for."""

    rows: dict[str, NDArray[np.float64]]
    room: int

    @property
    def scores(self) -> NDArray[np.float64]:
        return self.rows["detection_scores"]

    @property
    def classes(self) -> NDArray[np.float64]:
        return self.rows["detection_classes"]

    def cut_offs(self, classes: NDArray[np.float64], least: float, per_class: int | None) -> list[float]:
        """For each of these classes, the score that a row had to exceed to be kept here."""
        whole = self.scores.min() if len(self.scores) == self.room > 0 else -np.inf
        offs = []
        for one in classes:
            own = self.scores[self.classes == one]
            offs.append(max(least, whole, own.min() if per_class and len(own) >= per_class else -np.inf))
        return offs


def assert_same_detections(
    found: Outputs,
    wanted: Outputs,
    box: float,
    score: float,
    *,
    least: float = 0.0,
    per_class: int | None = None,
) -> None:
    """Compare detections as sets.

    Each detection must have a partner of its own on the other side: of the same class, each side of
    the box within `box`, the score within `score`, and so every other `detection_` array that both
    have. Only those that score at most `score` above the other side's cut-off may be without one.

    Args:
        found: arrays by the Object Detection API's names (`detection_boxes`, `detection_scores`,
            `detection_classes`, others with a row a detection), of one image or of a batch. Rows from
            `num_detections` on, where it is there, are padding. Other names are not looked at.
        wanted: the same.
        box: greatest difference of a side, in the boxes' unit.
        score: greatest difference of a score.
        least: the score that was asked for: below it nothing is kept.
        per_class: how many detections of a class are kept. Left out, only the length of the list limits.

    Raises:
        AssertionError: they differ, or nothing scores above the cut-off, so that all would pass.
    """
    for number, (one, other) in enumerate(zip(_images(found), _images(wanted), strict=True)):
        must = []
        for side, across in ((one, other), (other, one)):
            cut_offs = np.asarray(across.cut_offs(side.classes, least, per_class))
            must.append(~(side.scores <= cut_offs + score))  # NaN too
        problems = _without_partner(_close(one, other, box, score), *must)
        if problems:
            told = [f"{what} {_told((one, other)[what == 'wanted'], row)}" for what, row in problems]
            raise AssertionError(f"image {number}: without a partner: " + "; ".join(told))
        if len(other.scores) and not must[1].any():
            raise AssertionError(f"image {number}: no score is more than {score} above the cut-off")


def _images(outputs: Outputs) -> Iterator[_Found]:
    arrays = {name: np.asarray(value) for name, value in outputs.items() if name.startswith("detection_")}
    counts = outputs.get("num_detections")
    if arrays["detection_scores"].ndim == 1:
        arrays = {name: value[None] for name, value in arrays.items()}
        counts = None if counts is None else np.reshape(counts, 1)
    images, room = arrays["detection_scores"].shape
    for image in range(images):
        kept = room if counts is None else int(np.asarray(counts)[image])
        yield _Found({name: value[image][:kept].astype(float) for name, value in arrays.items()}, room)


def _close(found: _Found, wanted: _Found, box: float, score: float) -> NDArray[np.bool_]:
    """(found, wanted): which could be the same detection."""
    close = found.classes[:, None] == wanted.classes[None]
    for name in found.rows.keys() & wanted.rows.keys():
        within = box if name == "detection_boxes" else score
        other = wanted.rows[name]
        for number, row in enumerate(found.rows[name]):
            close[number] &= (np.abs(row - other) <= within).all(axis=tuple(range(1, other.ndim)))
    return close


def _without_partner(
    close: NDArray[np.bool_], must_found: NDArray[np.bool_], must_wanted: NDArray[np.bool_]
) -> list[tuple[str, int]]:
    """Those that must have a partner and have none, in a matching that gives one to as many as can be."""
    gain = close * (must_found[:, None].astype(int) + must_wanted[None])
    rows, columns = linear_sum_assignment(gain, maximize=True)
    paired = close[rows, columns]
    left = [("found", set(np.flatnonzero(must_found)) - set(rows[paired]))]
    left.append(("wanted", set(np.flatnonzero(must_wanted)) - set(columns[paired])))
    return [(what, int(row)) for what, numbers in left for row in sorted(numbers)]


def _told(side: _Found, row: int) -> str:
    box = ", ".join(f"{value:.5g}" for value in side.rows["detection_boxes"][row])
    return f"{row} (class {side.classes[row]:g}, score {side.scores[row]:.6f}, box {box})"
