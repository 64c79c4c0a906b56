import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from pycocotools import mask

from odflow.ops.boxes import area, iou, sides, to_normalized, turn_upright

SPAN = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)
BOX = st.tuples(SPAN, SPAN).map(lambda spans: [spans[0][0], spans[1][0], spans[0][1], spans[1][1]])
BOXES = st.lists(BOX, min_size=1, max_size=6).map(lambda boxes: np.array(boxes, np.float64))


@settings(deadline=None)
@given(BOXES, BOXES)
def test_iou_is_what_counting_unit_squares_gives(first, second):
    def squares(box):
        xmin, ymin, xmax, ymax = box.astype(int)
        return {(x, y) for x in range(xmin, xmax) for y in range(ymin, ymax)}

    expected = [
        [len(squares(a) & squares(b)) / max(1, len(squares(a) | squares(b))) for b in second] for a in first
    ]
    np.testing.assert_allclose(iou(first, second), expected)


@settings(deadline=None)
@given(BOXES, BOXES)
def test_iou_is_what_pycocotools_gives(first, second):
    first, second = (np.add(boxes, [0, 0, 1, 1]) for boxes in (first, second))  # it divides by the area
    ours = iou(first, second)
    theirs = mask.iou(
        *(np.column_stack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2])) for boxes in (first, second)),
        [0] * len(second),
    )
    np.testing.assert_allclose(ours, theirs)


def test_no_boxes_have_no_overlap():
    assert iou(np.zeros((0, 4)), np.ones((3, 4))).shape == (0, 3)


def test_a_box_that_ends_before_it_starts_has_no_size():
    boxes = np.array([[5.0, 1.0, 3.0, 4.0], [0.0, 0.0, 2.0, 3.0]])
    assert area(boxes).tolist() == [0, 6]
    assert [side.tolist() for side in sides(boxes)] == [[0, 2], [3, 3]]


def test_normalized_boxes_are_shares_clipped_to_the_image():
    shares = to_normalized(np.array([[10.0, -5.0, 250.0, 50.0]]), np.array([[200, 100]]))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, [[0.05, 0, 1, 0.5]])


WIDTH, HEIGHT = 11, 7
FILLED = st.tuples(
    st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, WIDTH), st.integers(1, HEIGHT)
).map(lambda box: [box[0], box[1], min(box[0] + box[2], WIDTH), min(box[1] + box[3], HEIGHT)])


@settings(deadline=None)
@given(FILLED, st.integers(1, 8))
def test_a_turned_box_is_around_what_pillow_turns(box, orientation):
    """The box is painted on the stored picture, which Pillow turns by its tag."""
    xmin, ymin, xmax, ymax = box
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[ymin:ymax, xmin:xmax] = 255
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(picture)
    expected = upright.getbbox()
    np.testing.assert_array_equal(turn_upright(np.array([box]), orientation, (WIDTH, HEIGHT)), [expected])
    sides = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    shares = turn_upright(np.array([box]) / sides, orientation, (1, 1)) * np.tile(upright.size, 2)
    np.testing.assert_allclose(shares, [expected])
