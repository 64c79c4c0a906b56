import pytest
from PIL import Image

from odflow.errors import ConfigError, TableError
from odflow.formats.images import ImageFile
from odflow.formats.yolo import read_yolo, read_yolo_names

NAMES = {0: "cat", 2: "dog"}


@pytest.fixture
def read(tmp_path):
    (tmp_path / "labels/in").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")

    def read_text(text):
        (tmp_path / "labels/in/a.txt").write_text(text)
        return read_yolo(tmp_path / "labels", [ImageFile("in/a.png", tmp_path / "a.png")], NAMES)

    return read_text


def test_a_line_becomes_a_row_in_pixels_clipped_to_the_image(read):
    table = read("2 0.5 0.5 0.25 0.5\n\n0 0.0 1.0 0.5 0.5\n")
    assert table.to_numpy().tolist() == [
        ["in/a.png", 200, 100, "dog", 1.0, 75.0, 25.0, 125.0, 75.0],
        ["in/a.png", 200, 100, "cat", 1.0, 0.0, 75.0, 50.0, 100.0],
    ]


def test_an_image_without_a_file_or_with_an_empty_one_shows_nothing(tmp_path, read):
    assert len(read("")) == 0
    assert len(read_yolo(tmp_path / "none", [ImageFile("in/a.png", tmp_path / "a.png")], NAMES)) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.1 0.1", "class 1 has no name"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 has no name"),
        ("0 0.5 0.5 0.1", "found 4 values"),
        ("0 0.5 0.5 0.1 nan", "found 5 values"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3", "found 7 values"),
        ("0 0.5 0.5 -0.1 0.1", "negative size"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(read, line, message):
    with pytest.raises(TableError, match=rf"a\.txt:2: .*{message}"):
        read(f"0 0.5 0.5 0.1 0.1\n{line}\n")


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
