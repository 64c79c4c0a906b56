"""The bytes of an image as records hold them: what TensorFlow decodes to what `read_image` gives."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from odflow.errors import ImageError
from odflow.formats.images import open_image, orientation, upright_rgb

if TYPE_CHECKING:
    from PIL import Image

_JPEG_QUALITY = 95
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An upright RGB or grey image in its file form; width and height in pixels."""

    data: bytes
    format: Literal["jpeg", "png"]
    width: int
    height: int


def read_encoded(path: Path) -> EncodedImage:
    """Read an image for a record.

    The file's own bytes, wherever TensorFlow's decoders read them as `read_image` does.
    They turn nothing by EXIF, know neither BMP nor WebP for training, and disagree about
    CMYK: such an image is encoded anew, upright, as RGB: BMP and PNG as PNG, the others as
    JPEG of quality 95. So is a file that lacks its end marker and decodes all the same. A
    whole JPEG is told by that marker alone, which saves decoding; any other form is decoded.

    Raises:
        ImageError: missing, no image, cut off or damaged.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from None
    with open_image(path, data) as image:
        form = str(image.format)
        header = image.fp.tell() if image.fp else 0  # an end marker inside it ends a thumbnail
        whole = form in _ENDS and data.rfind(_ENDS[form], header) > 0
        if form != "JPEG" or not whole:
            image.load()
        if whole and image.mode != "CMYK" and orientation(image) == 1:
            return EncodedImage(data, "jpeg" if form == "JPEG" else "png", *image.size)
        return _encoded_anew(image)


def _encoded_anew(image: Image.Image) -> EncodedImage:
    rgb = upright_rgb(image)
    buffer = BytesIO()
    if image.format in ("PNG", "BMP"):
        rgb.save(buffer, "PNG")
        return EncodedImage(buffer.getvalue(), "png", *rgb.size)
    rgb.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return EncodedImage(buffer.getvalue(), "jpeg", *rgb.size)
