"""What a record's picture looks like is what TensorFlow says, to all who read it."""

import io

import numpy as np
import pytest
from PIL import Image

from odflow.errors import ImageError
from odflow.formats.image_check import Size
from odflow.formats.record_image import check_record_image, read_record_image

PHOTO = Image.fromarray(
    (np.add.outer(np.arange(40) * 4, np.arange(60) * 2)[..., None] + np.array([0, 20, 40])).astype(np.uint8)
)


def encoded(form, image=PHOTO, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def without_adobe(data):
    """A CMYK JPEG as other programs than Adobe's write it: without the marker that says inverted."""
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]


CMYK = encoded("JPEG", PHOTO.convert("CMYK"))
FORMS = {
    **{f"jpeg, EXIF {turn}": encoded("JPEG", exif=turned(turn)) for turn in range(1, 9)},
    **{f"png, EXIF {turn}": encoded("PNG", exif=turned(turn)) for turn in (3, 6, 8)},
    **{f"webp, EXIF {turn}": encoded("WEBP", lossless=True, exif=turned(turn)) for turn in (3, 6, 8)},
    "grey": encoded("JPEG", PHOTO.convert("L")),
    "grey, EXIF 6": encoded("JPEG", PHOTO.convert("L"), exif=turned(6)),
    "cmyk": CMYK,
    "cmyk, not Adobe's": without_adobe(CMYK),
    "progressive": encoded("JPEG", progressive=True),
    "422": encoded("JPEG", subsampling=1),
    "444": encoded("JPEG", subsampling=0),
    "palette": encoded("PNG", PHOTO.quantize(16)),
    "palette with transparency": encoded("PNG", PHOTO.quantize(16), transparency=3),
    "16 bits": encoded("PNG", Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27)),
    "alpha": encoded("PNG", PHOTO.convert("RGBA")),
    "grey with alpha": encoded("PNG", PHOTO.convert("LA")),
    "one bit": encoded("PNG", PHOTO.convert("1")),
    "bmp": encoded("BMP"),
    "grey bmp": encoded("BMP", PHOTO.convert("L")),
    "bmp with alpha": encoded("BMP", PHOTO.convert("RGBA")),
    "gif": encoded("GIF"),
    "lossy webp": encoded("WEBP"),
    "webp with alpha": encoded("WEBP", PHOTO.convert("RGBA"), lossless=True),
}


@pytest.fixture(scope="module")
def trained_on():
    """Decodes as training does."""
    import tensorflow as tf

    from odflow.training.examples.decoding import decode_image

    return lambda data: decode_image(tf.constant(data)).numpy()


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_what_training_sees(trained_on, form):
    found, seen = read_record_image("a", FORMS[form]), trained_on(FORMS[form])
    assert found.shape == seen.shape == (40, 60, 3)
    assert check_record_image("a", FORMS[form], Size(60, 40)) == (60, 40)
    difference = np.abs(found.astype(int) - seen)
    assert difference.max() <= (3 if "jpeg" in form or "cmyk" in form or "lossy" in form else 1)
    assert difference.mean() < 0.1


@pytest.mark.parametrize("form", [form for form in FORMS if "EXIF" in form and form[-1] in "5678"])
def test_a_size_for_the_upright_picture_is_refused_by_all(form):
    for read in (read_record_image, check_record_image):
        with pytest.raises(
            ImageError, match=r"a: image/width and image/height are 40 and 60, .* as 60x40; EXIF"
        ):
            read("a", FORMS[form], Size(40, 60))


@pytest.mark.parametrize("kind", ["quantized", "one bit"])
def test_a_bmp_that_tensorflow_misreads_is_refused(kind):
    image = PHOTO.quantize(16) if kind == "quantized" else PHOTO.convert("1")
    with pytest.raises(ImageError, match="misreads"):
        check_record_image("a", encoded("BMP", image))
