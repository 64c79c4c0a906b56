import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from odflow.errors import ConfigError, ImageError, InputError
from odflow.formats.images import ImageFile
from odflow.formats.mask_classes import number_classes, read_mask_classes, write_mask_classes
from odflow.formats.masks import UNCOVERED, encode_mask, find_mask_files, pair_masks
from odflow.formats.png_masks import color_masks, index_masks, read_mask

NAMES = "names: {0: background, 1: flower, 7: leaf}\n"
SAME = {0: 0, 1: 1, 7: 7}


def write_png(path, pixels, depth, color_type=0, extra=b""):
    """A PNG by hand: (height, width) numbers of `depth` bits."""
    bits = np.unpackbits(pixels.astype(">u2").view(np.uint8).reshape(*pixels.shape, 2), axis=2)[
        ..., 16 - depth :
    ]
    rows = np.packbits(bits.reshape(len(pixels), -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", pixels.shape[1], len(pixels), depth, color_type, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + end)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "masks").mkdir()
    return tmp_path / "masks"


def classes_of(tmp_path, text):
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    return read_mask_classes(path)


def read_one(found, numbers, size):
    (mask,) = found.masks.values()
    return mask.read(size, numbers)


def pixels_of(encoded, tmp_path):
    """As Pillow alone reads the PNG."""
    path = tmp_path / "encoded"
    path.write_bytes(encoded.data)
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


@settings(deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_mask_round_trips(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("mask") / "m.png"
    encoded = encode_mask(mask)
    path.write_bytes(encoded.data)
    np.testing.assert_array_equal(read_mask(path), mask)
    np.testing.assert_array_equal(encoded.pixels, np.bincount(mask.ravel(), minlength=256))
    assert (encoded.width, encoded.height) == mask.shape[::-1]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("color_type", [0, 3])
def test_numbers_of_few_bits_are_numbers(tmp_path, depth, color_type):
    pixels = np.arange(35).reshape(5, 7) % 2**depth
    palette = struct.pack(">I", 3 * 2**depth) + b"PLTE" + bytes(range(250, 250 - 3, -1)) * 2**depth
    palette += struct.pack(">I", zlib.crc32(palette[4:]))
    write_png(tmp_path / "m.png", pixels, depth, color_type, palette if color_type == 3 else b"")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), pixels)


def test_plain_grey_keeps_its_bytes(tmp_path, folder):
    Image.fromarray(np.array([[0, 1, 255], [7, 7, 0]], np.uint8)).save(folder / "a.png", compress_level=1)
    encoded = read_one(index_masks(folder, classes_of(tmp_path, NAMES)), SAME, (3, 2))
    assert encoded.data == (folder / "a.png").read_bytes()
    assert {n: c for n, c in enumerate(encoded.pixels) if c} == {0: 2, 1: 1, 7: 2, 255: 1}


def test_what_tensorflow_would_read_otherwise_is_written_anew(tmp_path, folder):
    pixels = np.array([[0, 1, 1], [1, 0, 0]])
    write_png(folder / "a.png", pixels, 1)
    encoded = read_one(index_masks(folder, classes_of(tmp_path, NAMES)), SAME, (3, 2))
    np.testing.assert_array_equal(pixels_of(encoded, tmp_path), pixels)


def test_numbers_are_mapped(tmp_path, folder):
    Image.fromarray(np.array([[0, 1, 255], [7, 7, 0]], np.uint8)).save(folder / "a.png")
    encoded = read_one(index_masks(folder, classes_of(tmp_path, NAMES)), {0: 255, 1: 0, 7: 1}, (3, 2))
    np.testing.assert_array_equal(pixels_of(encoded, tmp_path), [[255, 0, 255], [1, 1, 255]])


@pytest.mark.parametrize(
    ("save", "told"),
    [
        (lambda path: write_png(path, np.full((2, 3), 300), 16), "16 bits"),
        (lambda path: Image.new("RGBA", (3, 2)).save(path), "RGBA.*format: color"),
        (lambda path: Image.new("RGB", (3, 2)).save(path), "RGB.*format: color"),
        (lambda path: Image.new("L", (3, 2)).save(path, "JPEG"), "is JPEG"),
        (lambda path: Image.new("L", (2, 3)).save(path), "2x3 pixels, its image 3x2"),
        (lambda path: Image.new("L", (3, 2), 9).save(path), r"numbers 9 \(6 pixels\).*classes.yaml"),
    ],
)
def test_masks_of_another_form_are_refused_by_name(tmp_path, folder, save, told):
    save(folder / "a.png")
    with pytest.raises(InputError, match=f"a.png.*{told}") as caught:
        read_one(index_masks(folder, classes_of(tmp_path, NAMES)), SAME, (3, 2))
    assert not isinstance(caught.value, ImageError)


def test_a_damaged_mask_is_an_image_error(tmp_path, folder):
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (40, 40), np.uint8)).save(folder / "a.png")
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:-60])
    with pytest.raises(ImageError, match=r"a\.png"):
        read_one(index_masks(folder, classes_of(tmp_path, NAMES)), SAME, (40, 40))


