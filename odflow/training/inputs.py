"""From records of the Object Detection API to batches of training targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from odflow.training.architecture import Architecture, Tensors
from odflow.training.augmentation import Sample, augment

BOX = ("ymin", "xmin", "ymax", "xmax")

FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/object/class/label": tf.io.VarLenFeature(tf.int64),
    "image/object/is_crowd": tf.io.VarLenFeature(tf.int64),
    **{f"image/object/bbox/{side}": tf.io.VarLenFeature(tf.float32) for side in BOX},
}


def training_batches(files: Sequence[str], kind: Architecture, seed: int) -> tf.data.Dataset:
    """Read records for ever, shuffled and augmented.

    Args:
        files: the TFRecord files.
        kind: of detector; turns samples into targets.
        seed: of the order and of the augmentations.

    Returns:
        Batches of what `Architecture.targets` gives.
    """
    training = kind.settings.training

    def prepare(serialized: tf.Tensor) -> tuple[Any, Tensors]:
        sample = augment(decode(serialized, training.max_boxes), training.augmentations)
        return kind.targets(sample)

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
