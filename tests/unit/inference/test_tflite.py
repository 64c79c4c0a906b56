"""TFLite detectors: the resize, and the quantized twin of the frozen graph."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError, OdflowError
from odflow.formats.images import read_image
from odflow.inference.detector import load_detector
from odflow.inference.tflite import resize
from odflow.ops.boxes import iou

SIDE = st.integers(1, 40)


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2**32 - 1))
def test_resize_is_that_of_tensorflow_1(old_height, old_width, height, width, seed):
    import tensorflow as tf

    image = np.random.default_rng(seed).integers(0, 256, (old_height, old_width, 3), np.uint8)
    wanted = tf.compat.v1.image.resize_bilinear(image[None].astype(np.float32), (height, width))[0]
    np.testing.assert_allclose(resize(image, height, width), wanted, atol=1e-3)


@pytest.fixture(scope="module")
def pair(shared: Path):
    folder = shared / "models/ssd_mobilenet_v1_coco"
    quantized = load_detector(folder / "ssd_mobilenet_v1_coco_quant.tflite")
    return quantized, load_detector(folder / "frozen_inference_graph.pb")


def test_the_quantized_file_sees_what_the_graph_of_its_weights_sees(pair, shared):
    quantized, frozen = pair
    paths = sorted((shared / "data/coco128/images/val2017").glob("*.jpg"))[:12]
    found = matched = 0
    for path in paths:
        image = read_image(path)
        wanted, given = frozen.detect(image).best(0.6), quantized.detect(image)
        same = wanted.classes[:, None] == given.classes[None, :]
        overlap = iou(wanted.boxes_yxyx, given.boxes_yxyx) * same
        close = np.abs(wanted.scores[:, None] - given.scores[None, :]) < 0.15
        found += len(wanted.scores)
        matched += int(((overlap > 0.7) & close).any(axis=1).sum())
    assert found > 30
    assert matched >= 0.9 * found


def test_a_model_without_detections(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.run = tf.function(lambda image: image + 1.0, [tf.TensorSpec([1, 8, 8, 3])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.run.get_concrete_function()], module)
    (tmp_path / "plain.tflite").write_bytes(converter.convert())
    with pytest.raises(InputError, match="does not end in TFLite_Detection_PostProcess"):
        load_detector(tmp_path / "plain.tflite")


OPTIONS = b"\x01\x00\x00\x00\x0a\x00\x00\x00\x9a\x99\x19\x3f"  # one class a box, 10 detections, IoU above 0.6


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            OPTIONS,
            OPTIONS[:4] + b"\xff\xff\xff\x7f" + OPTIONS[8:],
            "gives 2147483647 x 1 detections; wanted at",
        ),
        (OPTIONS, b"\xff\xff\xff\x7f" + OPTIONS[4:], "gives 10 x 2147483647 detections; wanted at"),
        (OPTIONS, b"\x00" + OPTIONS[1:], "the model failed"),
        (OPTIONS, OPTIONS[:8] + b"\x00\x00\xc0\x7f", "the model failed"),
        (b"max_detections", b"max\xffdetections", "is damaged"),
        (b"TFLite_Detection_PostProcess:1", b"TFLite_Detection\xffPostProcess:1", "is damaged"),
        (b"TFL3", b"TFL9", "is damaged"),
    ],
)
def test_what_makes_no_sense_in_a_file_is_one_line(old, new, says, shared, tmp_path):
    data = (shared / "models/ssd_mobilenet_v1_coco/ssd_mobilenet_v1_coco_quant.tflite").read_bytes()
    assert old in data
    (tmp_path / "x.tflite").write_bytes(data.replace(old, new))
    with pytest.raises(OdflowError, match=says) as refused:
        load_detector(tmp_path / "x.tflite").detect(np.zeros((40, 50, 3), np.uint8))
    assert str(refused.value).startswith(f"{tmp_path / 'x.tflite'}: ")
    assert "\n" not in str(refused.value)