FLOWERS = """
colors:
  (0, 0, 0): background
  (0, 128, 0): background
  "#800000": flower
  (0, 0, 128): ignore
"""


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_become_numbers(tmp_path, folder, mode):
    colors = np.array([[[128, 0, 0], [0, 0, 128]], [[0, 128, 0], [0, 0, 0]]], np.uint8)
    image = Image.fromarray(colors)
    (image.quantize(4) if mode == "P" else image.convert(mode)).save(folder / "a.png")
    classes = classes_of(tmp_path, FLOWERS)
    assert classes.names == {0: "background", 1: "flower"}
    encoded = read_one(color_masks(folder, classes), {0: 0, 1: 1}, (2, 2))
    np.testing.assert_array_equal(pixels_of(encoded, tmp_path), [[1, 255], [0, 0]])


@settings(deadline=None)
@given(data=st.data())
def test_colours_round_trip(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("colours")
    (folder / "masks").mkdir()
    color = st.tuples(*[st.integers(0, 255)] * 3)
    palette = data.draw(st.lists(color, min_size=1, max_size=9, unique=True))
    mask = data.draw(arrays.arrays(np.uint8, (3, 4), elements=st.integers(0, len(palette) - 1)))
    Image.fromarray(np.array(palette, np.uint8)[mask]).save(folder / "masks" / "a.png")
    text = "colors:\n" + "".join(f"  {color}: c{number}\n" for number, color in enumerate(palette))
    same = dict.fromkeys(range(9)) | {n: n for n in range(9)}
    encoded = read_one(color_masks(folder / "masks", classes_of(folder, text)), same, (4, 3))
    np.testing.assert_array_equal(pixels_of(encoded, folder), mask)


def test_unknown_and_transparent_colours_are_refused(tmp_path, folder):
    classes = classes_of(tmp_path, FLOWERS)
    Image.new("RGB", (3, 2), (128, 0, 1)).save(folder / "a.png")
    with pytest.raises(InputError, match=r"a.png: has the colours \(128, 0, 1\) \(6 pixels\).*classes.yaml"):
        read_one(color_masks(folder, classes), {0: 0, 1: 1}, (3, 2))
    Image.new("RGBA", (3, 2), (128, 0, 0, 9)).save(folder / "a.png")
    with pytest.raises(InputError, match=r"a.png: has transparent pixels"):
        read_one(color_masks(folder, classes), {0: 0, 1: 1}, (3, 2))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "has no classes"),
        ("names: [", "cannot be read"),
        ("names: {a: b}\n", "no number"),
        ("names: {-2: b}\n", "from 0"),
        ("colors: {(1, 2): b}\n", "Quote a colour"),
        ("colors: {'(1, 2)': b}\n", "is no colour"),
        ("names: flower\n", "Wanted a list"),
        ("colors: {'(1, 2, 300)': b}\n", "is no colour"),
        ("colors: {'(1, 2, 3)': b, '#010203': c}\n", "twice"),
        ("names: [flower]\ncolors: {'#010203': flowr}\n", 'Did you mean "flower"'),
    ],
)
def test_class_files_are_checked(tmp_path, text, told):
    with pytest.raises(ConfigError, match=f"classes.yaml.*{told}"):
        classes_of(tmp_path, text)


def test_a_class_file_that_was_written_reads_back(tmp_path):
    names = {0: "background", 12: "Straße"}
    write_mask_classes(tmp_path / "classes.json", names)
    assert read_mask_classes(tmp_path / "classes.json").names == names


