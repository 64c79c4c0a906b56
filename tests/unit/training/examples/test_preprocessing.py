import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.training.settings import Normalization, Resizer

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
    from odflow.training.examples.preprocessing import preprocess

    image = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    inputs, shape = preprocess(tf.constant(image[None]), Resizer(96, 128), None)
    expected = legacy_bilinear(image.astype(np.float64) * (2 / 255) - 1, 96, 128)
    np.testing.assert_allclose(inputs[0], expected, atol=1e-5)
    assert shape.numpy().tolist() == [96, 128]


def test_the_preprocessed_image_is_the_one_that_the_api_computed(shared):
    from odflow.training.examples.preprocessing import preprocess

    reference = np.load(shared / "models/ssd_mobilenet_v2_fpnlite_320/reference.npz")
    inputs, _ = preprocess(tf.constant(reference["image"]), Resizer(320, 320), None)
    np.testing.assert_allclose(inputs, reference["preprocessed"], atol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 200), (64, 128)), ((200, 100), (128, 64)), ((100, 400), (32, 128))]
)
def test_keep_aspect_ratio_fits_the_shorter_side_unless_the_longer_is_too_long(size, expected):
    from odflow.training.examples.preprocessing import preprocess

    kept = Resizer(128, 128, min_dimension=64)
    inputs, shape = preprocess(tf.fill([1, *size, 3], tf.constant(255, tf.uint8)), kept, None)
    assert tuple(shape.numpy()) == expected
    filled = inputs[0].numpy().any(axis=-1)
    assert filled[: expected[0], : expected[1]].all()
    assert filled.sum() == expected[0] * expected[1]


def test_channel_means_are_subtracted_for_resnets():
    from odflow.training.examples.preprocessing import preprocess

    means = (123.68, 116.779, 103.939)
    inputs, _ = preprocess(tf.zeros([1, 96, 128, 3], tf.uint8), Resizer(96, 128), means)
    np.testing.assert_allclose(inputs[0, 0, 0], [-123.68, -116.779, -103.939], rtol=1e-6)


def test_deviations_and_the_order_of_channels_are_those_of_the_normalization():
    from odflow.training.examples.preprocessing import preprocess

    image = np.random.default_rng(2).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    how = Normalization((10.0, 20.0, 30.0), (2.0, 3.0, 4.0), bgr=True)
    inputs, _ = preprocess(tf.constant(image[None]), Resizer(32, 48), how)
    expected = (legacy_bilinear(image[..., ::-1].astype(float), 32, 48) - [10, 20, 30]) / [2, 3, 4]
    np.testing.assert_allclose(inputs[0], expected, atol=1e-4)


@pytest.mark.parametrize(("too", "expected"), [(False, [7, 8, 9]), (True, [(7 - 1) / 2, 8 / 4, (9 - 3) / 5])])
def test_the_room_beside_a_picture_is_filled_before_or_after_the_normalization(too, expected):
    from odflow.training.examples.preprocessing import preprocess

    how = Normalization((1.0, 0.0, 3.0), (2.0, 4.0, 5.0), padding_too=too)
    kept = Resizer(128, 128, 64, (7.0, 8.0, 9.0))
    inputs, shape = preprocess(tf.zeros([1, 100, 200, 3], tf.uint8), kept, how)
    assert shape.numpy().tolist() == [64, 128]
    np.testing.assert_allclose(
        inputs[0, 64:].numpy().reshape(-1, 3), np.tile(expected, (64 * 128, 1)), rtol=1e-5
    )
    np.testing.assert_allclose(inputs[0, :64, :, 0], -0.5, rtol=1e-5)


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 128), st.integers(128, 300))
@settings(max_examples=60, deadline=None)
def test_keep_aspect_ratio_sizes_are_the_apis(height, width, least, most):
    from odflow.training.examples.preprocessing import _picture_size

    large, small = (
        np.float32(least) / np.float32(min(height, width)),
        np.float32(most) / np.float32(max(height, width)),
    )
    wanted = np.round(np.float32([height, width]) * large)
    if wanted.max() > most:
        wanted = np.round(np.float32([height, width]) * small)
    found = _picture_size(tf.constant([height, width]), Resizer(most, most, least))
    assert found.numpy().tolist() == np.maximum(wanted, 1).astype(int).tolist()
