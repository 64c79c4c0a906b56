import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco
from pycocotools.coco import COCO

from odflow.errors import ConfigError, InputError
from odflow.formats.coco_masks import coco_masks
from odflow.formats.mask_classes import number_classes, read_mask_classes
from odflow.formats.masks import UNCOVERED
from odflow.formats.png_masks import read_mask
from odflow.formats.regions import checked_rle, paint, polygons_rle
from odflow.formats.yolo_masks import yolo_masks

H, W = 40, 60


def inside(polygon, height, width):
    """Even-odd rule at the middle of each pixel, and how far that is from the nearest edge."""
    points = np.array(polygon).reshape(-1, 2)
    y, x = np.mgrid[:height, :width] + 0.5
    odd = np.zeros((height, width), bool)
    far = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
        with np.errstate(all="ignore"):
            odd ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        t = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (length or 1), 0, 1)
        far = np.minimum(far, np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)))
    return odd, far


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, W), st.floats(0, H)), min_size=3, max_size=7))
def test_polygons_cover_what_is_inside(points):
    polygon = [number for point in points for number in point]
    drawn = coco.decode(polygons_rle([polygon], H, W)).astype(bool)
    odd, far = inside(polygon, H, W)
    np.testing.assert_array_equal(drawn[far > 1.5], odd[far > 1.5])


@settings(deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)))
def test_run_lengths_of_both_forms_round_trip(mask):
    height, width = mask.shape
    packed = coco.encode(np.asfortranarray(mask))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel(), [2]])))
    plain = np.diff(np.concatenate([[0], edges])).tolist()
    for counts in (packed["counts"], packed["counts"].decode(), plain):
        rle = checked_rle({"size": [height, width], "counts": counts}, height, width)
        np.testing.assert_array_equal(coco.decode(rle), mask)


@pytest.mark.parametrize(
    "counts", [[2, 3], [0, 100], [20, -4], "0PPPP9", "\x7f~~~~", "ooo", [1.0, 15.0], None, [True] * 16 + [9]]
)
def test_run_lengths_that_do_not_fit_are_refused(counts):
    with pytest.raises(InputError, match="16 pixels"):
        checked_rle({"size": [4, 4], "counts": counts}, 4, 4)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=30))
def test_no_text_is_taken_that_covers_another_number_of_pixels(text):
    try:
        rle = checked_rle({"size": [5, 6], "counts": text}, 5, 6)
    except InputError:
        return
    assert coco.area(rle) <= 30
    assert coco.decode(rle).shape == (5, 6)


@pytest.mark.parametrize(
    "polygon", [[1, 1, 2, 2], [1, 1, 2, 2, 3], [[1, 2], [3, 4]], "abc", [np.nan] * 6, [1e9] * 6]
)
def test_polygons_that_are_none_are_refused(polygon):
    with pytest.raises(InputError, match="polygon"):
        polygons_rle([polygon], H, W)


def test_the_smaller_object_is_on_top_whatever_the_order():
    large = polygons_rle([[0, 0, W, 0, W, H, 0, H]], H, W)
    small = polygons_rle([[10, 10, 20, 10, 20, 20, 10, 20]], H, W)
    expected = np.full((H, W), 1)
    expected[10:20, 10:20] = 2
    for order in ([(1, large), (2, small)], [(2, small), (1, large)]):
        np.testing.assert_array_equal(paint(order, 0, height=H, width=W), expected)
    assert paint([(1, small), (2, small)], 0, height=H, width=W)[15, 15] == 2


def read(found, key, size, tmp_path, numbers=None):
    numbers = numbers or number_classes(found.classes, {}, None).numbers
    encoded = found.masks[key].read(size, numbers)
    (tmp_path / "encoded.png").write_bytes(encoded.data)
    return read_mask(tmp_path / "encoded.png")


@pytest.fixture
def yolo(tmp_path):
    def write(text):
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / "a.txt").write_text(text)
        (tmp_path / "names.yaml").write_text("names: [person, car]")
        return yolo_masks(tmp_path / "labels", read_mask_classes(tmp_path / "names.yaml"))

    return write


def test_yolo_polygons_become_a_mask(yolo, tmp_path):
    found = yolo("1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n\n")
    assert found.classes == {UNCOVERED: "background", 0: "person", 1: "car"}
    expected = np.zeros((H, W))
    expected[10:30, 15:45] = 2
    np.testing.assert_array_equal(read(found, "a", (W, H), tmp_path), expected)
    assert not read(yolo(""), "a", (W, H), tmp_path).any()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.2 0.2", "found 5 values"),
        ("0 0.5 0.5 0.2 0.2 0.1 0.1 0.7", "found 8 values"),
        ("0 0.1 0.1 0.2 x 0.1 0.7", "found 7 values"),
        ("0 0.1 0.1 nan 0.1 0.1 0.7", "coordinate nan"),
        ("0 10 10 20 10 20 20", "coordinate 10"),
        ("2 0.1 0.1 0.2 0.1 0.2 0.2", "class 2, which .*names.yaml lacks"),
        ("nan 0.1 0.1 0.2 0.1 0.2 0.2", "found 7 values"),
    ],
)
def test_yolo_lines_are_checked(yolo, tmp_path, line, told):
    with pytest.raises(InputError, match=f"a.txt:2: .*{told}"):
        read(yolo(f"0 0 0 1 0 1 1\n{line}\n"), "a", (W, H), tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_yolo_text_is_read_by_its_mark(yolo, tmp_path, encoding):
    found = yolo("")
    (tmp_path / "labels/a.txt").write_bytes("0 0 0 1 0 1 1\r\n".encode(encoding))
    assert read(found, "a", (W, H), tmp_path).any()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"0 0 0 1 0 1 1\n# caf\xe9\n", r"a\.txt:2: is not UTF-8 text \(byte 0xe9\)"),
        (b"\xff\xfe\x00", r"a\.txt:1: is not UTF-16 text"),
        (
            b"0 0 0 1 0 1 1\n2 0 0 1 0 1 1\n\n0 7 0 1 0 1 1",
            r"(?s)a\.txt:2: .*class 2.*\n.*a\.txt:4: .*coordinate 7",
        ),
    ],
)
def test_yolo_text_that_is_wrong_is_told_line_by_line(yolo, tmp_path, data, told):
    found = yolo("")
    (tmp_path / "labels/a.txt").write_bytes(data)
    with pytest.raises(InputError, match=told):
        read(found, "a", (W, H), tmp_path)