def test_numbers_above_a_byte_are_refused_and_255_is_ignored(tmp_path, folder):
    Image.new("L", (1, 1)).save(folder / "a.png")
    assert index_masks(folder, classes_of(tmp_path, "names: {0: a, 255: void}")).classes == {0: "a"}
    with pytest.raises(ConfigError, match="256"):
        index_masks(folder, classes_of(tmp_path, "names: {0: a, 256: b}"))


@pytest.mark.parametrize(
    "name", ["ignore", "void", "Void/border", "unlabeled", "boundary", "don't care", "none"]
)
def test_silent_255_may_be_called_what_it_is(tmp_path, folder, name):
    Image.new("L", (1, 1)).save(folder / "a.png")
    assert index_masks(folder, classes_of(tmp_path, f'names: {{0: a, 255: "{name}"}}')).classes == {0: "a"}


@pytest.mark.parametrize("name", ["flower", "foreground", "object", "1", "person"])
def test_silent_a_class_at_255_is_refused(tmp_path, folder, name):
    Image.new("L", (1, 1)).save(folder / "a.png")
    with pytest.raises(ConfigError, match=f'class 255 is "{name}"; pixels of 255 are ignored'):
        index_masks(folder, classes_of(tmp_path, f'names: {{0: a, 255: "{name}"}}'))


class TestNumbering:
    source = {0: "unlabeled", 1: "person", 3: "car", 200: "rug"}  # noqa: RUF012

    def test_unmapped_numbers_stay_with_their_gaps(self):
        found = number_classes(self.source, {}, None)
        assert found.numbers == {number: number for number in self.source}
        assert found.names == self.source

    def test_one_class_against_the_rest(self):
        found = number_classes(self.source, {"person": "person"}, "background")
        assert found.numbers == {0: 0, 1: 1, 3: 0, 200: 0}
        assert found.names == {0: "background", 1: "person"}

    def test_background_comes_first_wherever_the_source_has_it(self):
        found = number_classes({0: "person", 1: "car", 2: "sky"}, {"person": "person"}, "background")
        assert found.numbers == {0: 1, 1: 0, 2: 0}

    def test_ignored_and_merged(self):
        found = number_classes(self.source, {"unlabeled": "ignore", "rug": "thing", "car": "thing"}, None)
        assert found.numbers == {0: 255, 1: 0, 3: 1, 200: 1}
        assert found.names == {0: "person", 1: "thing"}

    def test_the_order_of_the_mapping_does_not_matter(self):
        mapping = {"rug": "a", "car": "b", "person": "c"}
        backwards = dict(reversed(mapping.items()))
        assert number_classes(self.source, mapping, "d") == number_classes(self.source, backwards, "d")

    def test_polygons_always_have_a_background(self):
        found = number_classes({UNCOVERED: "background", 0: "person", 900: "car"}, {}, None)
        assert found.numbers == {UNCOVERED: 0, 0: 1, 900: 2}

    def test_unknown_none_and_too_many(self):
        with pytest.raises(ConfigError, match=r'"persn" to map\. Did you mean "person"'):
            number_classes(self.source, {"persn": "a"}, None)
        with pytest.raises(ConfigError, match="every class is ignored"):
            number_classes(self.source, {}, "ignore")
        with pytest.raises(ConfigError, match="301 are more than the 255"):
            number_classes({UNCOVERED: "background", **{n: str(n) for n in range(300)}}, {}, None)


def test_images_and_masks_are_paired_by_name(tmp_path, folder):
    (folder / "in").mkdir()
    for name in ("a.png", "in/a.PNG", "lonely.png", ".hidden.png"):
        (folder / name).write_bytes(b"")
    files = find_mask_files(folder, ".png")
    masks = index_masks(folder, classes_of(tmp_path, NAMES)).masks
    assert sorted(files) == sorted(masks) == ["a", "in/a", "lonely"]
    images = [ImageFile(name, tmp_path / name) for name in ("in/a.jpg", "bare.jpg", "a.jpeg")]
    found = pair_masks(images, masks)
    assert [(image.name, mask.path.name) for image, mask in found.pairs] == [
        ("a.jpeg", "a.png"),
        ("in/a.jpg", "a.PNG"),
    ]
    assert (found.bare, found.left) == (["bare.jpg"], [str(folder / "lonely.png")])
    with pytest.raises(InputError, match=r"a\.png: is the mask of a\.jpeg and of a\.jpg"):
        pair_masks([*images, ImageFile("a.jpg", tmp_path)], masks)
