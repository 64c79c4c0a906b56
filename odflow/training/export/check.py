"""Whether an exported file detects what the checkpoint detects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from odflow.errors import StageError
from odflow.inference.detections import Detections
from odflow.inference.detector import load_detector
from odflow.odapi import tensor_names
from odflow.ops.boxes import iou
from odflow.ops.pixels import to_pixels
from odflow.training.export.graphs import Detector

Image = NDArray[np.uint8]

TIE = 1e-3
"""A detection that scores so little more than the last of a full list may have fallen off it."""


@dataclass(frozen=True)
class Closeness:
    """What counts as the same detection, and how many must be.

    Attributes:
        score: greatest difference of the scores.
        pixels: greatest difference of the boxes' sides.
        overlap: least IoU of the boxes.
        share: of the detections that must be the same.
        least: detections that score less than this share of their image's best are not looked at.
    """

    score: float
    pixels: float
    overlap: float
    share: float
    least: float


EXACT = Closeness(score=1e-4, pixels=0.5, overlap=0.0, share=0.95, least=0.0)
"""For files that compute in float32. A few may differ: of two boxes whose scores differ by
rounding alone, either may suppress the other."""

QUANTIZED = Closeness(score=0.2, pixels=np.inf, overlap=0.5, share=0.7, least=0.5)
"""For int8. A file that was quantised well has nearly all; one with wrong ranges next to none."""


@dataclass(frozen=True)
class Agreement:
    """How an exported file compares.

    Attributes:
        images: how many were looked at.
        detections: of the checkpoint or of the file, whichever has more.
        same: detections of the checkpoint that the file has.
        score: greatest difference of a score among the same.
        pixels: greatest difference of a side among the same.
    """

    images: int
    detections: int
    same: int
    score: float
    pixels: float

    def suffices(self, closeness: Closeness) -> bool:
        """Whether as many detections are the same as must be."""
        return self.same >= closeness.share * self.detections

    def shortfall(self, closeness: Closeness) -> str:
        """A sentence: how many are the same, and how many must be."""
        return (
            f"{self.same} of {self.detections} detections in {self.images} images agree, and "
            f"{closeness.share:.0%} must (scores within {closeness.score:g}, {_wanted_boxes(closeness)})."
        )

    def summary(self) -> str:
        """One line."""
        if not self.detections:
            return f"detects nothing in {self.images} images, as the checkpoint"
        return (
            f"{self.same} of {self.detections} detections in {self.images} images are the checkpoint's, "
            f"scores within {self.score:.2g}, boxes within {self.pixels:.2g} pixels"
        )


@dataclass(frozen=True)
class Expected:
    """What the checkpoint detects in an image.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        found: its detections.
        full: the list of detections has no room left.
    """

    image: Image
    found: Detections
    full: bool


def expect(detector: Detector, images: Iterable[Image]) -> list[Expected]:
    """Detect with the checkpoint's own network, in images of any size."""
    expected = []
    for image in images:
        outputs = detector.detect(tf.constant(image[np.newaxis]))
        boxes, scores, classes, count = (outputs[name][0].numpy() for name in tensor_names.OUTPUTS)
        number = int(count)
        found = Detections.by_score(boxes[:number], scores[:number], classes[:number])
        expected.append(Expected(image, found, number == len(scores)))
    return expected


def check(model: Path, expected: Sequence[Expected], closeness: Closeness) -> Agreement:
    """Load an exported file again, and compare what it detects.

    Args:
        model: as `load_detector` takes it.
        expected: from `expect`.
        closeness: what is the same.

    Returns:
        How it compares.

    Raises:
        StageError: it detects something else.
    """
    agreement = compare(model, expected, closeness)
    if not agreement.suffices(closeness):
        raise StageError(
            f"{model.name}: does not detect what the checkpoint does: {agreement.shortfall(closeness)}"
        )
    return agreement


def compare(model: Path, expected: Sequence[Expected], closeness: Closeness) -> Agreement:
    """How an exported file's detections compare; arguments as in `check`."""
    detector = load_detector(model)
    found = [_compare(one, detector.detect(one.image), closeness) for one in expected]
    return Agreement(
        images=len(found),
        detections=sum(one.detections for one in found),
        same=sum(one.same for one in found),
        score=max((one.score for one in found), default=0.0),
        pixels=max((one.pixels for one in found), default=0.0),
    )


def _wanted_boxes(closeness: Closeness) -> str:
    if np.isfinite(closeness.pixels):
        return f"boxes within {closeness.pixels:g} pixels"
    return f"IoU at least {closeness.overlap:g}"


def _compare(expected: Expected, given: Detections, closeness: Closeness) -> Agreement:
    wanted = expected.found
    best, last = (wanted.scores[0], wanted.scores[-1]) if len(wanted.scores) else (0.0, 0.0)
    floor = max(closeness.least * best, last + TIE if expected.full else 0.0)
    if len(wanted.scores) and not (wanted.scores > floor).any():
        return _compare_scores(wanted, given, closeness)
    height, width = expected.image.shape[:2]
    looked, extra = wanted.best(floor), given.best(floor + 2 * closeness.score)
    boxes = to_pixels(looked.boxes_yxyx, height=height, width=width)
    others = to_pixels(given.boxes_yxyx, height=height, width=width)
    scores = np.abs(looked.scores[:, None] - given.scores[None, :])
    pixels = np.abs(boxes[:, None] - others[None, :]).max(axis=2, initial=0.0)
    close = (
        (looked.classes[:, None] == given.classes[None, :])
        & (scores <= closeness.score)
        & (pixels <= closeness.pixels)
        & (iou(boxes, others) >= closeness.overlap)
    )
    distance = np.where(close, pixels, np.inf)
    rows = np.flatnonzero(close.any(axis=1))
    partner = distance[rows].argmin(axis=1) if len(rows) else rows
    return Agreement(
        images=1,
        detections=max(len(looked.scores), len(extra.scores)),
        same=len(rows),
        score=float(scores[rows, partner].max(initial=0.0)),
        pixels=float(pixels[rows, partner].max(initial=0.0)),
    )


def _compare_scores(wanted: Detections, given: Detections, closeness: Closeness) -> Agreement:
    """Where nothing stands out (a network that has learnt nothing), boxes are drawn by lot."""
    number = min(len(wanted.scores), len(given.scores))
    difference = np.abs(wanted.scores[:number] - given.scores[:number])
    return Agreement(
        images=1,
        detections=max(len(wanted.scores), len(given.scores)),
        same=int((difference <= closeness.score).sum()),
        score=float(difference.max(initial=0.0)),
        pixels=0.0,
    )
