"""A detector so small that a test can say what it must find."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from odflow.engines.threads import Threads

LABELS = "item { id: 1 name: 'red' }\nitem { id: 2 name: 'green' }\n"


@dataclass(frozen=True)
class BrightModel:
    """Exports of one network, under the Object Detection API's names.

    It finds the box around all bright pixels: its score is the share of the image that the
    box covers, its class 1 where red is the stronger channel there, else 2. Before it
    comes the whole image as class 7, score 0.25; after both there is padding.
    """

    folder: Path

    @property
    def frozen(self) -> Path:
        return self.folder / "frozen_inference_graph.pb"

    @property
    def label_map(self) -> Path:
        return self.folder / "label_map.pbtxt"

    @staticmethod
    def outputs(image):
        """The network, in TensorFlow."""
        return bright_outputs(image)

    @staticmethod
    def expected(image: np.ndarray) -> tuple[list[float], float, int]:
        """Box (ymin xmin ymax xmax), score and class of the bright box, by NumPy."""
        rows, columns = (image.max(axis=2) > 128).nonzero()
        height, width = image.shape[:2]
        ymin, ymax, xmin, xmax = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        red, green = (image[..., channel].astype(int).sum() for channel in (0, 1))
        share = (ymax - ymin) * (xmax - xmin) / (height * width)
        return [ymin / height, xmin / width, ymax / height, xmax / width], share, 1 if red > green else 2


def bright_outputs(image):
    import tensorflow as tf

    bright = tf.reduce_max(image[0], axis=2) > 128
    size = tf.cast(tf.shape(bright), tf.float32)
    where = tf.cast(tf.where(bright), tf.float32)
    low, high = tf.reduce_min(where, axis=0) / size, (tf.reduce_max(where, axis=0) + 1) / size
    box = tf.concat([low, high], axis=0)
    red, green = (tf.reduce_sum(tf.cast(image[0, :, :, channel], tf.float32)) for channel in (0, 1))
    whole, padding = tf.constant([0.0, 0, 1, 1]), tf.zeros([4])
    return {
        "detection_boxes": tf.stack([whole, box, padding])[None],
        "detection_scores": tf.stack([0.25, tf.reduce_prod(high - low), 0.0])[None],
        "detection_classes": tf.stack([7.0, tf.where(red > green, 1.0, 2.0), 1.0])[None],
        "num_detections": tf.constant([2.0]),
    }


@pytest.fixture(scope="session")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> BrightModel:
    """The exported folder: frozen graph, a TF1 saved_model/ and a TF2 tf2_saved_model/, label map."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("bright")
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        outputs = {name: tf.identity(value, name) for name, value in bright_outputs(image).items()}
        (folder / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        tf.compat.v1.saved_model.simple_save(session, str(folder / "saved_model"), {"inputs": image}, outputs)

    module = tf.Module()
    module.detect = tf.function(
        lambda input_tensor: bright_outputs(input_tensor),
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")],
    )
    tf.saved_model.save(module, str(folder / "tf2_saved_model"), signatures=module.detect)
    (folder / "label_map.pbtxt").write_text(LABELS)
    return BrightModel(folder)


@pytest.fixture
def bright_image() -> Callable[..., np.ndarray]:
    """Makes a dark image (height, width, 3) with one bright rectangle."""

    def make(height: int, width: int, box: tuple[int, int, int, int], *, red: bool = True) -> np.ndarray:
        image = np.full((height, width, 3), 20, np.uint8)
        ymin, xmin, ymax, xmax = box
        image[ymin:ymax, xmin:xmax, 0 if red else 1] = 250
        return image

    return make


class Stopping(Threads):
    """Two workers that give so many results of `map`, then fail as a machine does."""

    def __init__(self, after: int) -> None:
        super().__init__(2)
        self.after = after

    def map(self, function, items):
        yield from islice(super().map(function, items), self.after)
        raise RuntimeError("stopped")


@pytest.fixture
def stopping() -> type[Stopping]:
    """Workers that stop after so many results."""
    return Stopping
