"""What all detectors have in common: how they read an example, and how they are measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import tensorflow as tf
import tf_keras

from odflow.errors import InputError
from odflow.formats.label_map import LabelMap
from odflow.formats.labelled_images import LabelledImage, labelled_images_of_records
from odflow.formats.tfrecord import Records, records_place
from odflow.ops.metrics import AP50, MAP, CocoMetrics, GroundTruth
from odflow.ops.pixels import to_pixels
from odflow.training.architecture import Architecture, Goal, Metrics, Tensors
from odflow.training.checkpoints import load_weights
from odflow.training.examples.augmentation import Sample, augment
from odflow.training.examples.decoding import ExampleDecoder
from odflow.training.settings import DetectorSettings


class DetectorArchitecture(Architecture, Protocol):
    """A kind of detector; `example` and `evaluator` are the same for all."""

    settings: DetectorSettings
    targets: Callable[[Sample], tuple[Any, Tensors]]
    """From an augmented image and its objects to inputs and labels, as `example` gives them."""

    goal: Goal = Goal({"mAP": MAP, "AP50": AP50})

    reproducible: float = 0.95
    """Share of the detections that another order of the same operations surely leaves as they are."""

    def detect(self, network: tf_keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detect in images of one size: preprocessing, network, post-processing.

        Args:
            network: from `build`.
            images: (N, height, width, 3) uint8 RGB, any size.

        Returns:
            detection_boxes (N, M, 4) float32, ymin xmin ymax xmax of the image's
            height and width; detection_scores (N, M); detection_classes (N, M)
            float32, ids of the label map; num_detections (N,) float32. More where
            the architecture has more (masks, keypoints).
        """

    def example(self, serialized: tf.Tensor, draw: tf.Tensor) -> tuple[Any, Tensors]:
        """Decode, augment, and make targets; see `Architecture.example`."""
        training = self.settings.training
        sample = augment(self._decode_example(serialized), training.augmentations, draw)
        return self.targets(sample.take(tf.range(tf.minimum(len(sample.classes), training.reader.max_boxes))))

    def evaluator(self, records: Records, label_map: LabelMap | None) -> DetectionEvaluator:
        """What measures the detector against records, as COCO does."""
        assert label_map is not None
        return DetectionEvaluator(self, records, label_map)

    @cached_property
    def _decode_example(self) -> ExampleDecoder:
        return ExampleDecoder(self.settings.training.reader)


def detector_architecture(settings: DetectorSettings) -> DetectorArchitecture:
    """The kind of detector that the settings are for."""
    return cast(DetectorArchitecture, settings.model.architecture(settings))


class DetectionEvaluator:
    """Measures saved weights of a detector against records.

    Args:
        kind: of detector.
        records: what to measure on. Objects of unknown classes do not count, as in training.
        label_map: the classes.
    """

    def __init__(self, kind: DetectorArchitecture, records: Records, label_map: LabelMap) -> None:
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

        Returns:
            Metrics by the API's names, 0 to 1.

        Raises:
            InputError: a record cannot be used, or none has a box.
        """
        load_weights(self._network, weights)
        coco = CocoMetrics(self._label_map.names)
        for image in labelled_images_of_records(self._records, self._label_map, drop_unknown=True):
            self._take(image, coco)
        if not coco.objects:
            raise InputError(
                f"{records_place(self._records)}: the ground truth holds no box; nothing to measure."
            )
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
