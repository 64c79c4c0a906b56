"""The peer of benchmarks/segmentation_records.py: the loop that people write, image after image.

Image and mask are opened with Pillow, as the data loader of a training opens them, and encoded
again, JPEG at Pillow's own quality and PNG; an Example at a time goes to tf.io.TFRecordWriter.
With `map` the mask's persons become 1 and all else 0 on the way. With `copy` nothing is encoded
again: the files' bytes are kept, and Pillow tells the size, as DeepLab's own scripts do.

Usage: segmentation_records_peer.py keep|map|copy IMAGES MASKS RECORD
"""

import io
import os
import sys

import numpy as np
import tensorflow as tf
from PIL import Image

PERSON = 1


def int64_feature(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def bytes_feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def encoded(image, form):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def pair(image_path, mask_path, how):
    if how == "copy":
        with open(image_path, "rb") as file:  # noqa: PTH123
            image_bytes = file.read()
        with open(mask_path, "rb") as file:  # noqa: PTH123
            mask_bytes = file.read()
        image, mask = Image.open(io.BytesIO(image_bytes)), Image.open(io.BytesIO(mask_bytes))
        assert image.size == mask.size
        return image.size, image_bytes, mask_bytes
    image, mask = Image.open(image_path).convert("RGB"), Image.open(mask_path)
    assert image.size == mask.size
    if how == "map":
        mask = Image.fromarray((np.array(mask) == PERSON).astype(np.uint8))
    return image.size, encoded(image, "JPEG"), encoded(mask, "PNG")


def main(how, images, masks, record):
    with tf.io.TFRecordWriter(record) as writer:
        for name in sorted(os.listdir(images)):  # noqa: PTH208
            mask = os.path.join(masks, os.path.splitext(name)[0] + ".png")  # noqa: PTH118, PTH122
            size, image_bytes, mask_bytes = pair(os.path.join(images, name), mask, how)  # noqa: PTH118
            features = {
                "image/height": int64_feature(size[1]),
                "image/width": int64_feature(size[0]),
                "image/filename": bytes_feature(name.encode()),
                "image/encoded": bytes_feature(image_bytes),
                "image/format": bytes_feature(b"jpeg"),
                "image/segmentation/class/encoded": bytes_feature(mask_bytes),
                "image/segmentation/class/format": bytes_feature(b"png"),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
