"""Each augmentation must move boxes, masks and keypoints as it moves the pixels: painted objects tell."""

import numpy as np
import pytest

from odflow.training.config.augmentation import DEFAULT_CROPS
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
SQUARES = tuple({**crop, "min_aspect_ratio": 1.2, "max_aspect_ratio": 1.2} for crop in DEFAULT_CROPS)
MOVES = [
    Augmentation("random_horizontal_flip", {"probability": 1.0}),
    Augmentation("random_vertical_flip", {"probability": 1.0}),
    Augmentation("random_crop_image", CROP),
    Augmentation("ssd_random_crop", {"operations": DEFAULT_CROPS}),
    Augmentation("ssd_random_crop_fixed_aspect_ratio", {"operations": SQUARES, "aspect_ratio": 1.2}),
    Augmentation(
        "random_square_crop_by_scale",
        {"max_border": 128, "scale_min": 0.6, "scale_max": 1.3, "num_scales": 8},
    ),
    Augmentation("random_image_scale", {"min_scale_ratio": 0.5, "max_scale_ratio": 2.0}),
    Augmentation(
        "random_scale_crop_and_pad_to_square", {"output_size": 120, "scale_min": 0.5, "scale_max": 1.6}
    ),
    Augmentation(
        "random_absolute_pad_image",
        {"max_height_padding": 40, "max_width_padding": 60, "pad_color": (9, 8, 7)},
    ),
]


def painted():
    """A black 100x200 picture; box 1 filled with red, box 2 with green; a keypoint in the middle of each."""
    from odflow.training.examples.augmentation import Sample

    image = np.zeros((100, 200, 3), np.uint8)
    image[10:30, 20:80, 0] = 255
    image[50:90, 120:180, 1] = 255
    middle = (BOXES[:, :2] + BOXES[:, 2:]) / 2
    return Sample(
        tf.constant(image),
        tf.constant(BOXES),
        tf.constant([1, 2], tf.int64),
        tf.constant([0.5, 2.0]),
        tf.constant((image[..., :2] > 0).transpose(2, 0, 1).astype(np.uint8)),
        tf.constant(middle[:, None]),
        tf.ones([2, 1], tf.bool),
    )


def changed(sample, *augmentations, seed=0):
    from odflow.training.examples.augmentation import augment

    return augment(sample, augmentations, tf.constant([7, seed], tf.int64))


def check(sample):
    """Every box must hold the colour of its class, from edge to edge; masks and keypoints lie on it."""
    image = sample.image.numpy()
    height, width = image.shape[:2]
    kinds = sample.classes.numpy()
    np.testing.assert_array_equal(sample.weights, [0.5 if kind == 1 else 2.0 for kind in kinds])
    for i, (box, kind) in enumerate(zip(sample.boxes_yxyx.numpy(), kinds, strict=True)):
        colour = image[..., kind - 1] > 127
        rows, columns = np.nonzero(colour)
        found = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(found, np.clip(box, 0, 1) * [height, width, height, width], atol=2.5)
        mask = sample.masks[i].numpy() > 0
        assert mask.shape == colour.shape
        assert (mask != colour).sum() <= 3 * sum(colour.shape)  # an edge may lie a pixel off
        y, x = sample.keypoints[i, 0].numpy()
        if not np.isnan(y):
            assert colour[min(int(y * height), height - 1), min(int(x * width), width - 1)]


@pytest.mark.parametrize("augmentation", MOVES, ids=lambda augmentation: augmentation.kind)
def test_objects_follow_the_pixels(augmentation):
    results = [changed(painted(), augmentation, seed=seed) for seed in range(8)]
    for result in results:
        check(result)
    assert any(len(result.classes) for result in results)
    assert any(not np.isnan(result.keypoints).any() for result in results if len(result.classes))


@pytest.mark.parametrize("augmentation", MOVES, ids=lambda augmentation: augmentation.kind)
def test_boxes_alone_move_as_they_do_with_masks_and_keypoints(augmentation):
    bare = painted()._replace(masks=None, keypoints=None, visibilities=None, weights=None)
    for seed in range(4):
        full, alone = changed(painted(), augmentation, seed=seed), changed(bare, augmentation, seed=seed)
        np.testing.assert_array_equal(full.boxes_yxyx, alone.boxes_yxyx)
        np.testing.assert_array_equal(full.image, alone.image)
        assert alone.masks is None
        assert alone.keypoints is None


