import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import ImageError, InputError
from odflow.formats.encoding import read_encoded
from odflow.formats.image_check import check_image
from odflow.formats.images import (
    PIXELS_OPENED,
    find_images,
    image_format,
    image_size,
    open_image,
    read_image,
    read_stored,
)
from odflow.formats.record_image import read_record_image

PHOTO = Image.fromarray(
    np.add.outer(np.arange(40) * 4, np.arange(60) * 2)[..., None].astype(np.uint8)
    + np.array([0, 20, 40], np.uint8)
)
EXIF_ORIENTATION = 0x0112


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def alpha(image):
    image = image.copy()
    image.putalpha(Image.fromarray(np.arange(2400, dtype=np.uint8).reshape(40, 60)))
    return image


PICTURES = {
    "rgb": encoded(PHOTO, "JPEG"),
    "progressive": encoded(PHOTO, "JPEG", progressive=True),
    "grey": encoded(PHOTO.convert("L"), "JPEG"),
    "png": encoded(PHOTO, "PNG"),
    "palette": encoded(PHOTO.quantize(64), "PNG"),
    "palette-alpha": encoded(PHOTO.quantize(64), "PNG", transparency=bytes(range(64))),
    "alpha": encoded(alpha(PHOTO), "PNG"),
    "grey-alpha": encoded(alpha(PHOTO.convert("L")), "PNG"),
    "bilevel": encoded(PHOTO.convert("1"), "PNG"),
    "grey-16": encoded(Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27), "PNG"),
    "bmp": encoded(PHOTO, "BMP"),
}


@pytest.fixture(params=PICTURES)
def picture(request, tmp_path):
    path = tmp_path / "picture"  # the content tells the form, not the name
    path.write_bytes(PICTURES[request.param])
    return path


def test_every_kind_reads_as_tensorflow_decodes_it(picture):
    import tensorflow as tf

    data = picture.read_bytes()
    if data.startswith(b"\xff\xd8"):  # Pillow's transform, not the fast one
        expected = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    else:
        expected = tf.io.decode_image(data, channels=3).numpy()
    np.testing.assert_array_equal(read_image(picture), expected)


def test_the_header_tells_the_size_that_reading_gives(picture):
    size, pixels = image_size(picture), read_image(picture)
    assert pixels.shape == (size.height, size.width, 3)
    assert pixels.dtype == np.uint8
    assert size.format == image_format(picture.read_bytes())


def test_a_photograph_is_what_pillow_opens(shared):
    for image in find_images(shared / "data/coco128/images/val2017")[:5]:
        np.testing.assert_array_equal(
            read_image(image.path), np.asarray(Image.open(image.path).convert("RGB"))
        )


def test_cmyk_in_adobes_inverted_form_keeps_its_colours(tmp_path):
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    (tmp_path / "a.jpg").write_bytes(encoded(flat, "JPEG"))
    np.testing.assert_allclose(
        read_image(tmp_path / "a.jpg"), np.broadcast_to([255, 0, 0], (16, 16, 3)), atol=3
    )


def test_webp_reads(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(PHOTO, "WEBP", lossless=True))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), np.asarray(PHOTO))
    assert image_size(tmp_path / "a.jpg").format == "webp"


