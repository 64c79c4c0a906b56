"""From records to inputs and masks."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.heads.segmentation.inputs import decode, training_example  # noqa: E402
from odflow.heads.segmentation.placement import FILL  # noqa: E402
from odflow.heads.segmentation.settings import View  # noqa: E402


def draw(position):
    return tf.constant([1, position], tf.int64)


@pytest.mark.parametrize("size", [(40, 64), (37, 21), (3, 3)])
def test_an_example_decodes_to_what_was_written(squares, size):
    image, mask = squares.painted(*size, 1)
    mask[0] = 255
    found = decode(tf.constant(squares.example(image, mask)))
    np.testing.assert_array_equal(found[0], image)
    np.testing.assert_array_equal(found[1], mask)


def test_an_image_and_a_mask_of_different_sizes_are_refused(squares):
    image, mask = squares.painted(20, 30, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="different sizes"):
        decode(tf.constant(squares.example(image, mask[1:])))


@pytest.mark.parametrize("size", [(40, 64), (33, 21), (128, 100), (3, 3)])
def test_what_training_sees_has_the_class_of_its_colour(squares, size):
    view = View(48, 32, scale=(0.5, 3.0), flip=0.5)
    image, mask = squares.painted(*size, 2)
    serialized, seen = tf.constant(squares.example(image, mask)), []
    for position in range(12):
        picture, labels = training_example(serialized, view, draw(position))
        assert (picture.shape, picture.dtype) == ((48, 32, 3), tf.uint8)
        assert (labels["mask"].shape, labels["mask"].dtype) == ((48, 32), tf.uint8)
        found, picture = labels["mask"].numpy(), picture.numpy()
        # Beside edges colours mix; nowhere else.
        exact = np.abs(picture - expected(squares, found)).max(-1) <= 1
        assert exact[found == 255].all()
        inner = found[1:-1, 1:-1]
        flat = (inner != 255) & np.all(
            [np.roll(found, (dy, dx), (0, 1))[1:-1, 1:-1] == inner for dy in (-1, 0, 1) for dx in (-1, 0, 1)],
            axis=0,
        )
        if min(size) > 30:  # in small pictures, enlarged, colours mix further
            assert exact[1:-1, 1:-1][flat].mean() > 0.9 if flat.any() else True
        seen.append(picture.tobytes())
    assert len(set(seen)) > len(seen) / 2
    again, _ = training_example(serialized, view, draw(5))
    assert again.numpy().tobytes() == seen[5]


def expected(squares, mask):
    """The colours of classes, and what stands beside a picture."""
    table = np.zeros((256, 3), np.int32)
    table[: len(squares.colours)], table[255] = squares.colours, FILL
    return table[mask]


def test_a_mirrored_picture_is_the_mirror_image_of_the_other(squares):
    image, mask = squares.painted(40, 64, 3)
    serialized = tf.constant(squares.example(image, mask))
    plain, mirrored = (
        training_example(serialized, View(40, 64, scale=(1.0, 1.0), flip=flip), draw(0))
        for flip in (0.0, 1.0)
    )
    np.testing.assert_array_equal(plain[0], image)
    np.testing.assert_array_equal(plain[1]["mask"], mask)
    np.testing.assert_array_equal(mirrored[0], image[:, ::-1])
    np.testing.assert_array_equal(mirrored[1]["mask"], mask[:, ::-1])
