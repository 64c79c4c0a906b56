"""From a record's example to the network's input and what it shall answer, in `tf.data`."""

from __future__ import annotations

import tensorflow as tf

from odflow.heads.pose.crops import Draws, look, random_draws, view
from odflow.heads.pose.person import SCALE
from odflow.heads.pose.settings import PoseModel
from odflow.heads.pose.targets import Targets

Labels = dict[str, tf.Tensor]


class PoseInputs:
    """Decodes, crops and draws heatmaps, as a model's settings say."""

    def __init__(self, model: PoseModel) -> None:
        """Prepare.

        Raises:
            ConfigError: heatmaps that cannot be drawn; see `targets.patch`.
        """
        self._model = model
        self._targets = Targets(model.heatmaps)
        self._features = _features(len(model.skeleton.joints))

    def __call__(self, serialized: tf.Tensor, draw: tf.Tensor, training: bool) -> tuple[tf.Tensor, Labels]:
        """Make an input and its labels.

        Args:
            serialized: scalar string, a tf.train.Example as pose.records writes it.
            draw: (2,) int64, seed and position: the same gives the same.
            training: draw margin, size, angle and mirroring; otherwise the plain view.

        Returns:
            image: (height, width, 3) uint8 RGB, black beyond the image.
            labels: `heatmaps` (h, w, K) float32, see `odflow.ops.heatmaps`: a joint stands in
            the cell whose area holds it, so a cell means its middle; `labelled` (K,) float32,
            1 or 0; `joints` (K, 3) float32, x y v in pixels of the input, zeros where not
            labelled; `to_image` (2, 3) float32, the affine from places in the input (x, y, 1)
            to places in the image, both in pixels.

        Raises:
            tf.errors.InvalidArgumentError: the example lacks a feature or has other joints than
                the skeleton, or its image does not decode or has another size than it says.
        """
        crop = self._model.crop
        parsed = tf.io.parse_single_example(serialized, self._features)
        size = tf.stack([parsed["image/width"], parsed["image/height"]])
        joints = self._joints(parsed, tf.cast(size, tf.float32))
        draws = random_draws(crop, draw) if training else Draws(crop.margin)
        body_height = parsed["image/object/scale"] * SCALE
        seen = view(crop, draws, joints, body_height, tf.cast(size, tf.float32))
        to_image = seen.to_image(crop)
        turned = training and crop.rotation != 0
        image = look(parsed["image/encoded"], tf.cast(size, tf.int32), to_image, crop, turned=turned)
        return image, {
            **self._labels(joints, seen.from_image(joints[:, :2], crop), draws),
            "to_image": to_image,
        }

    def _joints(self, parsed: Labels, size: tf.Tensor) -> tf.Tensor:
        """(K, 3) float32, x y v in pixels of the image; zeros where a joint is not labelled."""
        names = self._model.skeleton.joints
        found = parsed["image/object/keypoint/text"]
        same = tf.reduce_all(tf.equal(found, names))
        with tf.control_dependencies(
            [tf.debugging.Assert(same, ["wanted the joints", names, "found", found])]
        ):
            places = tf.stack([parsed[f"image/object/keypoint/{axis}"] for axis in "xy"], 1) * size
        states = tf.cast(parsed["image/object/keypoint/visibility"], tf.float32)[:, tf.newaxis]
        there = (states > 0) & tf.reduce_all(tf.math.is_finite(places), 1, keepdims=True)
        return tf.where(there, tf.concat([places, states], 1), 0.0)

    def _labels(self, joints: tf.Tensor, places_xy: tf.Tensor, draws: Draws) -> Labels:
        """Labels of joints that lie at places (K, 2) of the input."""
        crop, maps = self._model.crop, self._model.heatmaps
        labelled = joints[:, 2:] > 0
        joints = tf.where(labelled, tf.concat([places_xy, joints[:, 2:]], 1), 0.0)
        if draws.mirrored is not False:  # which was the left arm is the right one now
            swapped = tf.gather(joints, self._model.skeleton.flipped)
            joints = tf.where(draws.mirrored, swapped, joints)
        cells = joints * [maps.width / crop.width, maps.height / crop.height, 1.0]
        return {
            "heatmaps": self._targets(cells),
            "labelled": tf.cast(joints[:, 2] > 0, tf.float32),
            "joints": joints,
        }


def _features(joints: int) -> dict[str, tf.io.FixedLenFeature]:
    def one(kind: tf.DType, *shape: int) -> tf.io.FixedLenFeature:
        return tf.io.FixedLenFeature(shape, kind)

    return {
        "image/encoded": one(tf.string),
        "image/height": one(tf.int64),
        "image/width": one(tf.int64),
        "image/object/scale": one(tf.float32),
        "image/object/keypoint/text": one(tf.string, joints),
        "image/object/keypoint/x": one(tf.float32, joints),
        "image/object/keypoint/y": one(tf.float32, joints),
        "image/object/keypoint/visibility": one(tf.int64, joints),
    }
