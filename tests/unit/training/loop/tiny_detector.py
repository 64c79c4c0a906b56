"""A second architecture beside the real ones: a detector that finds one object, and trains in seconds.

What trains, evaluates and saves must know nothing of it but what `Architecture` says.
Run as a program it trains as its only argument, a JSON object, says.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from odflow.formats.label_map import LabelMap, read_label_map
from odflow.training.checkpoints import Parts
from odflow.training.detector import DetectorArchitecture
from odflow.training.settings import DetectorSettings, LearningRate, Optimizer, Resizer, Training

SIDE = 16
INPUT = Resizer(SIDE, SIDE)
LABELS = "item { id: 1 name: 'red' } item { id: 2 name: 'blue' }"


@dataclass(frozen=True)
class TinyModel:
    num_classes: int = 2
    resizer: Resizer = INPUT
    batch_norm: bool = False
    poison: float = -1.0
    """A loss is no number where a box begins at this share of the height."""

    def architecture(self, settings):
        return Tiny(settings)


class Tiny(DetectorArchitecture):
    """One box and one class an image; trained to the first box of each."""

    parts = Parts(("model/layer_with_weights-0/",), ("model/layer_with_weights-0/",), ())

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings, self.model = settings, settings.model

    def build(self) -> tf_keras.Model:
        layers = tf_keras.layers
        image = tf_keras.Input([SIDE, SIDE, 3])
        l2 = tf_keras.regularizers.l2(1e-3)
        features = layers.Conv2D(8, 3, 2, "same", name="stem", kernel_regularizer=l2)(image)
        if self.model.batch_norm:
            features = layers.BatchNormalization(momentum=0.5, name="norm")(features)
        features = layers.Flatten()(layers.ReLU()(features))
        outputs = layers.Dense(4 + self.model.num_classes, name="head")(features)
        return tf_keras.Model(image, outputs)

    def targets(self, sample):
        image = tf.image.resize(sample.image, [SIDE, SIDE]) / 255.0
        boxes = tf.concat([sample.boxes_yxyx, tf.zeros([1, 4])], 0)
        classes = tf.concat([tf.cast(sample.classes, tf.int64), [0]], 0)
        return image, {"box": boxes[0], "class": classes[0]}

    def forward(self, network, inputs, labels):
        return network(inputs, training=True)

    def normalizer(self, labels):
        return tf.maximum(tf.reduce_sum(tf.cast(labels["class"] > 0, tf.float32)), 1.0)

    def losses(self, outputs, labels):
        known = tf.cast(labels["class"] > 0, tf.float32)
        wanted = tf.one_hot(labels["class"] - 1, self.model.num_classes)
        classes = tf.nn.softmax_cross_entropy_with_logits(wanted, outputs[:, 4:])
        boxes = tf.reduce_sum((outputs[:, :4] - labels["box"]) ** 2, -1)
        poisoned = tf.abs(labels["box"][:, 0] - self.model.poison) < 1e-3
        boxes = tf.where(poisoned, np.nan, boxes)
        number = self.normalizer(labels)
        return {
            "classification_loss": tf.reduce_sum(classes * known) / number,
            "localization_loss": tf.reduce_sum(boxes * known) / number,
        }

    def detect(self, network, images):
        image = tf.image.resize(tf.cast(images, tf.float32), [SIDE, SIDE]) / 255.0
        outputs = network(image, training=False)
        scores = tf.nn.softmax(outputs[:, 4:])
        return {
            "detection_boxes": outputs[:, tf.newaxis, :4],
            "detection_scores": tf.reduce_max(scores, -1, keepdims=True),
            "detection_classes": tf.cast(tf.argmax(scores, -1)[:, tf.newaxis] + 1, tf.float32),
            "num_detections": tf.ones(tf.shape(images)[:1]),
        }


def settings(
    num_steps: int = 12, batch_size: int = 4, optimizer: Optimizer | None = None, **model
) -> DetectorSettings:
    optimizer = optimizer or Optimizer("momentum", LearningRate("constant", 0.01), momentum=0.9)
    training = Training(
        batch_size=batch_size,
        num_steps=num_steps,
        optimizer=optimizer,
        augmentations=(),
        fine_tune_type="full",
    )
    return DetectorSettings(
        TinyModel(**model), replace(training, reader=replace(training.reader, shuffle_buffer=6))
    )


def write_records(file: Path, count: int = 10, seed: int = 3) -> list[str]:
    """Pictures of one red or blue rectangle each, and one picture of nothing; their names."""
    rng = np.random.default_rng(seed)
    names = [f"picture_{number}.png" for number in range(count)]
    with tf.io.TFRecordWriter(str(file)) as writer:
        for number, name in enumerate(names):
            image = rng.integers(0, 60, (20, 24, 3)).astype(np.uint8)
            top, left = rng.integers(1, 9, 2)
            kind = number % 2 + 1
            image[top : top + 10, left : left + 12, 0 if kind == 1 else 2] += 180
            box = np.array([top / 20, left / 24, (top + 10) / 20, (left + 12) / 24])
            writer.write(_example(name, image, [] if number == 7 else [(kind, box)]))
    return names


def _example(name, image, objects) -> bytes:
    def floats(index):
        values = [float(box[index]) for _, box in objects]
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    labels = tf.train.Feature(int64_list=tf.train.Int64List(value=[kind for kind, _ in objects]))
    feature = {
        "image/encoded": text(tf.io.encode_png(image).numpy()),
        "image/filename": text(name.encode()),
        "image/source_id": text(name.encode()),
        "image/object/class/label": labels,
        **{f"image/object/bbox/{side}": floats(i) for i, side in enumerate(("ymin", "xmin", "ymax", "xmax"))},
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def label_map(folder: Path) -> LabelMap:
    file = folder / "labels.pbtxt"
    file.write_text(LABELS)
    return read_label_map(file)


def main() -> None:
    """Train in this process, telling each step."""
    from odflow.training.loop.fitting import Data, Folders, Options, fit

    given = json.loads(sys.argv[1])
    devices = [tf.config.LogicalDeviceConfiguration()] * given.get("devices", 1)
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    folder = Path(given["folder"])
    trained = folder / "trained"
    trained.mkdir(parents=True, exist_ok=True)
    data = Data([given["records"]], Path(given["records"]), label_map(folder))
    steps = fit(settings(**given["settings"]), data, Folders(folder, trained), Options(**given["options"]))
    for progress in steps:
        print(json.dumps([progress.step, progress.loss, progress.notes]), flush=True)
        if progress.step == given.get("die_after"):
            os.kill(os.getpid(), 9)


if __name__ == "__main__":
    main()
