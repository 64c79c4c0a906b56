"""A pose model so small that a test can say what it must find, and pictures and tables for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from odflow.heads.pose.settings import POSE, Crop, PoseModel
from odflow.heads.pose.skeleton import Skeleton

SKELETON = Skeleton(
    name="dots",
    joints=("left_hip", "right_hip", "head"),
    limbs=(("left_hip", "right_hip"), ("right_hip", "head")),
    pairs=(("left_hip", "right_hip"),),
    torso=("head", "right_hip"),
)
MODEL = PoseModel(SKELETON, Crop(height=96, width=64, margin=0.25))


def export_dots(folder: Path, *, whole: bool = False, saved_model: bool = False) -> Path:
    """An exported folder whose network finds the middle of all red, green and blue: a joint each."""
    import tensorflow as tf

    folder.mkdir()
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        keypoints = tf.identity(_middles(tf, image), name="keypoints")
        if saved_model:
            outputs = {"keypoints": keypoints}
            tf.compat.v1.saved_model.simple_save(
                session, str(folder / "saved_model"), {"inputs": image}, outputs
            )
        else:
            (folder / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    POSE.write_model(replace(MODEL, crop=replace(MODEL.crop, whole=whole)), folder)
    return folder


def _middles(tf, image):
    values = tf.cast(image, tf.float32)
    size = tf.cast(tf.shape(image)[1:3], tf.float32)
    total = tf.reduce_sum(values, [1, 2])
    rows, columns = (tf.range(size[axis]) + 0.5 for axis in (0, 1))
    y = tf.reduce_sum(values * rows[:, None, None], [1, 2]) / tf.maximum(total, 1)
    x = tf.reduce_sum(values * columns[:, None], [1, 2]) / tf.maximum(total, 1)
    there = tf.cast(total > 0, tf.float32)
    return tf.stack([y / size[0], x / size[1], there * 0.75], axis=2)


def dotted(height: int, width: int, *people) -> np.ndarray:
    """A black picture with a dot of 9 x 9 pixels, red, green and blue, around the x y of each joint."""
    picture = np.zeros((height, width, 3), np.uint8)
    for joints in people:
        for channel, (x, y) in enumerate(joints):
            picture[y - 4 : y + 5, x - 4 : x + 5, channel] = 255
    return picture


def keypoints_table(path: Path, *rows, **more) -> Path:
    """A table of `SKELETON`: rows of file name, number, and x y v of each joint."""
    columns = [f"{joint}_{axis}" for joint in SKELETON.joints for axis in "xyv"]
    table = pd.DataFrame([row[2] for row in rows], columns=columns)
    table.insert(0, "filename", [row[0] for row in rows])
    table.insert(1, "person", [row[1] for row in rows])
    table.assign(width=np.nan, height=np.nan, **more).to_csv(path, index=False)
    return path


@dataclass(frozen=True)
class Dots:
    """The model, exported, and what goes with it.

    Attributes:
        folder: the exported folder, with a frozen graph.
    """

    folder: Path
    skeleton = SKELETON
    export = staticmethod(export_dots)
    picture = staticmethod(dotted)
    table = staticmethod(keypoints_table)

    @staticmethod
    def row(person, v=2) -> list[float]:
        """x y v of the joints of a person of `picture`."""
        return [value for x, y in person for value in (x + 0.5, y + 0.5, v)]


@pytest.fixture(scope="session")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Dots:
    """The exported model that finds dots."""
    return Dots(export_dots(tmp_path_factory.mktemp("dots") / "exported"))
