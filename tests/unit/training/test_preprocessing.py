import numpy as np
import pytest

from odflow.training.settings import Resizer

tf = pytest.importorskip("tensorflow")


def legacy_bilinear(image, height, width):
    """TensorFlow's first bilinear kernel in NumPy: corners not aligned, no half pixels."""
    # Positions in float32, as the kernel has them: at pixel 200 that is 2e-5 of a pixel.
    y = np.arange(height, dtype=np.float32) * np.float32(image.shape[0] / height)
    x = np.arange(width, dtype=np.float32) * np.float32(image.shape[1] / width)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom = np.minimum(top + 1, image.shape[0] - 1)
    right = np.minimum(left + 1, image.shape[1] - 1)
    dy, dx = (y - top)[:, None, None], (x - left)[None, :, None]
    above = image[top][:, left] * (1 - dx) + image[top][:, right] * dx
    below = image[bottom][:, left] * (1 - dx) + image[bottom][:, right] * dx
    return above * (1 - dy) + below * dy


@pytest.mark.parametrize("size", [(50, 70), (96, 128), (200, 130)])
def test_fixed_shape_normalises_and_stretches_as_the_api_does(size):
    from odflow.training.preprocessing import preprocess

    image = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    inputs, shape = preprocess(tf.constant(image[None]), Resizer(96, 128), None)
    expected = legacy_bilinear(image.astype(np.float64) * (2 / 255) - 1, 96, 128)
    np.testing.assert_allclose(inputs[0], expected, atol=1e-5)
    assert shape.numpy().tolist() == [96, 128]


def test_the_preprocessed_image_is_the_one_that_the_api_computed(shared):
    from odflow.training.preprocessing import preprocess

    reference = np.load(shared / "models/ssd_mobilenet_v2_fpnlite_320/reference.npz")
    inputs, _ = preprocess(tf.constant(reference["image"]), Resizer(320, 320), None)
    np.testing.assert_allclose(inputs, reference["preprocessed"], atol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 200), (64, 128)), ((200, 100), (128, 64)), ((100, 400), (32, 128))]
)
def test_keep_aspect_ratio_fits_the_shorter_side_unless_the_longer_is_too_long(size, expected):
    from odflow.training.preprocessing import preprocess

    kept = Resizer(128, 128, min_dimension=64)
    inputs, shape = preprocess(tf.fill([1, *size, 3], tf.constant(255, tf.uint8)), kept, None)
    assert tuple(shape.numpy()) == expected
    filled = inputs[0].numpy().any(axis=-1)
    assert filled[: expected[0], : expected[1]].all()
    assert filled.sum() == expected[0] * expected[1]


def test_channel_means_are_subtracted_for_resnets():
    from odflow.training.preprocessing import preprocess

    means = (123.68, 116.779, 103.939)
    inputs, _ = preprocess(tf.zeros([1, 96, 128, 3], tf.uint8), Resizer(96, 128), means)
    np.testing.assert_allclose(inputs[0, 0, 0], [-123.68, -116.779, -103.939], rtol=1e-6)
