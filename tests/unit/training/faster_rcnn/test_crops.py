"""Crops of feature maps and masks, against TensorFlow's own and NumPy."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")


@pytest.mark.parametrize(
    ("side", "level"), [(10, 0), (55, 0), (57, 1), (111, 1), (113, 2), (225, 3), (449, 4), (2000, 4)]
)
def test_a_box_of_224_pixels_belongs_to_the_last_map_but_one(side, level):
    from odflow.training.faster_rcnn.crops import feature_levels

    assert int(feature_levels(tf.constant([[5.0, 5.0, 5.0 + side, 5.0 + side]]), 5)[0]) == level


def test_a_box_without_area_belongs_to_the_finest_map():
    from odflow.training.faster_rcnn.crops import feature_levels

    assert feature_levels(tf.zeros([1, 4]), 5).numpy().tolist() == [0]


def test_each_crop_comes_from_the_map_of_its_size(model):
    from odflow.training.faster_rcnn.crops import crop

    rng = np.random.default_rng(2)
    maps = [rng.normal(size=(2, 96 // s, 128 // s, 3)).astype("f") for s in (8, 16, 32)]
    boxes = np.array(
        [
            [[0, 0, 90, 120], [10, 10, 70, 70], [0, 0, 0, 0]],
            [[30, 3, 60, 50], [0, 0, 96, 128], [5, 5, 30, 30]],
        ],
        "f",
    )
    levels = [[0, 0, 0], [0, 0, 0]]
    for i in range(2):
        for j in range(3):
            area = max((boxes[i, j, 2] - boxes[i, j, 0]) * (boxes[i, j, 3] - boxes[i, j, 1]), 1)
            levels[i][j] = int(np.clip(np.floor(np.log2(np.sqrt(area) / 224)) + 1, 0, 2))
    got = crop([tf.constant(m) for m in maps], tf.constant(boxes), (96, 128), model.crop)
    assert got.shape == (6, 7, 7, 3)
    for n, (i, j) in enumerate(np.ndindex(2, 3)):
        share = boxes[i, j] / [96, 128, 96, 128]
        whole = tf.image.crop_and_resize(maps[levels[i][j]], [share], [i], [14, 14])[0].numpy()
        np.testing.assert_allclose(got[n], whole.reshape(7, 2, 7, 2, 3).max(axis=(1, 3)), atol=1e-5)


def test_masks_are_cut_as_from_the_whole_image():
    from odflow.training.faster_rcnn.crops import crop_masks

    rows, columns = np.mgrid[:100, :120]
    image = (((rows - 50) / 30) ** 2 + ((columns - 60) / 40) ** 2 < 1).astype("f")
    box = np.array([20.0, 20.0, 80.0, 100.0], "f")
    share = box / [100, 120, 100, 120]
    own = tf.image.crop_and_resize(image[None, :, :, None], [share], [0], [112, 112])[..., 0]
    masks = tf.stack([tf.zeros_like(own), own], axis=1)  # (1, 2, 112, 112)
    frames = tf.constant([[[0, 0, 1, 1], box]])
    proposals = np.array([[[10, 30, 70, 110], [30, 30, 60, 60]]], "f")
    got = crop_masks(masks, frames, tf.constant([[1, 1]]), tf.constant(proposals), (15, 13))
    assert got.shape == (1, 2, 15, 13)
    for found, proposal in zip(got[0].numpy(), proposals[0], strict=True):
        wanted = tf.image.crop_and_resize(
            image[None, :, :, None], [proposal / [100, 120, 100, 120]], [0], [15, 13]
        )[0, ..., 0]
        assert np.abs(found - wanted.numpy()).mean() < 0.02
        assert ((found > 0.5) == (wanted.numpy() > 0.5)).mean() > 0.97
