"""Photographs: which files are images, how large they are, and their pixels.

What an image is, its content says, not its name: JPEG, PNG, BMP or WebP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.errors import ImageError
from odflow.formats.file_kinds import other_image, what_is
from odflow.formats.image_forms import READ, START, other_form
from odflow.formats.image_forms import Format as Format
from odflow.formats.image_forms import image_format as image_format
from odflow.formats.image_search import ImageFile as ImageFile
from odflow.formats.image_search import find_images as find_images
from odflow.regular import check_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from PIL import ImageFile as PillowFile

MOST_PIXELS = 50_000_000
"""Of an image that is decoded, unless a stage's `max_pixels` says otherwise: few bytes may hold many."""

PIXELS_OPENED = 178_956_970
"""Where Pillow refuses to open an image: twice its MAX_IMAGE_PIXELS."""

_IN_RECORDS = (*READ, "GIF")
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Width and height in pixels of the upright image, the form of its file, its EXIF orientation."""

    width: int
    height: int
    format: Format
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height of the picture as the file stores it, before EXIF turns it upright."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def image_size(path: Path) -> ImageSize:
    """Read the size of an image from its header, as `read_image` would show it.

    Raises:
        ImageError: not a readable image, as far as its header tells.
    """
    with open_image(path, most_pixels=PIXELS_OPENED) as image:  # of which no pixel is decoded
        turn = orientation(image)
        width, height = reversed(image.size) if turn >= 5 else image.size
        form = "jpeg" if image.format == "MPO" else str(image.format).lower()
        return ImageSize(width, height, form, turn)  # type: ignore[arg-type]


def read_image(path: Path, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint8]:
    """Read an image as upright RGB.

    Turned by its EXIF orientation. Grey becomes three equal channels, a palette its
    colours, CMYK (Adobe's inverted form too) RGB; 16-bit values keep their high byte;
    alpha is dropped, not blended, as TensorFlow's decoders do when asked for 3 channels.
    An ordinary JPEG gives exactly the bytes of Pillow's `Image.open`.

    Args:
        path: a JPEG, PNG, BMP or WebP file, whatever its name.
        most_pixels: of the image, by its header.

    Returns:
        (height, width, 3) uint8, not to be written to.

    Raises:
        ImageError: missing, no image, cut off, damaged, or of more pixels.
    """
    import numpy as np

    with open_image(path, most_pixels=most_pixels) as image:
        return np.asarray(upright_rgb(image))


@contextmanager
def open_image(
    path: Path, data: bytes | None = None, *, gif: bool = False, most_pixels: int = MOST_PIXELS
) -> Iterator[PillowFile.ImageFile]:
    """Open an image with Pillow; whatever goes wrong with it inside the block is an ImageError.

    Args:
        path: the file; what errors name.
        data: the file's bytes, where they were read before.
        gif: open a GIF, too: records may hold them.
        most_pixels: an image of more is refused before any is decoded.

    Yields:
        The image, as Pillow opens it: its header is read, its pixels are not.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if data is None:
            check_regular(path)
        file = path if data is None else BytesIO(data)
        with Image.open(file, formats=_IN_RECORDS if gif else READ) as image:
            check_pixels(path, image.width, image.height, most_pixels)
            yield image
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such image.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: is no JPEG, PNG, BMP or WebP image, {_instead(path, data)}") from None
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise _too_large(path, int(found[0]) if found else PIXELS_OPENED, most_pixels) from None
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        raise ImageError(f"{path}: cannot be decoded ({error or type(error).__name__}).") from None


def check_pixels(place: Path | str, width: int, height: int, most_pixels: int = MOST_PIXELS) -> None:
    """See that an image is not too large to be decoded.

    Args:
        place: what errors name.
        width, height: by the image's header.
        most_pixels: as many as it may have.

    Raises:
        ImageError: it has more.
    """
    if width * height > most_pixels:
        raise _too_large(place, width * height, most_pixels)


def _too_large(place: Path | str, pixels: int, most: int) -> ImageError:
    way_out = ", or set max_pixels where the stage has it" if pixels <= PIXELS_OPENED else ""
    return ImageError(
        f"{place}: has {pixels} pixels; wanted at most {min(most, PIXELS_OPENED)}. Make it smaller{way_out}."
    )


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn an opened Pillow image into upright RGB, in the way of `read_image`."""
    from PIL import Image

    how = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation(image))
    rgb = _rgb(image)
    return rgb if how is None else rgb.transpose(how)


def read_stored(place: Path, data: bytes, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint8]:
    """Decode the image of a record as TensorFlow's `decode_jpeg` and `decode_image` do.

    As `read_image`, but not turned by EXIF: boxes and masks of a record are those of the pixels
    as they are stored. A JPEG of four channels becomes RGB by TensorFlow's rule, of a GIF the
    first picture counts.

    Args:
        place: what errors name.
        data: a JPEG, PNG, GIF, BMP or WebP image.
        most_pixels: of the image, by its header.

    Returns:
        (height, width, 3) uint8, not to be written to.

    Raises:
        ImageError: no such image, cut off, damaged, or of more pixels.
    """
    import numpy as np

    with open_image(place, data, gif=True, most_pixels=most_pixels) as image:
        if image.mode != "CMYK":
            return np.asarray(_rgb(image))
        inks = np.asarray(image).astype(np.uint16)  # Pillow takes all for inverted, as Adobe writes them
        light = 255 - inks if "adobe" in image.info else inks
        return (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I;16"):
        import numpy as np

        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image.info.pop("transparency", None)  # not wanted, and Pillow warns of some forms of it
    return image if image.mode == "RGB" else image.convert("RGB")


def orientation(image: Image.Image) -> int:
    """Tell the EXIF orientation of an opened image: 1 is upright, from 5 on it lies on its side."""
    try:
        found = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF data says nothing about the pixels
        return 1
    return found if 1 <= found <= 8 else 1


def _instead(path: Path, data: bytes | None) -> str:
    """What a file is that Pillow does not know; the end of a sentence."""
    if data is None:
        kind = what_is(path)
    else:
        form = other_form(data[:START])
        kind = other_image(form) if form else None
    return f"but {kind}" if kind and kind.name not in ("image", "text") else "or its header is damaged."
