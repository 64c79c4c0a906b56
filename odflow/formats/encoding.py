"""The bytes of an image as records hold them: what TensorFlow decodes to what `read_image` gives."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from odflow.errors import ImageError
from odflow.formats.image_check import Verify, check_image, is_plain_jpeg, with_end
from odflow.formats.images import image_format, open_image, orientation, upright_rgb
from odflow.regular import read_regular

if TYPE_CHECKING:
    from PIL import Image

_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An upright RGB or grey image in its file form; width and height in pixels."""

    data: bytes
    format: Literal["jpeg", "png"]
    width: int
    height: int


def read_encoded(path: Path, verify: Verify = "pixels") -> EncodedImage:
    """Read an image for a record.

    The file's own bytes, wherever TensorFlow's decoders read them as `read_image` does.
    They turn nothing by EXIF, read some BMPs wrongly, and disagree about CMYK: such an image
    is encoded anew, upright, as RGB: BMP and PNG as PNG, the others as JPEG of quality 95. So is
    a file that lacks nothing but its end marker.

    Args:
        path: a JPEG, PNG, BMP or WebP file, whatever its name.
        verify: how deep an image is looked at that is not encoded anew; see `check_image`.

    Raises:
        ImageError: missing, no image, cut off or damaged.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from None
    kept = _is_kept(path, data)
    try:
        size = check_image(path, data, verify if kept else "pixels")
    except ImageError as error:
        kept, data = False, _mended(path, data, error)
    if kept:
        return EncodedImage(data, "jpeg" if image_format(data) == "jpeg" else "png", *size)
    with open_image(path, data) as image:
        return _encoded_anew(image)


def _is_kept(path: Path, data: bytes) -> bool:
    """Whether TensorFlow decodes these bytes to the image that they are."""
    form = image_format(data)
    if form == "jpeg" and is_plain_jpeg(data):
        return True  # without Pillow, which takes longer
    with open_image(path, data) as image:
        return form in ("jpeg", "png") and image.mode != "CMYK" and orientation(image) == 1


def _mended(path: Path, data: bytes, error: ImageError) -> bytes:
    """The bytes with the end that they lack.

    Raises:
        ImageError: that is not all that is wrong.
    """
    mended = with_end(data)
    if mended is data:
        raise error
    try:
        check_image(path, mended)
    except ImageError as more:
        raise ImageError(str(more).replace(": is damaged", ": is cut off")) from None
    return mended


def _encoded_anew(image: Image.Image) -> EncodedImage:
    rgb = upright_rgb(image)
    buffer = BytesIO()
    if image.format in ("PNG", "BMP"):
        rgb.save(buffer, "PNG")
        return EncodedImage(buffer.getvalue(), "png", *rgb.size)
    rgb.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return EncodedImage(buffer.getvalue(), "jpeg", *rgb.size)
