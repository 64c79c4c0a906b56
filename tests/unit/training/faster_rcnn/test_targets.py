"""What anchors are to answer, against NumPy."""

import dataclasses

import numpy as np
import pytest

from odflow.errors import ConfigError

tf = pytest.importorskip("tensorflow")

from odflow.training.examples.augmentation import Sample  # noqa: E402

BOXES = np.array([[0.1, 0.1, 0.5, 0.4], [0.55, 0.5, 0.95, 0.75], [0.2, 0.6, 0.4, 0.9]], "f")


def sample(**changes):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    masks = np.zeros((3, 60, 80), np.uint8)
    masks[0, 6:18, 8:32] = 1  # the upper half of the first box
    found = Sample(image, BOXES, np.array([1, 2, 1]), np.array([1.0, 0.5, 0.0], "f"), masks)
    return Sample(*(v if v is None else tf.constant(v) for v in found._replace(**changes)))


def test_anchors_lie_on_the_feature_map_as_the_api_lays_them(model):
    anchors = model.anchor_boxes()
    assert anchors.shape == (6 * 8 * 6, 4)
    y, x, ratio, scale = 2, 3, 2.0, 0.25
    centre, half = np.array([y, x]) * 16, np.array([scale / ratio**0.5, scale * ratio**0.5]) * 256 / 2
    wanted = np.concatenate([centre - half, centre + half])
    row = ((y * 8) + x) * 6 + 2 * 2 + 1  # rows, columns, aspect ratios, scales
    np.testing.assert_allclose(anchors[row], wanted.clip(0, [96, 128, 96, 128]), rtol=1e-6)


def test_anchors_that_leave_the_picture_are_dropped_or_clipped(model):
    trained = model.anchors_in_training()
    clipping = dataclasses.replace(model, first=dataclasses.replace(model.first, clip_anchors=True))
    assert 0 < trained.sum() < len(trained)
    assert clipping.anchors_in_training().all()
    boxes = model._anchors()
    outside = (boxes[:, :2] < 0).any(1) | (boxes[:, 2:] > [96, 128]).any(1)
    np.testing.assert_array_equal(trained, ~outside)


def test_a_pyramid_s_anchors_lie_on_its_padded_maps(pyramid_model):
    assert pyramid_model.input_size == (128, 128)
    assert len(pyramid_model.anchor_boxes()) == 2 * (16 * 16 + 8 * 8 + 4 * 4 + 2 * 2)
    assert pyramid_model.anchor_boxes()[:, 2].max() == 100


@pytest.mark.parametrize("clip", [False, True])
def test_anchors_are_matched_and_drawn_as_defined(model, clip, numpy_iou, numpy_encode):
    from odflow.training.faster_rcnn.targets import Targets

    model = dataclasses.replace(
        model, first=dataclasses.replace(model.first, clip_anchors=clip, batch_size=400)
    )
    inputs, labels = Targets(model, 5)(sample())
    assert inputs.shape == (96, 128, 3)
    rows, drawn = labels["anchor_rows"].numpy(), labels["anchor_drawn"].numpy() > 0
    trained = np.flatnonzero(model.anchors_in_training())
    anchors, boxes = model.anchor_boxes(), BOXES * [96, 128, 96, 128]
    overlap = numpy_iou(anchors[trained], boxes)
    best, match = overlap.max(1), overlap.argmax(1)
    state = np.where(best >= 0.7, 1, np.where(best < 0.3, 0, -1))
    for box in (1, 0):  # the box without weight takes no anchor by force
        state[overlap[:, box].argmax()], match[overlap[:, box].argmax()] = 1, box
    state[(state == 1) & (match == 2)] = -1
    positives = set(trained[state == 1])
    assert positives
    assert set(rows[drawn & (labels["anchor_classes"].numpy() == 1)]) == positives
    assert set(rows[drawn & (labels["anchor_classes"].numpy() == 0)]) == set(trained[state == 0])
    for row in positives:
        at = list(rows).index(row)
        box = match[list(trained).index(row)]
        assert labels["anchor_weights"][at] == [1.0, 0.5][box]
        wanted = numpy_encode(boxes[box][None], anchors[row][None])[0]
        np.testing.assert_allclose(labels["anchor_encodings"][at], wanted, rtol=1e-3, atol=1e-4)


def test_boxes_are_padded_and_masks_fill_them(model):
    from odflow.training.faster_rcnn.targets import Targets

    _, labels = Targets(model, 5)(sample())
    np.testing.assert_allclose(labels["boxes"][:3], BOXES * [96, 128, 96, 128], rtol=1e-5)
    assert not np.any(labels["boxes"][3:])
    assert labels["classes"].numpy().tolist() == [1, 2, 1, 0, 0]
    assert labels["weights"].numpy().tolist() == [1.0, 0.5, 0.0, 0.0, 0.0]
    mask = labels["masks"][0].numpy()
    assert mask.shape == (112, 112)
    assert mask[:50].mean() > 0.95
    assert mask[62:].mean() < 0.05
    _, few = Targets(model, 2)(sample())
    assert few["boxes"].shape == (2, 4)


def test_an_image_without_boxes_is_all_background(model):
    from odflow.training.faster_rcnn.targets import Targets

    nothing = sample(
        boxes_yxyx=np.zeros((0, 4), "f"),
        classes=np.zeros(0, np.int64),
        weights=np.zeros(0, "f"),
        masks=np.zeros((0, 60, 80), np.uint8),
    )
    _, labels = Targets(model, 5)(nothing)
    assert not np.any(labels["anchor_classes"])
    assert labels["anchor_drawn"].numpy().all()
    assert not np.any(labels["masks"])


def test_what_a_record_lacks_is_said(model):
    from odflow.training.faster_rcnn.targets import Targets

    with pytest.raises(ConfigError, match=r"load_instance_masks: true"):
        Targets(model, 5)(sample(masks=None))
    with pytest.raises(tf.errors.InvalidArgumentError, match="above num_classes, 2"):
        Targets(model, 5)(sample(classes=np.array([1, 2, 3])))


def test_padding_is_black_before_the_mean_is_taken_and_zero_after(pyramid_model):
    from odflow.training.faster_rcnn.targets import resize
    from odflow.training.settings import Resizer

    model = dataclasses.replace(pyramid_model, resizer=Resizer(120, 120, 60))
    inputs, shape = resize(tf.fill([1, 60, 120, 3], 255.0), model)
    assert shape.numpy().tolist() == [60.0, 120.0]
    np.testing.assert_allclose(inputs[0, 30, 50], np.subtract(255, [123.68, 116.779, 103.939]), rtol=1e-5)
    np.testing.assert_allclose(inputs[0, 90, 50], [-123.68, -116.779, -103.939], rtol=1e-5)
    np.testing.assert_allclose(inputs[0, 125, 50], 0.0)