TURNS = {  # EXIF 2.32, tag Orientation: where row 0 and column 0 of the stored pixels lie
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
    9: lambda stored: stored,  # not defined
}


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("turn", TURNS)
def test_an_image_that_exif_turns_comes_upright(tmp_path, form, turn):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = turn
    options = {"lossless": True} if form == "WEBP" else {}
    (tmp_path / "a").write_bytes(encoded(PHOTO, form, exif=exif, **options))
    expected = TURNS[turn](np.asarray(PHOTO))
    np.testing.assert_array_equal(read_image(tmp_path / "a"), expected)
    size = image_size(tmp_path / "a")
    assert (size.height, size.width) == expected.shape[:2]
    assert (size.stored, size.orientation) == (PHOTO.size, turn if turn <= 8 else 1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_data_does_not_matter(tmp_path):
    (tmp_path / "a").write_bytes(encoded(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0"))
    assert read_image(tmp_path / "a").shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PICTURES["rgb"][: len(PICTURES["rgb"]) * 3 // 4], "cannot be decoded (image file is truncated"),
        (PICTURES["png"][:-60], "cannot be decoded"),
        (b"not an image", "is no JPEG, PNG, BMP or WebP image"),
        (b"", "is no JPEG, PNG, BMP or WebP image"),
        (encoded(PHOTO, "GIF"), "is no JPEG, PNG, BMP or WebP image"),
    ],
)
def test_an_unreadable_image_is_an_image_error(tmp_path, data, message):
    (tmp_path / "bad.jpg").write_bytes(data)
    with pytest.raises(ImageError) as error:
        read_image(tmp_path / "bad.jpg")
    assert f"bad.jpg: {message}" in str(error.value)


def test_a_missing_image_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: no such image"):
        read_image(tmp_path / "none.jpg")


def test_a_decompression_bomb_is_an_image_error(tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(PICTURES["png"])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match=r"bomb\.png: has 2400 pixels; wanted at most "):
        read_image(tmp_path / "bomb.png")


def jpeg_of(width, height):
    data = bytearray(PICTURES["rgb"])
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def png_of(width, height):
    data = bytearray(PICTURES["png"])
    struct.pack_into(">II", data, 16, width, height)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


def bmp_of(width, height):
    data = bytearray(PICTURES["bmp"])
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def webp_of(width, height):
    data = bytearray(encoded(PHOTO, "WEBP", lossless=True))
    struct.pack_into("<I", data, 21, (width - 1) | (height - 1) << 14)
    return bytes(data)


SIZED = {"jpeg": jpeg_of, "png": png_of, "bmp": bmp_of, "webp": webp_of}
"""Small files whose headers say any size: what is refused by the header is never decoded."""


@pytest.mark.parametrize("form", SIZED)
def test_an_image_of_more_pixels_than_the_bound_is_refused_by_its_header(form, tmp_path):
    path, most, more = tmp_path / f"a.{form}", SIZED[form](10_000, 5_000), SIZED[form](10_000, 5_001)
    with open_image(path, most) as image:
        assert (image.width, image.height) == (10_000, 5_000)
    path.write_bytes(more)
    line = (
        f"{path}: has 50010000 pixels; wanted at most 50000000. Make it smaller, or set max_pixels where the "
        "stage has it."
    )
    refusing = {
        "read": lambda: read_image(path),
        "stored": lambda: read_stored(path, more),
        "record": lambda: read_record_image(path, more),
    }
    if form in ("jpeg", "png"):
        refusing |= {"checked": lambda: check_image(path, more), "encoded": lambda: read_encoded(path)}
    for name, refuse in refusing.items():
        with pytest.raises(ImageError) as error:
            refuse()
        assert str(error.value) == line, name
    with open_image(path, more, most_pixels=50_010_000) as image:
        assert (image.width, image.height) == (10_000, 5_001)
    size = image_size(path)
    assert (size.width, size.height) == (10_000, 5_001), "no pixel is decoded for the size"


@pytest.mark.parametrize("form", SIZED)
def test_the_bound_is_the_most_that_is_read(form, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(encoded(PHOTO, form.upper()))
    assert read_image(path, 2400).shape == (40, 60, 3)
    with pytest.raises(ImageError, match=r"a: has 2400 pixels; wanted at most 2399\. "):
        read_image(path, 2399)


@pytest.mark.parametrize("form", SIZED)
def test_what_pillow_does_not_open_is_told_in_the_same_line(form, tmp_path):
    (tmp_path / "a").write_bytes(SIZED[form](16_000, 12_000))
    with pytest.raises(ImageError) as error:
        read_image(tmp_path / "a", PIXELS_OPENED)
    assert str(error.value).endswith("a: has 192000000 pixels; wanted at most 178956970. Make it smaller.")


@pytest.fixture
def folder(tmp_path):
    names = ["b/x.jpg", "b.jpg", "a/deep/y", "notes.txt", "broken.jpg", ".hidden.jpg", ".git/z.jpg"]
    for name in names:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        data = b"text" if name in ("notes.txt", "broken.jpg") else PICTURES["png"]
        (tmp_path / "images" / name).write_bytes(data)
    return tmp_path / "images"


def test_a_folder_is_searched_by_content_and_sorted_by_name(folder):
    found = find_images(folder)
    assert [image.name for image in found] == ["a/deep/y", "b.jpg", "b/x.jpg", "broken.jpg"]
    assert all(image.path == folder / image.name for image in found)


def test_a_list_file_names_images_of_its_root(folder, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(
        f"# some\n\nb/x.jpg\n{folder.absolute()}/b.jpg\n b/x.jpg \n./a//deep/y\n", encoding="utf-8"
    )
    found = find_images(listed, root=folder)
    assert [image.name for image in found] == ["a/deep/y", "b.jpg", "b/x.jpg"]
    (folder / "list.txt").write_text("b.jpg\n")
    assert [image.name for image in find_images(folder / "list.txt")] == ["b.jpg"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../b.jpg", "list.txt:2: ../b.jpg leads out of"),
        ("a/../../b.jpg", "list.txt:2: a/../../b.jpg leads out of"),
        ("/etc/hostname", "list.txt:2: /etc/hostname lies outside"),
        ("none.jpg", "list.txt:2: no such image"),
        ("# nothing", "names no image"),
    ],
)
def test_a_wrong_line_of_a_list_is_refused(folder, tmp_path, line, message):
    (tmp_path / "list.txt").write_text(f"\n{line}\n")
    with pytest.raises(InputError) as error:
        find_images(tmp_path / "list.txt", root=folder)
    assert message in str(error.value)


def test_no_image_at_all_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no image"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        find_images(tmp_path / "none")
    (tmp_path / "binary").write_bytes(PICTURES["png"])
    with pytest.raises(InputError, match="is no list of images"):
        find_images(tmp_path / "binary")


def turned(form: str, **options) -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    exif[0x010E] = "a description"
    return encoded(PHOTO, form, exif=exif, **options)


SEEDS = [
    *PICTURES.values(),
    turned("JPEG"),
    turned("PNG"),
    turned("WEBP"),
    encoded(PHOTO, "WEBP", lossless=True),
    encoded(PHOTO, "WEBP", save_all=True, append_images=[PHOTO.rotate(180)]),
    encoded(PHOTO, "PNG", save_all=True, append_images=[PHOTO.rotate(180)]),
    encoded(PHOTO.convert("L"), "BMP"),
    encoded(PHOTO.convert("CMYK"), "JPEG"),
    encoded(PHOTO, "GIF"),
    encoded(PHOTO, "TIFF"),
]


def mutated(draw) -> bytes:
    """An image with some bytes changed, most of them in its header, or cut off, or with some more."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        end = draw(st.sampled_from([len(data), min(len(data), 300)]))
        at = draw(st.integers(0, end))
        new = draw(st.binary(max_size=8) | st.sampled_from([b"\0\0", b"\xff\xff\xff\xff", b"\x7f\xff"]))
        how = draw(st.sampled_from(["change", "insert", "drop", "cut"]))
        if how == "cut":
            del data[at:]
        else:
            data[at : at + (0 if how == "insert" else len(new))] = b"" if how == "drop" else new
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_silent_about_no_mutated_image_and_nothing_but_an_image_error(tmp_path, data):
    path = tmp_path / "a.jpg"
    path.write_bytes(mutated(data.draw))
    pixels, size = _or_none(read_image, path), _or_none(image_size, path)
    assert pixels is None or pixels.shape == (size.height, size.width, 3)
    if size is not None and size.format != "bmp":  # a name of two letters: more of it has to fit
        assert size.format == image_format(path.read_bytes()[:16])


def _or_none(read, path):
    try:
        return read(path)
    except ImageError as error:
        return None if "\n" not in str(error) else pytest.fail(str(error))