@pytest.mark.parametrize("polygon", [[10**400] * 6, ["a"] * 6, [[1, 2], [3]], [None] * 6, [{}], [1e300] * 6])
def test_polygons_of_something_else_are_refused(polygon):
    with pytest.raises(InputError, match="a polygon"):
        polygons_rle([polygon], H, W)


def coco_data():
    rng = np.random.default_rng(3)
    crowd = coco.encode(np.asfortranarray(rng.random((H, W)) < 0.4, dtype=np.uint8))
    crowd["counts"] = crowd["counts"].decode()
    return {
        "images": [
            {"id": 5, "file_name": "in/a.jpg", "width": W, "height": H},
            {"id": 6, "file_name": "nothing.jpg", "width": W, "height": H},
        ],
        "categories": [{"id": 90, "name": "car"}, {"id": 3, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 90, "segmentation": crowd, "iscrowd": 1},
            {
                "id": 2,
                "image_id": 5,
                "category_id": 3,
                "iscrowd": 0,
                "segmentation": [[3.2, 4, 20.5, 8, 9, 30.25], [30, 10, 50, 12, 40, 35.5, 31, 20]],
            },
            {
                "id": 3,
                "image_id": 5,
                "category_id": 90,
                "iscrowd": 0,
                "segmentation": {"size": [H, W], "counts": [100, 7, H * W - 107]},
            },
        ],
    }


def write_json(tmp_path, data):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(data))
    return path


def test_coco_masks_are_what_pycocotools_makes_of_each_annotation(tmp_path):
    path = write_json(tmp_path, coco_data())
    found, oracle = coco_masks(path), COCO(str(path))
    assert found.classes == {UNCOVERED: "background", 90: "car", 3: "person"}
    parts = [(oracle.annToMask(one), one["category_id"]) for one in oracle.dataset["annotations"]]
    numbers = number_classes(found.classes, {}, None).numbers
    assert numbers == {UNCOVERED: 0, 3: 1, 90: 2}
    expected = np.zeros((H, W))
    for part, category in sorted(parts, key=lambda one: -int(one[0].sum())):
        expected[part == 1] = numbers[category]
    np.testing.assert_array_equal(read(found, "in/a", (W, H), tmp_path), expected)
    assert not read(found, "nothing", (W, H), tmp_path).any()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.pop("images"), "lacks 'images'"),
        (lambda data: data["annotations"][0].pop("segmentation"), "lacks 'segmentation'"),
        (lambda data: data["annotations"][0].update(image_id=7), "annotation 1 is of image 7"),
        (lambda data: data["annotations"][1].update(category_id=7), "annotation 2 .*category 7"),
        (lambda data: data["images"][0].update(file_name="../a.jpg"), "inside the images folder"),
        (lambda data: data["images"][0].update(file_name="nothing.png"), "one name without extension"),
        (lambda data: data["images"].append(4), "another form"),
    ],
)
def test_coco_files_are_checked(tmp_path, change, told):
    data = coco_data()
    change(data)
    with pytest.raises(InputError, match=f"instances.json: .*{told}"):
        coco_masks(write_json(tmp_path, data))


def test_what_is_wrong_with_one_coco_image_names_it(tmp_path):
    data = coco_data()
    data["annotations"][2]["segmentation"]["counts"][0] = 99
    found = coco_masks(write_json(tmp_path, data))
    with pytest.raises(InputError, match=r"instances.json: in/a.jpg: annotation 3 has run lengths"):
        read(found, "in/a", (W, H), tmp_path)
    with pytest.raises(InputError, match=r"in/a.jpg: has 60x40 pixels, its image 60x41"):
        read(found, "in/a", (W, H + 1), tmp_path)


def test_more_classes_than_a_mask_holds_must_be_mapped(tmp_path):
    data = coco_data()
    data["categories"] += [{"id": 1000 + n, "name": f"thing {n}"} for n in range(300)]
    found = coco_masks(write_json(tmp_path, data))
    with pytest.raises(ConfigError, match="more than the 255"):
        number_classes(found.classes, {}, None)
    numbers = number_classes(found.classes, {"person": "person"}, "background").numbers
    assert set(np.unique(read(found, "in/a", (W, H), tmp_path, numbers))) == {0, 1}
