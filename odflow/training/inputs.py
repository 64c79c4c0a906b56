"""From records of the Object Detection API to batches of training targets."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from official.vision.ops import anchor, box_matcher

from odflow.training.augmentation import Sample, augment
from odflow.training.preprocessing import preprocess
from odflow.training.settings import Matching, Settings

BOX = ("ymin", "xmin", "ymax", "xmax")

FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/object/class/label": tf.io.VarLenFeature(tf.int64),
    "image/object/is_crowd": tf.io.VarLenFeature(tf.int64),
    **{f"image/object/bbox/{side}": tf.io.VarLenFeature(tf.float32) for side in BOX},
}


def training_batches(files: Sequence[str], settings: Settings, seed: int) -> tf.data.Dataset:
    """Read records for ever, shuffled, augmented and matched with anchors.

    Args:
        files: the TFRecord files.
        settings: what is trained.
        seed: of the order and of the augmentations.

    Returns:
        Batches of (inputs, targets): inputs (N, H, W, 3) float32; targets `classes`
        (N, anchors) int64, -1 where no box is; `encodings` (N, anchors, 4);
        `class_weights` and `box_weights` (N, anchors).
    """
    training = settings.training
    targets = Targets(settings)

    def prepare(serialized: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        sample = augment(decode(serialized, training.max_boxes), training.augmentations)
        return targets(sample)

    dataset = tf.data.TFRecordDataset(list(files))
    dataset = dataset.shuffle(training.shuffle_buffer, seed=seed).repeat()
    dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(training.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def decode(serialized: tf.Tensor, max_boxes: int) -> Sample:
    """Read one Example.

    Args:
        serialized: scalar string, a tf.train.Example.
        max_boxes: boxes beyond this many are left out.

    Returns:
        The image and its boxes, without crowds.
    """
    parsed = tf.io.parse_single_example(serialized, FEATURES)
    image = _decode_image(parsed["image/encoded"])
    boxes = tf.stack([tf.sparse.to_dense(parsed[f"image/object/bbox/{side}"]) for side in BOX], axis=1)
    classes = tf.sparse.to_dense(parsed["image/object/class/label"])
    crowd = tf.sparse.to_dense(parsed["image/object/is_crowd"])
    crowd = tf.cond(tf.size(crowd) > 0, lambda: crowd, lambda: tf.zeros_like(classes))
    kept = tf.where(crowd == 0)[:max_boxes, 0]
    return Sample(tf.cast(image, tf.float32), tf.gather(boxes, kept), tf.gather(classes, kept))


def _decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """(height, width, 3) uint8: the pixels that Pillow reads, and so those that `detect` sees."""
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    return tf.ensure_shape(image, [None, None, 3])


class Targets:
    """Turns a sample into what the network is to answer."""

    def __init__(self, settings: Settings) -> None:
        self._model = settings.model
        resizer = settings.model.resizer
        self._anchors = settings.model.anchors.boxes(resizer.height, resizer.width)
        self._labeler = _labeler(settings.training.matching)

    def __call__(self, sample: Sample) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Preprocess the image and match its boxes with the anchors."""
        tf.debugging.assert_less_equal(
            sample.classes,
            tf.constant(self._model.num_classes, tf.int64),
            f"a record has a class id above num_classes, {self._model.num_classes}: other label map?",
        )
        inputs, shape = preprocess(sample.image[tf.newaxis], self._model)
        boxes = sample.boxes_yxyx * tf.concat([shape, shape], 0)
        # One "level" whose map is a column of all anchors: the labeler splits by shape.
        levels = {"all": tf.constant(self._anchors)[:, tf.newaxis]}
        classes, encodings, _, class_weights, box_weights = self._labeler.label_anchors(
            levels, boxes, sample.classes[:, tf.newaxis]
        )
        return inputs[0], {
            "classes": tf.reshape(classes["all"], [-1]),
            "encodings": tf.reshape(encodings["all"], [-1, 4]),
            "class_weights": tf.reshape(class_weights, [-1]),
            "box_weights": tf.reshape(box_weights, [-1]),
        }


def _labeler(matching: Matching) -> anchor.AnchorLabeler:
    labeler = anchor.AnchorLabeler(
        match_threshold=matching.matched,
        unmatched_threshold=matching.unmatched,
        box_coder_weights=list(matching.box_scales),
    )
    labeler.matcher = box_matcher.BoxMatcher(
        thresholds=[matching.unmatched, matching.matched],
        indicators=[-1, -2, 1],
        force_match_for_each_col=matching.force_match,
    )
    return labeler
