import numpy as np
import pytest
from PIL import Image

from odflow.formats.drawn_boxes import Drawing, DrawnBox, PlacedBoxes
from odflow.formats.images import ImageFile, ImageSize, image_size, read_image

BOX = DrawnBox("cat", (10, 20, 30, 50))
IMAGE = ImageFile("a.jpg", None)
WIDE = ImageSize(120, 80, "jpeg")


def placed(*boxes, size=WIDE, exif=None, **drawing):
    found = PlacedBoxes()
    found.add(IMAGE, size, Drawing("a.xml", list(boxes), **drawing), exif)
    return found


def corners(found):
    return [tuple(row[5:9]) for row in found.rows]


def counts(found):
    return {left.name: left.number for left in found.told() if left.number}


def turned(orientation):
    """An image of 120x80 upright."""
    return ImageSize(120, 80, "jpeg", orientation)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shares", [False, True])
def test_cases_of_exif_turn_a_box_to_where_its_object_is(tmp_path, form, orientation, shares):
    """A white object is painted into the stored pixels; the box must be around it in what is read."""
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[16:48, 8:40] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "JPEG" else {}
    Image.fromarray(pixels).save(tmp_path / "a", form, exif=exif, **options)
    box = DrawnBox("cat", (8 / 120, 0.2, 40 / 120, 0.6) if shares else (8, 16, 40, 48))
    drawing = Drawing("a.xml", [box], shares=shares, size=None if shares else (120, 80))
    found = PlacedBoxes()
    size = image_size(tmp_path / "a")
    told = size.orientation >= 5 and not shares
    found.add(ImageFile("a", tmp_path / "a"), size, drawing, None if told else "stored")
    rows, columns = (read_image(tmp_path / "a").max(axis=2) > 128).nonzero()
    assert corners(found) == [(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]
    assert counts(found) == ({"images_turned": 1} if orientation > 1 else {})


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("exif", [None, "upright"])
def test_upright_boxes_stay_where_they_are(orientation, exif):
    found = PlacedBoxes()
    found.add(IMAGE, turned(orientation), Drawing("a.xml", [BOX]), exif)
    assert corners(found) == [BOX.corners]
    assert counts(found) == ({"images_of_unknown_turn": 1} if exif is None else {})


@pytest.mark.parametrize(
    ("size", "said", "told"),
    [
        (turned(1), (120, 80), {}),
        (turned(6), (120, 80), {}),  # the size is the upright one
        (turned(6), (80, 120), {"images_turned": 1}),
        (turned(8), (80.0, 120.0), {"images_turned": 1}),
        (turned(2), (120, 80), {"images_of_unknown_turn": 1}),
        (turned(3), (120, 80), {"images_of_unknown_turn": 1}),
        (turned(4), (120, 80), {"images_of_unknown_turn": 1}),
        (turned(6), None, {"images_of_unknown_turn": 1}),
        (ImageSize(90, 90, "png", 6), (90, 90), {"images_of_unknown_turn": 1}),
        (ImageSize(90, 90, "png", 1), (90, 90), {}),
    ],
)
def test_cases_of_exif_that_the_size_tells_or_not(size, said, told):
    found = PlacedBoxes()
    found.add(IMAGE, size, Drawing("a.xml", [BOX], size=said))
    assert counts(found) == told


def test_those_that_tell_are_named_to_judge_those_that_do_not():
    found = PlacedBoxes()
    found.add(ImageFile("told.jpg", None), turned(6), Drawing("a.xml", [BOX], size=(80, 120)))
    found.add(
        ImageFile("square.jpg", None), ImageSize(90, 90, "jpeg", 6), Drawing("b.xml", [BOX], size=(90, 90))
    )
    (line,) = (str(left) for left in found.told() if left.name == "images_of_unknown_turn")
    assert "(square.jpg)" in line
    assert line.endswith("By their sizes, 1 others were drawn as stored.")


def test_an_image_without_a_box_is_not_unsure():
    found = PlacedBoxes()
    found.add(IMAGE, turned(3), Drawing("a.xml"))
    assert counts(found) == {}


@pytest.mark.parametrize(
    ("size", "said", "exif", "message"),
    [
        (turned(1), (9, 48), None, "is for an image of 9x48, but None has 120x80"),
        (turned(1), (80, 120), None, "is for an image of 80x120"),
        (turned(3), (80, 120), None, "is for an image of 80x120"),
        (turned(6), (9, 48), None, r"has 120x80 \(80x120 as stored, which EXIF turns\)"),
        (turned(6), (80, 120), "upright", "80x120 is its size as stored; EXIF turns it to 120x80"),
        (turned(6), (120, 80), "stored", "120x80 is its size upright"),
        (turned(1), (64.5, 48), "stored", "is for an image of 64.5x48"),
    ],
)
def test_a_size_that_does_not_fit_is_a_fault(size, said, exif, message):
    found = PlacedBoxes()
    found.add(IMAGE, size, Drawing("a.xml", [BOX], size=said), exif)
    ((line,),) = found.faults.values()
    assert found.rows == []
    with pytest.raises(ValueError, match=message):
        raise ValueError(line)


@pytest.mark.parametrize(
    ("box", "inside", "told"),
    [
        ((0, 0, 120, 80), (0, 0, 120, 80), {}),
        ((-0.4, 0, 120.4, 80), (0, 0, 120, 80), {}),  # rounding
        ((-1, 0, 121, 80), (0, 0, 120, 80), {"boxes_clipped": 1}),
        ((10, 10, 1000, 20), (10, 10, 120, 20), {"boxes_clipped": 1}),
        ((10, 10, 10, 20), None, {"boxes_without_area": 1}),
        ((10, 20, 30, 20), None, {"boxes_without_area": 1}),
        ((0, 0, 0, 0), None, {"boxes_without_area": 1}),
        ((120, 10, 130, 20), None, {"boxes_without_area": 1}),
        ((-30, -30, -10, -10), None, {"boxes_without_area": 1}),
    ],
)
def test_cases_of_boxes_that_leave_their_image(box, inside, told):
    found = placed(DrawnBox("cat", box))
    assert corners(found) == ([inside] if inside else [])
    assert counts(found) == told


@pytest.mark.parametrize(
    ("boxes", "wrong"),
    [
        ([(0.1, 0.2, 0.5, 0.7)], True),
        ([(0.1, 0.2, 0.5, 0.7), (0, 0, 1, 1)], True),
        ([(0, 0, 0, 0), (0.1, 0.2, 0.5, 0.7)], True),
        ([(0.1, 0.2, 0.5, 0.7), (3, 3, 9, 9)], False),
        ([(0, 0, 2, 1)], False),
        ([(0, 0, 0, 0)], False),
        ([], False),
    ],
)
def test_cases_of_shares_where_pixels_are_wanted(boxes, wrong):
    found = placed(*(DrawnBox("cat", box) for box in boxes))
    assert bool(found.faults) is wrong
    tiny = PlacedBoxes()
    tiny.add(IMAGE, ImageSize(2, 2, "png"), Drawing("a.xml", [DrawnBox("cat", box) for box in boxes]))
    assert not tiny.faults


def test_one_fault_leaves_out_the_whole_image():
    found = placed(BOX, faults=["a.xml:3: object 2: has no name."])
    assert (found.rows, found.faults) == ([], {"a.jpg": ["a.xml:3: object 2: has no name."]})


def test_outlines_are_counted_and_images_named_once():
    found = placed(*[DrawnBox("cat", BOX.corners, outline=True)] * 3)
    (line,) = (str(left) for left in found.told() if left.number)
    assert line == "3 polygons or turned boxes became the boxes around them (a.jpg)."
