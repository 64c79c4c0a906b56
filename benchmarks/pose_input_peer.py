"""The usual way to feed a pose network: a loop over joints, and in it one over the cells of a patch.

A plain re-statement, in TensorFlow and for `tf.data`, of what hourglass trainings on MPII are
commonly written like: decode the whole image, cut by slicing, resize, and for each joint write a
7x7 Gaussian cell by cell.
"""

import tensorflow as tf

SIZE, CELLS, JOINTS, SIGMA, PEAK = 256, 64, 16, 1, 12.0

FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/height": tf.io.FixedLenFeature([], tf.int64),
    "image/width": tf.io.FixedLenFeature([], tf.int64),
    "image/object/scale": tf.io.FixedLenFeature([], tf.float32),
    "image/object/keypoint/x": tf.io.VarLenFeature(tf.float32),
    "image/object/keypoint/y": tf.io.VarLenFeature(tf.float32),
    "image/object/keypoint/visibility": tf.io.VarLenFeature(tf.int64),
}


def example(serialized):
    """From a record to an image and its heatmaps."""
    features = tf.io.parse_single_example(serialized, FEATURES)
    image = tf.io.decode_jpeg(features["image/encoded"])
    margin = tf.random.uniform([], 0.1, 0.3)
    image, x, y = crop(image, features, margin)
    image = tf.cast(tf.image.resize(image, (SIZE, SIZE)), tf.float32) / 127.5 - 1
    visible = tf.cast(tf.sparse.to_dense(features["image/object/keypoint/visibility"]), tf.float32)
    cells = [tf.cast(tf.math.round(share * CELLS), tf.int32) for share in (x, y)]
    return image, heatmaps(*cells, visible)


def crop(image, features, margin):
    """The box around the joints with its margin, inside the image; joints as shares of it."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    x, y = (
        tf.cast(
            tf.sparse.to_dense(features[f"image/object/keypoint/{axis}"]) * tf.cast(side, tf.float32),
            tf.int32,
        )
        for axis, side in (("x", width), ("y", height))
    )
    room = tf.cast(features["image/object/scale"] * 200.0 * margin, tf.int32)
    there_x, there_y = tf.boolean_mask(x, x > 0), tf.boolean_mask(y, y > 0)
    left = tf.maximum(tf.reduce_min(there_x) - room, 0)
    right = tf.minimum(tf.reduce_max(there_x) + room, width)
    top = tf.maximum(tf.reduce_min(there_y) - room, 0)
    bottom = tf.minimum(tf.reduce_max(there_y) + room, height)
    cut = image[top:bottom, left:right, :]
    return cut, (x - left) / (right - left), (y - top) / (bottom - top)


def heatmaps(x, y, visible):
    """(64, 64, 16) float32 of joints in whole cells, one after the other."""
    maps = tf.TensorArray(tf.float32, JOINTS)
    for joint in range(JOINTS):
        maps = maps.write(joint, heatmap(x[joint], y[joint], visible[joint]))
    return tf.transpose(maps.stack(), [1, 2, 0])


def heatmap(x, y, visible):
    """(64, 64) float32 of one joint."""
    empty = tf.zeros((CELLS, CELLS))
    left, top, right, bottom = x - 3 * SIGMA, y - 3 * SIGMA, x + 3 * SIGMA + 1, y + 3 * SIGMA + 1
    if left >= CELLS or top >= CELLS or right <= 0 or bottom <= 0 or visible == 0:
        return empty
    side = tf.range(6 * SIGMA + 1)
    across, down = tf.meshgrid(side, side)
    squares = tf.cast(tf.square(across - 3 * SIGMA) + tf.square(down - 3 * SIGMA), tf.float32)
    patch = tf.exp(-squares / (2 * SIGMA**2)) * PEAK
    places, values = (tf.TensorArray(kind, 1, dynamic_size=True) for kind in (tf.int32, tf.float32))
    count = 0
    for j in tf.range(tf.maximum(0, -top), tf.minimum(bottom, CELLS) - top):
        for i in tf.range(tf.maximum(0, -left), tf.minimum(right, CELLS) - left):
            places = places.write(count, [top + j, left + i])
            values = values.write(count, patch[j][i])
            count += 1
    return tf.tensor_scatter_nd_update(empty, places.stack(), values.stack())
