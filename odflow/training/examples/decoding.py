"""From a serialized tf.train.Example to an image with its objects.

Keys and meanings: object_detection/data_decoders/tf_example_decoder.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from odflow.training.examples.augmentation import Sample
from odflow.training.settings import Reader

SIDES = ("ymin", "xmin", "ymax", "xmax")


class ExampleDecoder:
    """Decodes what a reader asks for."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._features = _features(reader)
        with tf.init_scope():  # else the table would belong to the graph that decodes first
            self._ids = _table(reader.class_ids) if reader.class_ids else None

    def __call__(self, serialized: tf.Tensor) -> Sample:
        """Decode one example.

        Args:
            serialized: scalar string, a tf.train.Example.

        Returns:
            The image and its objects, but for those without coordinates or of unknown classes.
        """
        parsed = tf.io.parse_single_example(serialized, self._features)
        objects = {key.removeprefix("image/object/"): value for key, value in parsed.items()}
        image = decode_image(parsed["image/encoded"])
        boxes = tf.stack([objects[f"bbox/{side}"] for side in SIDES], axis=1)
        classes = self._classes(objects)
        keypoints, visibilities = self._keypoints(objects)
        sample = Sample(
            image,
            boxes,
            classes,
            _or_ones(objects["weight"], tf.shape(classes)),
            self._masks(objects, tf.shape(image)[:2]),
            keypoints,
            visibilities,
        )
        placed = tf.logical_not(tf.reduce_any(tf.math.is_nan(boxes), 1))
        return sample.take(tf.where(placed & (classes > 0))[:, 0])

    def _classes(self, objects: dict[str, tf.Tensor]) -> tf.Tensor:
        """Ids of the texts, the label where a text is empty, -1 for an unknown one; see `object_classes`."""
        labels, ids = objects["class/label"], self._ids
        if ids is None:
            return labels
        texts = objects["class/text"]
        same = tf.size(texts) == tf.size(labels)
        spare = tf.cond(same, lambda: labels, lambda: -tf.ones_like(texts, tf.int64))
        named = lambda: tf.where(tf.equal(texts, ""), spare, ids.lookup(texts))  # noqa: E731
        return tf.cond(tf.size(texts) > 0, named, lambda: labels)

    def _masks(self, objects: dict[str, tf.Tensor], shape: tf.Tensor) -> tf.Tensor | None:
        """(N, height, width) uint8, 0 or 1."""
        if not self._reader.masks:
            return None
        masks = objects["mask"]
        if self._reader.masks == "png":
            masks = tf.cond(
                tf.size(masks) > 0, lambda: _decode_masks(masks), lambda: tf.zeros([0, 0, 0], tf.uint8)
            )
        masks = tf.reshape(masks, tf.concat([tf.shape(objects["bbox/ymin"]), shape], 0))
        return tf.cast(masks > 0, tf.uint8)

    def _keypoints(self, objects: dict[str, tf.Tensor]) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """(N, K, 2) float32 with NaN for what is not labelled, and (N, K) bool."""
        count = self._reader.keypoints
        if not count:
            return None, None
        points = tf.stack([objects["keypoint/y"], objects["keypoint/x"]], axis=1)
        points = tf.reshape(points, [-1, count, 2])
        states = _or_ones(objects["keypoint/visibility"], tf.shape(objects["keypoint/x"]))
        states = tf.reshape(states, [-1, count])
        labelled = (states == 1) | (states == 2)  # 1 is hidden, 2 is seen
        return tf.where(labelled[..., tf.newaxis], points, float("nan")), labelled


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG, PNG, GIF or BMP.

    Args:
        encoded: scalar string.

    Returns:
        (height, width, 3) uint8: the pixels that Pillow reads, and so those that `detect` sees.
    """
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _decode_masks(encoded: tf.Tensor) -> tf.Tensor:
    def decode(mask: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_png(mask, channels=1)[..., 0]

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.uint8))


def _or_ones(values: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.size(values) > 0, lambda: values, lambda: tf.ones(shape, values.dtype))


def _features(reader: Reader) -> dict[str, tf.io.FixedLenFeature | tf.io.FixedLenSequenceFeature]:
    def many(kind: tf.DType) -> tf.io.FixedLenSequenceFeature:
        return tf.io.FixedLenSequenceFeature([], kind, allow_missing=True)

    objects = {
        "class/label": many(tf.int64),
        "weight": many(tf.float32),
        **{f"bbox/{side}": many(tf.float32) for side in SIDES},
    }
    if reader.class_ids:
        objects["class/text"] = many(tf.string)
    if reader.masks:
        objects["mask"] = many(tf.string if reader.masks == "png" else tf.float32)
    if reader.keypoints:
        objects |= {"keypoint/x": many(tf.float32), "keypoint/y": many(tf.float32)}
        objects["keypoint/visibility"] = many(tf.int64)
    return {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        **{f"image/object/{key}": feature for key, feature in objects.items()},
    }


def _table(ids: Mapping[str, int]) -> tf.lookup.StaticHashTable:
    names = tf.lookup.KeyValueTensorInitializer(list(ids), list(ids.values()), tf.string, tf.int64)
    return tf.lookup.StaticHashTable(names, default_value=-1)
