import io

import numpy as np
import pytest
from PIL import Image

from odflow.errors import ImageError
from odflow.formats.encoding import read_encoded
from odflow.formats.images import image_format, read_image

PIXELS = np.add.outer(np.arange(40) * 4, np.arange(60) * 2)[..., None].astype(np.uint8)
PHOTO = Image.fromarray(PIXELS + np.array([0, 20, 40], np.uint8))


def turned(orientation=6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def thumbnail():
    """EXIF data that holds a whole JPEG, end marker and all."""
    small = io.BytesIO()
    PHOTO.resize((8, 8)).save(small, "JPEG")
    return b"Exif\0\0" + small.getvalue()


KEPT = {
    "jpeg": lambda path: PHOTO.save(path, "JPEG"),
    "grey jpeg": lambda path: PHOTO.convert("L").save(path, "JPEG"),
    "png": lambda path: PHOTO.save(path, "PNG"),
    "palette": lambda path: PHOTO.quantize(16).save(path, "PNG"),
    "16 bits": lambda path: Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60)).save(
        path, "PNG"
    ),
}
MADE_ANEW = {
    "turned jpeg": ("jpeg", lambda path: PHOTO.save(path, "JPEG", exif=turned())),
    "turned png": ("png", lambda path: PHOTO.save(path, "PNG", exif=turned())),
    "cmyk": ("jpeg", lambda path: PHOTO.convert("CMYK").save(path, "JPEG")),
    "bmp": ("png", lambda path: PHOTO.save(path, "BMP")),
    "webp": ("jpeg", lambda path: PHOTO.save(path, "WEBP")),
}


@pytest.mark.parametrize("kind", KEPT)
def test_what_tensorflow_reads_alike_is_kept(tmp_path, kind):
    path = tmp_path / "a.jpg"
    KEPT[kind](path)
    image = read_encoded(path)
    assert image.data == path.read_bytes()
    assert (image.width, image.height, image.format) == (60, 40, image_format(image.data))


@pytest.mark.parametrize("kind", MADE_ANEW)
def test_what_tensorflow_would_read_otherwise_is_made_anew(tmp_path, kind):
    import tensorflow as tf

    form, make = MADE_ANEW[kind]
    make(tmp_path / "a")
    image = read_encoded(tmp_path / "a")
    shown = read_image(tmp_path / "a")
    decoded = tf.io.decode_image(image.data, channels=3).numpy()
    assert image.format == image_format(image.data) == form
    assert decoded.shape == shown.shape == (image.height, image.width, 3)
    assert np.abs(decoded.astype(int) - shown).mean() < (2 if form == "jpeg" else 1e-9)
    assert read_encoded(tmp_path / "a") == image


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_image_that_is_cut_off_is_an_image_error(tmp_path, form, share):
    path = tmp_path / "cut"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    noise.save(path, form, **({"exif": thumbnail()} if form == "JPEG" else {}))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match="cut"):
        read_encoded(path)


@pytest.mark.parametrize(("form", "end"), [("JPEG", 2), ("PNG", 12)])
def test_an_image_that_lacks_only_its_end_gets_one(tmp_path, form, end):
    import tensorflow as tf

    PHOTO.save(tmp_path / "a", form)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-end] + b"\0" * end)
    image = read_encoded(tmp_path / "a")
    assert tf.io.decode_image(image.data).shape == (40, 60, 3)


def test_a_missing_image_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="cannot be read"):
        read_encoded(tmp_path / "none.jpg")
