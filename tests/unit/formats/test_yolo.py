import pytest
from PIL import Image

from odflow.errors import ConfigError, InputError
from odflow.formats.annotations import place_boxes, yolo_annotations
from odflow.formats.class_names import read_class_names, read_keypoint_values
from odflow.formats.images import ImageFile
from odflow.formats.yolo import is_yolo, parse_yolo, read_yolo, read_yolo_names

NAMES = {0: "cat", 2: "dog"}
LINE = "0 0.5 0.5 0.2 0.4"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "labels/in").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")

    (tmp_path / "names.yaml").write_text("names: {0: cat, 2: dog}")

    def table_of(text):
        (tmp_path / "labels/in/a.txt").write_text(text)
        images = [ImageFile("in/a.png", tmp_path / "a.png")]
        annotations = yolo_annotations(tmp_path / "labels", images, tmp_path / "names.yaml")
        return place_boxes(annotations, images).table().drop(columns="difficult")

    return table_of


def test_a_line_becomes_a_row_in_pixels_clipped_to_the_image(table):
    found = table("2 0.5 0.5 0.25 0.5\n\n0 0.0 1.0 0.5 0.5\n")
    assert found.to_numpy().tolist() == [
        ["in/a.png", 200, 100, "dog", 1.0, 75.0, 25.0, 125.0, 75.0],
        ["in/a.png", 200, 100, "cat", 1.0, 0.0, 75.0, 50.0, 100.0],
    ]


def test_an_empty_file_shows_nothing():
    assert parse_yolo("", "a.txt", NAMES).boxes == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.1 0.1", "class 1 has no name; the names are of 0 to 2"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 has no name"),
        ("-1 0.5 0.5 0.1 0.1", "class -1 has no name"),
        ("1e300 0.5 0.5 0.1 0.1", r"class 1e\+300 has no name"),
        ("cat 0.5 0.5 0.1 0.1", 'the class is "cat"; wanted its number'),
        ("0 0.5 0.5 0.1", "found 4 values"),
        ("0 0.5 0.5 0.1 nan", "found 5 values"),
        ("0 0.5 0.5 0.1 1_0", "found 5 values"),
        ("0 0.5 0.5 0.1 inf", "found 5 values"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "found 8 values"),
        ("0,0.5,0.5,0.1,0.1", "Separate them by blanks, not by commas"),
        ("0, 0.5, 0.5, 0.1, 0.1", "Separate them by blanks, not by commas"),
        ("0;0.5;0.5;0.1;0.1", "found 1 values"),
        ("# cats", "found 2 values"),
        ("0 0.5 0.5 0.1 0.1 # a cat", "found 8 values"),
        ("0 0.5 0.5 -0.1 0.1", "negative size"),
        ("0 50 60 60 60", r"has the value 50; wanted shares .* pixels\? Divide"),
        ("0 0.5 0.5 0.1 60", "has the value 60"),
        ("0 -0.5 0.5 0.1 0.1", "has the value -0.5"),
        ("0 1.02 0.5 0.1 0.1", "has the value 1.02"),
        ("0 10 10 40 10 40 50", "has the value 10"),
        ("0 0.1 0.1 0.4 0.1 0.4 2", "has the value 2"),
        ("0 0.5 0.5 0.1 0.1 1.5", "the sixth value, the score, is 1.5; wanted 0 to 1"),
        ("0 0.5 0.5 0.1 0.1 -0.1", "the score, is -0.1"),
        ("0 0.5 0.5 0.1 0.1 7", "the score, is 7"),
    ],
)
def test_one_bad_line_never_hides_the_others(line, message):
    found = parse_yolo(f"{LINE}\n{line}\n\n{LINE}\r\n{line}", "a.txt", NAMES)
    assert len(found.boxes) == 2
    first, second = found.faults
    assert first.startswith("a.txt:2: ")
    assert second.startswith("a.txt:5: ")
    with pytest.raises(InputError, match=message):
        raise InputError(first)


@pytest.mark.parametrize(
    ("line", "corners", "score", "outline"),
    [
        (LINE, (0.4, 0.3, 0.6, 0.7), 1, False),
        ("0.0 5e-1 .5 +0.2 0.4", (0.4, 0.3, 0.6, 0.7), 1, False),
        (f"{LINE} 0.87", (0.4, 0.3, 0.6, 0.7), 0.87, False),
        (f"{LINE} 0", (0.4, 0.3, 0.6, 0.7), 0, False),
        (f"\t{LINE}\t1.0 ", (0.4, 0.3, 0.6, 0.7), 1, False),
        ("0 0.4 0.3 0.6 0.3 0.6 0.7", (0.4, 0.3, 0.6, 0.7), 1, True),
        ("0 0.6 0.5 0.5 0.7 0.4 0.5 0.5 0.3", (0.4, 0.3, 0.6, 0.7), 1, True),
        ("0 1.005 0.5 0.01 0.4", (1.0, 0.3, 1.01, 0.7), 1, False),
    ],
)
def test_cases_of_values_that_a_line_may_have(line, corners, score, outline):
    (box,) = parse_yolo(line, "a.txt", NAMES).boxes
    assert box.corners == pytest.approx(corners)
    assert (box.score, box.outline) == (score, outline)


