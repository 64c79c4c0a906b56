import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import ImageError
from odflow.formats.image_check import check_image, is_plain_jpeg, with_end

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))


def encoded(form, image=NOISE, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


WHOLE = {
    "jpeg": encoded("JPEG"),
    "grey jpeg": encoded("JPEG", NOISE.convert("L")),
    "cmyk jpeg": encoded("JPEG", NOISE.convert("CMYK")),
    "progressive": encoded("JPEG", progressive=True),
    "restarts": encoded("JPEG", restart_marker_rows=1),
    "422": encoded("JPEG", subsampling=1),
    "one pixel": encoded("JPEG", NOISE.resize((1, 1))),
    "exif": encoded("JPEG", exif=b"Exif\0\0" + encoded("JPEG", NOISE.resize((8, 8)))),
    "bytes after the end": encoded("JPEG") + b"\0" * 100,
    "padding before the end": encoded("JPEG")[:-2] + b"\0" * 40 + b"\xff\xd9",
    "other JFIF": encoded("JPEG").replace(b"JFIF\0\x01", b"JFIF\0\x02"),
    "png": encoded("PNG"),
    "16 bits": encoded("PNG", Image.fromarray(np.arange(3072, dtype=np.uint16).reshape(48, 64))),
    "palette": encoded("PNG", NOISE.quantize(16)),
    "bmp": encoded("BMP"),
    "webp": encoded("WEBP"),
    "gif": encoded("GIF"),
}


@pytest.mark.parametrize("verify", ["pixels", "structure"])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_image_passes_the_check(kind, verify):
    wanted = (1, 1) if kind == "one pixel" else (64, 48)
    assert check_image("a", WHOLE[kind], verify) == wanted


def hole(data, fill=None):
    """Without the middle of the image data, or with other bytes there."""
    start, end = len(data) * 2 // 5, len(data) * 3 // 5
    return data[:start] + (b"" if fill is None else fill * (end - start)) + data[end:]


DAMAGED = {
    "cut off": WHOLE["jpeg"][: len(WHOLE["jpeg"]) // 2],
    "cut off, with an end": WHOLE["jpeg"][: len(WHOLE["jpeg"]) // 2] + b"\xff\xd9",
    "hole": hole(WHOLE["jpeg"]),
    "zeros": hole(WHOLE["jpeg"], b"\0"),
    "grey with a hole": hole(WHOLE["grey jpeg"]),
    "cmyk with a hole": hole(WHOLE["cmyk jpeg"]),
    "progressive with a hole": hole(WHOLE["progressive"]),
    "ones": hole(WHOLE["jpeg"], b"\x01"),
    "no frame": b"\xff\xd8" + WHOLE["jpeg"][-300:],
    "head alone": WHOLE["jpeg"][:2] + b"\xff\xd9",
    "png cut off": WHOLE["png"][:-20],
    "png with a changed byte": WHOLE["png"][:200] + b"!" + WHOLE["png"][201:],
    "png with a hole": hole(WHOLE["png"]),
    "bmp cut off": WHOLE["bmp"][:-500],
    "webp cut off": WHOLE["webp"][:-100],
    "gif cut off": WHOLE["gif"][: len(WHOLE["gif"]) // 2],
    "nothing": b"",
    "text": b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_image_fails_the_check(kind):
    with pytest.raises(ImageError, match=r"^a: "):
        check_image("a", DAMAGED[kind])


@pytest.mark.parametrize(
    "kind", ["cut off", "no frame", "png cut off", "png with a hole", "bmp cut off", "text"]
)
def test_structure_alone_tells_what_is_cut_off(kind):
    with pytest.raises(ImageError, match=r"^a: "):
        check_image("a", DAMAGED[kind], "structure")


@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "bmp", "gif", "webp"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_changed_the_check_says_so_in_an_image_error(kind, data):
    image = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    image = image[: data.draw(st.integers(0, len(image)))] if data.draw(st.booleans()) else image
    for verify in ("pixels", "structure"):
        fault = ""
        try:
            assert min(check_image("a", bytes(image), verify)) > 0
        except ImageError as error:
            fault = str(error)
        assert not fault or fault.startswith("a: ")


@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png"])
def test_an_end_is_put_where_none_is(kind):
    data = WHOLE[kind]
    assert with_end(data) is data
    cut = data[:-2] if kind != "png" else data[:-12]
    assert with_end(cut) == data
    check_image("a", with_end(cut + (b"" if kind == "png" else b"\0\0")))


PLAIN = {
    *("jpeg", "grey jpeg", "progressive", "restarts", "422", "one pixel"),
    *("bytes after the end", "padding before the end", "other JFIF"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_plain_jpegs_are_those_that_pillow_neither_turns_nor_converts(kind):
    data = WHOLE[kind]
    assert is_plain_jpeg(data) == (kind in PLAIN)
    assert not is_plain_jpeg(data[: data.find(b"\xff\xda")])
    with Image.open(io.BytesIO(data)) as image:
        if kind in PLAIN:
            assert (image.format, image.getexif().get(0x0112, 1)) == ("JPEG", 1)
            assert image.mode in ("RGB", "L")


@given(data=st.binary(max_size=40))
def test_any_bytes_are_plain_or_not_in_no_time(data):
    assert is_plain_jpeg(b"\xff\xd8" + data) in (True, False)