def test_the_seed_decides_every_draw():
    augmentations = [*MOVES[2:3], Augmentation("random_adjust_hue", {"max_delta": 0.1})]
    first, again, other = (changed(painted(), *augmentations, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes_yxyx, again.boxes_yxyx)
    assert first.image.shape != other.image.shape or not np.allclose(first.image, other.image)


def test_two_of_a_kind_draw_apart():
    """A flip that is as likely as not, twice: in half of the cases one of the two happens."""
    flip = Augmentation("random_horizontal_flip", {"probability": 0.5})
    flipped = [
        not np.allclose(changed(painted(), flip, flip, seed=seed).boxes_yxyx, BOXES) for seed in range(40)
    ]
    assert 8 <= sum(flipped) <= 32


def test_a_flip_mirrors_boxes_and_swaps_keypoints():
    points = tf.constant([[[0.2, 0.1], [0.2, 0.3]], [[0.7, 0.6], [np.nan, np.nan]]])
    sample = painted()._replace(keypoints=points, visibilities=tf.constant([[True, True], [True, False]]))
    flip = Augmentation("random_horizontal_flip", {"probability": 1.0, "keypoint_flip_permutation": (1, 0)})
    flipped = changed(sample, flip)
    np.testing.assert_allclose(flipped.boxes_yxyx[0], [0.1, 0.6, 0.3, 0.9], atol=1e-6)
    np.testing.assert_allclose(flipped.keypoints[0], [[0.2, 0.7], [0.2, 0.9]], atol=1e-6)
    np.testing.assert_allclose(flipped.keypoints[1], [[np.nan, np.nan], [0.7, 0.4]], atol=1e-6)
    assert flipped.visibilities.numpy().tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(("overlap", "left"), [(0.0, [0]), (0.45, [0]), (0.55, [])])
def test_a_crop_drops_objects_that_it_covers_too_little_of(overlap, left):
    """The left quarter of the picture holds half of the first box and nothing of the second."""
    from odflow.training.examples.augmentation.sample import rows_covered, seen_through

    window = tf.constant([0.0, 0.0, 1.0, 0.25])
    rows = rows_covered(tf.constant(BOXES), window, overlap)
    assert rows.numpy().tolist() == left
    cropped = seen_through(painted().take(rows), window, clip=True)
    if left:
        np.testing.assert_allclose(cropped.boxes_yxyx[0], [0.1, 0.4, 0.3, 1.0], atol=1e-6)


def test_boxes_stand_out_where_they_are_not_to_be_clipped():
    crop = Augmentation("random_crop_image", CROP | {"clip_boxes": False, "max_area": 0.4})
    results = [changed(painted(), crop, seed=seed) for seed in range(8)]
    assert any((result.boxes_yxyx.numpy() > 1.0).any() for result in results)


def test_sizes_are_those_that_the_parameters_ask_for():
    for seed in range(6):
        square = changed(painted(), MOVES[5], seed=seed).image.shape
        assert square[0] == square[1]
        assert square[0] in {int(np.float32(200 * scale)) for scale in np.linspace(0.6, 1.3, 8)}
        height, width, _ = changed(painted(), MOVES[4], seed=seed).image.shape
        assert abs(width - 1.2 * height) <= 1.2
        height, width, _ = changed(painted(), MOVES[8], seed=seed).image.shape
        assert 100 <= height < 140
        assert 200 <= width < 260


def test_padding_has_the_colour_asked_for_or_the_mean():
    padded = changed(painted(), MOVES[8], seed=3).image.numpy()
    margin = padded.reshape(-1, 3)[np.isclose(padded, [9, 8, 7]).all(-1).ravel()]
    assert len(margin) == padded.shape[0] * padded.shape[1] - 100 * 200
    mean = Augmentation("random_absolute_pad_image", MOVES[8].parameters | {"pad_color": ()})
    wanted = painted().image.numpy().reshape(-1, 3).mean(0)
    padded = changed(painted(), mean, seed=3).image.numpy()
    assert np.isclose(padded, wanted, atol=1e-3).all(-1).sum() == len(margin)


@pytest.mark.parametrize(("size", "border"), [(512, 128), (256, 128), (200, 64), (100, 32), (40, 16)])
def test_the_border_of_a_square_crop_is_halved_until_it_fits(size, border):
    from odflow.training.examples.augmentation.crops import _border

    assert _border(128, tf.constant([size, size])).numpy().tolist() == [border, border]


@pytest.mark.parametrize(
    ("kind", "parameters", "definition"),
    [
        ("random_adjust_brightness", {"max_delta": 0.2}, lambda image, by: image + 255 * by),
        (
            "random_adjust_contrast",
            {"min_delta": 0.8, "max_delta": 1.25},
            lambda image, by: (image - image.mean((0, 1))) * by + image.mean((0, 1)),
        ),
        (
            "random_adjust_saturation",
            {"min_delta": 0.8, "max_delta": 1.25},
            lambda image, by: image.max(-1, keepdims=True) * (1 - by) + image * by,
        ),
    ],
)
def test_colours_change_as_defined_within_their_range(kind, parameters, definition):
    """The factor is found from one pixel; all others must follow it."""
    image = np.random.default_rng(1).integers(90, 160, (20, 20, 3)).astype(np.uint8)
    sample = painted()._replace(image=tf.constant(image))
    seen = set()
    for seed in range(5):
        after = changed(sample, Augmentation(kind, parameters), seed=seed).image.numpy()
        lowest, highest = (parameters.get("min_delta", -parameters["max_delta"]), parameters["max_delta"])
        by = min(
            np.linspace(lowest, highest, 2001),
            key=lambda by: np.abs(definition(image.astype(float), by) - after).sum(),
        )
        np.testing.assert_allclose(after, definition(image.astype(float), by), atol=0.2)
        seen.add(round(float(by), 3))
    assert len(seen) > 2


def test_hue_turns_and_all_stays_within_0_and_255():
    image = np.random.default_rng(1).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    sample = painted()._replace(image=tf.constant(image))
    everything = [
        Augmentation("random_adjust_hue", {"max_delta": 0.1}),
        Augmentation("random_adjust_brightness", {"max_delta": 0.4}),
    ]
    after = changed(sample, *everything)
    assert not np.allclose(after.image, image)
    assert after.image.numpy().min() >= 0
    assert after.image.numpy().max() <= 255
    np.testing.assert_array_equal(after.boxes_yxyx, BOXES)


@pytest.mark.parametrize("augmentation", MOVES, ids=lambda augmentation: augmentation.kind)
def test_an_image_without_objects_survives(augmentation):
    empty = painted().take(tf.zeros([0], tf.int32))
    out = changed(empty, augmentation)
    assert out.boxes_yxyx.shape == (0, 4)
    assert out.masks.shape == (0, *out.image.shape[:2])