@pytest.mark.parametrize(
    ("line", "score"),
    [
        (LINE, 1),
        (f"{LINE} 0.1 0.2 2 0.3 0.4 1", 1),
        (f"{LINE} 0.1 0.2 0 0 0 0 0.75", 0.75),
        (f"{LINE} 0.5", 0.5),
    ],
)
def test_cases_of_keypoints_are_no_polygons(line, score):
    """As `kpt_shape: [2, 3]` says."""
    (box,) = parse_yolo(line, "a.txt", NAMES, keypoints=6).boxes
    assert box.corners == pytest.approx((0.4, 0.3, 0.6, 0.7))
    assert (box.score, box.outline, box.keypoints) == (score, False, len(line.split()) > 6)


def test_another_number_of_keypoints_is_a_fault():
    found = parse_yolo(f"{LINE} 0.1 0.2 0.3 0.4", "a.txt", NAMES, keypoints=6)
    assert "found 9 values" in found.faults[0]
    assert "6 values of keypoints" in found.faults[0]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("names: [cat]", 0),
        ("names: [cat]\nkpt_shape: [17, 3]", 51),
        ("kpt_shape:\n- 4\n- 2\nnames: [cat]", 8),
    ],
)
def test_a_yaml_file_tells_of_keypoints(tmp_path, text, values):
    (tmp_path / "data.yaml").write_text(text)
    assert read_keypoint_values(tmp_path / "data.yaml") == values


@pytest.mark.parametrize("shape", ["[17]", "[17, x]", "[0, 3]", "[1, 2, 3]", "5"])
def test_a_wrong_shape_of_keypoints_is_refused(tmp_path, shape):
    (tmp_path / "data.yaml").write_text(f"names: [cat]\nkpt_shape: {shape}")
    with pytest.raises(ConfigError, match="kpt_shape"):
        read_keypoint_values(tmp_path / "data.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cases_of_encodings_are_read_by_their_mark(tmp_path, encoding, end):
    path = tmp_path / "a.txt"
    path.write_bytes(end.join([LINE, "", f"{LINE} 0.5", ""]).encode(encoding))
    assert [box.score for box in read_yolo(path, NAMES).boxes] == [1, 0.5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            f"{LINE}\n{LINE} # caf".encode() + b"\xe9\n",
            r"a\.txt:2: is not UTF-8 text \(byte 0xe9\)\. Save it",
        ),
        (b"# \xe9t\xe9\r\n" + LINE.encode(), r"a\.txt:1: is not UTF-8"),
        ("红".encode("gbk"), r"a\.txt:1: is not UTF-8"),
        (LINE.encode("utf-16")[:-1], r"a\.txt:1: is not UTF-16 text"),
        (b"\xff\xfe\0\0abc", r"a\.txt:1: is not UTF-32 text"),
        (b"\xef\xbb\xbf\xff", r"a\.txt:1: is not UTF-8 text"),
    ],
)
def test_cases_of_encodings_without_a_mark_name_file_and_line(tmp_path, data, message):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_yolo(tmp_path / "a.txt", NAMES)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", True),
        ("\n\n", True),
        (LINE, True),
        ("0,0.5,0.5,0.1,0.1", True),
        ("cat 0.5 0.5 0.1 0.1", True),
        ("0 0.4 0.3 0.6 0.3 0.6 0.7", True),
        ("cat\ndog\n", False),
        ("images/a.jpg\n", False),
        ("This data set was exported by some tool", False),
    ],
)
def test_text_that_annotates_nothing_is_told_from_annotations(tmp_path, text, answer):
    (tmp_path / "a.txt").write_text(text)
    assert is_yolo(tmp_path / "a.txt") is answer


@pytest.mark.parametrize(
    "data", [b"cat\ndog\n", b"\xef\xbb\xbfcat\r\ndog\r\n\r\n", b" cat \ndog", "cat\ndog".encode("utf-16")]
)
@pytest.mark.parametrize("name", ["classes.txt", "obj.names", "coco.names", "names"])
def test_cases_of_names_one_a_line(tmp_path, data, name):
    (tmp_path / name).write_bytes(data)
    assert read_class_names(tmp_path / name) == {0: "cat", 1: "dog"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"cat\n\ndog\n", r"classes\.txt:2: is empty between two names"),
        (b"# pets\ncat\n", r"classes\.txt:1: is a comment"),
        (b"cat\ncaf\xe9\n", r"classes\.txt:2: is not UTF-8"),
        (b"names:\n  0: cat\n", r"classes\.txt:1: is no class name .* ends in \.yaml"),
        (b"names: [cat]\n", r"classes\.txt:1: is no class name"),
        (b"classes = 2\nnames = obj.names\n", r"classes\.txt:2: is no class name"),
        (b"cat\0dog\n", r"classes\.txt:1: holds control characters"),
        (b"\x89PNG\r\n", r"classes\.txt:1: is not UTF-8"),
        (None, r"classes\.txt: cannot be read"),
    ],
)
def test_cases_of_names_that_would_shift_the_numbers_are_refused(tmp_path, data, message):
    if data is not None:
        (tmp_path / "classes.txt").write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read_class_names(tmp_path / "classes.txt")


def test_a_yaml_file_of_names_is_read_as_such(tmp_path):
    (tmp_path / "data.yml").write_text("names: [cat, dog]")
    assert read_class_names(tmp_path / "data.yml") == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("text", ["names: [cat, dog]", "path: .\nnames:\n  0: cat\n  1: dog\n"])
def test_names_are_a_list_or_a_mapping(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    assert read_yolo_names(tmp_path / "config.yaml") == {0: "cat", 1: "dog"}


@pytest.mark.parametrize(
    "text", ["a: 1", "names: cat", "names: []", "[", "names: !!python/object:os.system {}"]
)
def test_a_file_without_names_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml: "):
        read_yolo_names(tmp_path / "config.yaml")
