"""Running a detector over many images."""

import numpy as np
import pytest

from odflow.errors import ImageError, StageError
from odflow.inference.detector import Detections, load_detector
from odflow.inference.run import detect_all


class Counting:
    """Finds as many boxes as the image's first pixel says."""

    def detect(self, image):
        count = int(image[0, 0, 0])
        return Detections(
            np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.ones(count, np.int64)
        )


def read(item):
    if item % 4 == 3:
        raise ImageError(f"{item}: cut off.")
    return np.full((item + 1, item + 2, 3), item, np.uint8)


def test_every_item_gives_one_result_readable_or_not():
    seen = list(detect_all(Counting(), range(40), read))
    assert [one.item for one in seen] == list(range(40))
    for one in seen:
        if one.item % 4 == 3:
            assert (one.found, one.error, one.height) == (None, "cut off.", 0)
        else:
            assert (len(one.found.scores), one.height, one.width) == (one.item, one.item + 1, one.item + 2)


def test_a_model_that_fails_says_which_model(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        small = tf.ensure_shape(image, [1, 2, 2, 3])
        for name in ("detection_boxes", "detection_scores", "detection_classes", "num_detections"):
            tf.cast(small, tf.float32, name=name)
        (tmp_path / "picky.pb").write_bytes(graph.as_graph_def().SerializeToString())
    detector = load_detector(tmp_path / "picky.pb")
    with pytest.raises(StageError, match=r"picky\.pb: the model failed \(.*shape"):
        list(detect_all(detector, [4], read))
