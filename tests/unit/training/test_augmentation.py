"""Each augmentation must move the boxes as it moves the pixels: painted boxes tell."""

import numpy as np
import pytest

from odflow.training.augmentation_config import DEFAULT_CROPS
from odflow.training.settings import Augmentation

tf = pytest.importorskip("tensorflow")

BOXES = np.array([[0.1, 0.1, 0.3, 0.4], [0.5, 0.6, 0.9, 0.9]], np.float32)
CROP = {
    "min_object_covered": 0.0,
    "min_aspect_ratio": 0.75,
    "max_aspect_ratio": 1.5,
    "min_area": 0.3,
    "max_area": 0.9,
    "overlap_thresh": 0.0,
    "clip_boxes": True,
    "random_coef": 0.0,
}


def painted():
    """A black 100x200 picture; box 1 filled with red, box 2 with green."""
    from odflow.training.augmentation import Sample

    image = np.zeros((100, 200, 3), np.float32)
    image[10:30, 20:80, 0] = 255
    image[50:90, 120:180, 1] = 255
    return Sample(tf.constant(image), tf.constant(BOXES), tf.constant([1, 2], tf.int64))


def check(sample):
    """Every box must hold the colour of its class, from edge to edge."""
    image = sample.image.numpy()
    height, width = image.shape[:2]
    for box, kind in zip(sample.boxes_yxyx.numpy(), sample.classes.numpy(), strict=True):
        rows, columns = np.nonzero(image[..., kind - 1] > 127)
        found = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(found, box * [height, width, height, width], atol=2.5)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation("random_horizontal_flip", {"probability": 1.0}),
        Augmentation("random_vertical_flip", {"probability": 1.0}),
        Augmentation("random_crop_image", CROP),
        Augmentation("ssd_random_crop", operations=DEFAULT_CROPS),
        Augmentation("random_image_scale", {"min_scale_ratio": 0.5, "max_scale_ratio": 2.0}),
        Augmentation(
            "random_scale_crop_and_pad_to_square", {"output_size": 120, "scale_min": 0.5, "scale_max": 1.6}
        ),
    ],
    ids=lambda augmentation: augmentation.kind,
)
def test_boxes_follow_the_pixels(augmentation, seed):
    from odflow.training.augmentation import augment

    tf.random.set_seed(seed)
    check(augment(painted(), [augmentation]))


def test_a_flip_mirrors_the_boxes():
    from odflow.training.augmentation import augment

    flipped = augment(painted(), [Augmentation("random_horizontal_flip", {"probability": 1.0})])
    np.testing.assert_allclose(flipped.boxes_yxyx[0], [0.1, 0.6, 0.3, 0.9], atol=1e-6)


@pytest.mark.parametrize(("overlap", "left"), [(0.0, [1]), (0.45, [1]), (0.55, [])])
def test_a_crop_drops_boxes_that_it_covers_too_little_of(overlap, left):
    """The left quarter of the picture holds half of the first box and nothing of the second."""
    from odflow.training.augmentation import _in_window

    cropped = _in_window(painted(), tf.constant([0.0, 0.0, 1.0, 0.25]), overlap, True)
    assert cropped.classes.numpy().tolist() == left
    if left:
        np.testing.assert_allclose(cropped.boxes_yxyx[0], [0.1, 0.4, 0.3, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation("random_adjust_brightness", {"max_delta": 0.2}),
        Augmentation("random_adjust_contrast", {"min_delta": 0.8, "max_delta": 1.25}),
        Augmentation("random_adjust_hue", {"max_delta": 0.02}),
        Augmentation("random_adjust_saturation", {"min_delta": 0.8, "max_delta": 1.25}),
    ],
    ids=lambda augmentation: augmentation.kind,
)
def test_colours_change_within_their_range_and_boxes_stay(augmentation):
    from odflow.training.augmentation import Sample, augment

    image = tf.random.stateless_uniform([20, 20, 3], [1, 2], 0, 255)
    before = Sample(image, tf.constant(BOXES), tf.constant([1, 2], tf.int64))
    after = augment(before, [augmentation])
    assert not np.allclose(after.image, image)
    assert after.image.numpy().min() >= 0
    assert after.image.numpy().max() <= 255
    np.testing.assert_array_equal(after.boxes_yxyx, BOXES)


def test_an_image_without_boxes_survives_every_augmentation():
    from odflow.training.augmentation import Sample, augment

    empty = Sample(tf.zeros([50, 60, 3]), tf.zeros([0, 4]), tf.zeros([0], tf.int64))
    out = augment(
        empty,
        [Augmentation("random_crop_image", CROP), Augmentation("ssd_random_crop", operations=DEFAULT_CROPS)],
    )
    assert out.boxes_yxyx.shape == (0, 4)
