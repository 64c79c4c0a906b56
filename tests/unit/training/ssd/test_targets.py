import dataclasses

import numpy as np
import pytest

from odflow.training.settings import Matcher, Resizer

tf = pytest.importorskip("tensorflow")

BOXES = np.array([[0.1, 0.2, 0.5, 0.6], [0.4, 0.5, 0.95, 0.9]], np.float32)


def sample(boxes=BOXES, classes=(1, 2), weights=None):
    from odflow.training.examples.augmentation import Sample

    image = np.random.default_rng(2).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    boxes = tf.constant(boxes, tf.float32, (len(boxes), 4))
    weights = None if weights is None else tf.constant(weights, tf.float32)
    return Sample(tf.constant(image), boxes, tf.constant(classes, tf.int64, (len(classes),)), weights)


def labels(model, *given, **named):
    from odflow.training.ssd.targets import Targets

    _, found = Targets(model)(sample(*given, **named))
    return {name: value.numpy() for name, value in found.items()}


def test_targets_decode_back_to_the_boxes_that_they_were_made_of(model):
    from odflow.training.detection.boxes import decode_boxes

    found = labels(model)
    positive = found["box_weights"] > 0
    decoded = decode_boxes(found["encodings"][None], model.anchor_boxes(), model.matching.box_scales)[0]
    wanted = BOXES * [96, 128, 96, 128]
    kinds = found["classes"][positive]
    np.testing.assert_allclose(decoded.numpy()[positive], wanted[kinds - 1], atol=1e-3)
    assert set(kinds) == {1, 2}
    np.testing.assert_array_equal(found["encodings"][~positive], 0)
    np.testing.assert_array_equal(found["classes"][~positive], -1)


def test_every_box_has_its_best_anchor_and_all_good_ones(model):
    from odflow.ops.boxes import iou

    boxes = np.concatenate([BOXES, np.float32([[0.5, 0.5, 0.53, 0.53]])])  # no anchor overlaps it by half
    found = labels(model, boxes, (1, 2, 2))
    overlap = iou(model.anchor_boxes(), boxes * np.float32([96, 128, 96, 128]))
    assert overlap[:, 2].max() < 0.5
    expected = overlap.max(axis=1) >= 0.5
    expected[overlap.argmax(axis=0)] = True
    np.testing.assert_array_equal(found["box_weights"] > 0, expected)


def test_an_image_without_boxes_is_all_background(model):
    found = labels(model, np.zeros((0, 4)), [])
    assert (found["classes"] == -1).all()
    assert (found["matches"] == -1).all()
    assert (found["class_weights"] == 1).all()
    assert (found["box_weights"] == 0).all()


def test_anchors_weigh_what_their_box_weighs_background_as_configured_and_ignored_ones_nothing(model):
    matching = dataclasses.replace(
        model.matching, matcher=Matcher(matched=0.6, unmatched=0.4), negative_weight=0.3
    )
    found = labels(dataclasses.replace(model, matching=matching), weights=[0.25, 2.0])
    matches = found["matches"]
    assert set(matches) == {-2, -1, 0, 1}
    expected = np.select([matches == -2, matches == -1, matches == 0], [0.0, 0.3, 0.25], 2.0)
    np.testing.assert_allclose(found["class_weights"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["box_weights"], np.where(matches < 0, 0, expected), rtol=1e-6)


def test_a_box_that_weighs_nothing_gets_no_anchor_by_force(model):
    matcher = Matcher(matched=1.0, unmatched=1.0, force_match=True)
    matching = dataclasses.replace(model.matching, matcher=matcher)
    found = labels(dataclasses.replace(model, matching=matching), weights=[0.0, 1.0])
    assert sorted(set(found["matches"])) == [-1, 1]


def test_classes_count_from_the_first_slot_where_there_is_none_for_the_background(model):
    with_slot = labels(model)["classes"]
    without = labels(dataclasses.replace(model, background=False))["classes"]
    np.testing.assert_array_equal(without, np.where(with_slot > 0, with_slot - 1, -1))


def test_boxes_are_shares_of_the_picture_not_of_its_padding(model):
    """An image twice as wide as high fills the upper half of a square input."""
    from odflow.training.ssd.targets import Targets

    square = dataclasses.replace(model, resizer=Resizer(128, 128, min_dimension=128))
    wide = sample()._replace(image=tf.zeros([50, 100, 3], tf.uint8))
    _, found = Targets(square)(wide)
    stretched = sample(BOXES * [0.5, 1, 0.5, 1])._replace(image=tf.zeros([128, 128, 3], tf.uint8))
    _, expected = Targets(square)(stretched)
    np.testing.assert_allclose(found["encodings"], expected["encodings"], atol=1e-4)
    np.testing.assert_array_equal(found["classes"], expected["classes"])


def test_a_class_beyond_the_config_is_an_error(model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="class id above num_classes, 2"):
        labels(model, classes=(1, 3))
