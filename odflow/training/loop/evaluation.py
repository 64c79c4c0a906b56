"""Measure a detector while it is trained, and remember how good it was."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from odflow.errors import InputError
from odflow.formats.label_map import LabelMap
from odflow.formats.labelled_images import LabelledImage, labelled_images_of_records
from odflow.ops.metrics import MAP, CocoMetrics, GroundTruth
from odflow.ops.pixels import to_pixels
from odflow.training.architecture import Architecture
from odflow.training.checkpoints import load_weights

Metrics = dict[str, float | None]
"""Metric by the API's name, 0 to 1; None where there is no ground truth for it."""


class Evaluator:
    """Measures saved weights against records.

    Args:
        kind: of detector.
        records: a file or a folder of records.
        label_map: the classes.
    """

    def __init__(self, kind: Architecture, records: Path, label_map: LabelMap) -> None:
        self._records, self._label_map = records, label_map
        self._network = kind.build()
        self._detect = tf.function(
            partial(kind.detect, self._network),
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
            autograph=False,
        )

    def measure(self, weights: Path) -> Metrics:
        """Detect in every image and compare.

        Args:
            weights: see `checkpoints.find_checkpoint`.

        Raises:
            InputError: a record cannot be used, or none has a box.
        """
        load_weights(self._network, weights)
        coco = CocoMetrics(self._label_map.names)
        for image in labelled_images_of_records(self._records, self._label_map):
            self._take(image, coco)
        if not coco.objects:
            raise InputError(f"{self._records}: the ground truth holds no box; nothing to measure.")
        return coco.compute()

    def _take(self, image: LabelledImage, coco: CocoMetrics) -> None:
        pixels = image.read()
        height, width = pixels.shape[:2]
        found = self._detect(tf.constant(pixels[np.newaxis]))
        count = int(found["num_detections"][0])
        boxes, scores, classes = (
            found[f"detection_{name}"][0, :count].numpy() for name in ("boxes", "scores", "classes")
        )
        truth = to_pixels(image.boxes_yxyx, height=height, width=width)
        coco.add(
            GroundTruth(truth, image.classes, image.is_crowd, image.area),
            to_pixels(boxes, height=height, width=width),
            scores,
            classes.astype(np.int64),
        )


class History:
    """The evaluations of one training, kept in a file.

    Args:
        file: a JSON object, step to metrics; begun when it is not there.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        self._metrics: dict[int, Metrics] = {int(step): found for step, found in json.loads(text).items()}

    def __contains__(self, step: int) -> bool:
        return step in self._metrics

    def add(self, step: int, metrics: Metrics) -> None:
        """Keep an evaluation, in the file whole or not at all."""
        self._metrics[step] = metrics
        text = json.dumps(self._metrics, indent=2, sort_keys=True) + "\n"
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.file)

    @property
    def best(self) -> int | None:
        """The step with the highest mAP, the earliest of equals."""
        return max(sorted(self._metrics), key=self._map, default=None)

    def waited(self, step: int) -> int:
        """Evaluations up to a step that came after the best one."""
        best = self.best or 0
        return sum(best < one <= step for one in self._metrics)

    def metrics(self, step: int) -> Metrics:
        """What was measured at a step."""
        return self._metrics[step]

    def _map(self, step: int) -> float:
        return self._metrics[step][MAP] or 0.0
