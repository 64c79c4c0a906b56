"""The losses, against plain loops over images, cells and boxes."""

import numpy as np
import pytest

from odflow.formats.label_map import Label
from odflow.heads.visibility.settings import Look, VisibilityModel
from odflow.training.settings import LearningRate, Optimizer, Settings, Training

tf = pytest.importorskip("tensorflow")

from odflow.heads.visibility.architecture import Visibility  # noqa: E402
from odflow.heads.visibility.losses import cell_loss, image_loss  # noqa: E402

IMAGES, ROWS, COLUMNS, CLASSES, BOXES = 6, 5, 7, 3, 4


@pytest.fixture(scope="module")
def batch():
    """Logits of cells, boxes and their classes; most images have fewer boxes than there is room, one none."""
    chance = np.random.default_rng(8)
    logits = chance.normal(size=(IMAGES, ROWS, COLUMNS, CLASSES))
    corners = np.sort(chance.uniform(size=(IMAGES, BOXES, 2, 2)), axis=2)
    boxes = corners.reshape(IMAGES, BOXES, 4)
    boxes[0, 0] = [0.31, 0.32, 0.33, 0.34]  # smaller than a cell
    classes = np.eye(CLASSES)[chance.integers(0, CLASSES, (IMAGES, BOXES))]
    classes[np.arange(BOXES) >= chance.integers(1, BOXES, (IMAGES, 1))] = 0
    classes[-1], boxes[-1] = 0, 0
    return [array.astype(np.float32) for array in (logits, boxes, classes)]


def entropy(logit, is_so):
    return np.log1p(np.exp(-logit if is_so else logit))


def state(row, column, box):
    """1 where a cell is in the middle of a box, 0 where it is outside, None between."""
    y, x = (row + 0.5) / ROWS, (column + 0.5) / COLUMNS
    ymin, xmin, ymax, xmax = box
    from_middle = abs(y - (ymin + ymax) / 2), abs(x - (xmin + xmax) / 2)
    reach = (ymax - ymin) / 2, (xmax - xmin) / 2
    cell = 0.5 / ROWS, 0.5 / COLUMNS

    def within(share):
        return all(
            away <= max(share * far, half) for away, far, half in zip(from_middle, reach, cell, strict=True)
        )

    return 1 if within(0.5) else None if within(1) else 0


def test_cells_are_asked_in_the_middle_of_boxes_and_outside(batch):
    logits, boxes, classes = batch
    found = cell_loss(*map(tf.constant, batch)).numpy()
    for image in range(IMAGES):
        asked = {True: [], False: []}
        for row, column, one in np.ndindex(ROWS, COLUMNS, CLASSES):
            mine = [
                state(row, column, box)
                for box, of in zip(boxes[image], classes[image], strict=True)
                if of[one]
            ]
            is_so = 1 in mine
            if is_so or None not in mine:
                asked[is_so].append(entropy(logits[image, row, column, one], is_so))
        wanted = sum(np.mean(losses) for losses in asked.values() if losses)
        assert found[image] == pytest.approx(wanted, rel=1e-4)


def test_a_box_smaller_than_a_cell_has_a_cell(batch):
    logits = tf.zeros([1, ROWS, COLUMNS, 1])
    box, one = tf.constant([[[0.31, 0.32, 0.33, 0.34]]]), tf.ones([1, 1, 1])
    with_box, without = (float(cell_loss(logits, box, one * there)[0]) for there in (1, 0))
    assert with_box == pytest.approx(2 * np.log(2))
    assert without == pytest.approx(np.log(2))


def test_an_image_shows_what_any_of_its_cells_shows(batch):
    logits, _, classes = batch
    visible = classes.max(1)
    wanted = np.where(
        visible > 0, entropy(logits.max((1, 2)), True), entropy(logits.max((1, 2)), False)
    ).mean(1)
    np.testing.assert_allclose(image_loss(tf.constant(logits), tf.constant(visible)), wanted, rtol=1e-5)


def test_small_batches_add_up_to_a_large_one(batch):
    nothing = Training(1, 1, Optimizer("adam", LearningRate("constant", 0.0)))
    labels = tuple(Label(number, str(number)) for number in range(1, CLASSES + 1))
    kind = Visibility(Settings(VisibilityModel(labels, Look(64, 64)), nothing))
    logits, boxes, classes = batch

    def losses(rows):
        labels = {"boxes": boxes[rows], "classes": classes[rows], "visible": classes[rows].max(1)}
        weight = kind.normalizer({name: tf.constant(values) for name, values in labels.items()})
        return {name: term * weight for name, term in kind.losses(tf.constant(logits[rows]), labels).items()}

    whole, one, other = losses(slice(None)), losses(slice(0, 2)), losses(slice(2, None))
    assert set(whole) == {"classification_loss", "localization_loss"}
    for name, value in whole.items():
        assert float(value) == pytest.approx(float(one[name] + other[name]), rel=1e-5)
