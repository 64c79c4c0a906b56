"""The peer of benchmarks/records.py: the usual CSV-to-TFRecord script, as people run it.

pandas groupby and iterrows, Pillow for the size, tf.train.Example, TFRecordWriter; the
first 2,000 images to one file, the others to another, the table read anew for each.

Usage: records_peer.py CSV IMAGES LABEL_NAMES TRAIN_RECORD VALID_RECORD
"""

import io
import os
import sys
from collections import namedtuple

import pandas as pd
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

TRAIN_COUNT = 2000


def int64_list(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def bytes_list(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def float_list(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def split(table, column):
    data = namedtuple("data", ["filename", "object"])
    groups = table.groupby(column)
    return [data(name, groups.get_group(name)) for name in groups.groups]


def create_example(group, folder, class_names):
    with tf.io.gfile.GFile(os.path.join(folder, group.filename), "rb") as file:  # noqa: PTH118
        encoded = file.read()
    width, height = Image.open(io.BytesIO(encoded)).size
    filename = group.filename.encode("utf8")
    xmins, xmaxs, ymins, ymaxs, texts, labels = [], [], [], [], [], []
    for _, row in group.object.iterrows():
        if row["class"] in class_names:
            xmins.append(row["xmin"] / width)
            xmaxs.append(row["xmax"] / width)
            ymins.append(row["ymin"] / height)
            ymaxs.append(row["ymax"] / height)
            texts.append(row["class"].encode("utf8"))
            labels.append(class_names.index(row["class"]))
    if not labels:
        return None
    features = {
        "image/height": int64_list([height]),
        "image/width": int64_list([width]),
        "image/filename": bytes_list([filename]),
        "image/source_id": bytes_list([filename]),
        "image/encoded": bytes_list([encoded]),
        "image/format": bytes_list([b"jpg"]),
        "image/object/bbox/xmin": float_list(xmins),
        "image/object/bbox/xmax": float_list(xmaxs),
        "image/object/bbox/ymin": float_list(ymins),
        "image/object/bbox/ymax": float_list(ymaxs),
        "image/object/class/text": bytes_list(texts),
        "image/object/class/label": int64_list(labels),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def main(table, folder, names, train_record, valid_record):
    with open(names, encoding="utf8") as file:  # noqa: PTH123
        class_names = ["__background__", *file.read().splitlines()]
    sides = ((train_record, range(TRAIN_COUNT)), (valid_record, range(TRAIN_COUNT, sys.maxsize)))
    for record, wanted in sides:
        writer = tf.io.TFRecordWriter(record)
        for index, group in enumerate(tqdm(split(pd.read_csv(table), "filename"))):
            if index in wanted:
                example = create_example(group, folder, class_names)
                if example is not None:
                    writer.write(example.SerializeToString())
        writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
