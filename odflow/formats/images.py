"""Photographs: which files are images, how large they are, and their pixels.

What an image is, its content says, not its name: JPEG, PNG, BMP or WebP.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from odflow.errors import ImageError, InputError
from odflow.formats.image_list import read_image_list

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from PIL import ImageFile as PillowFile

Format = Literal["jpeg", "png", "bmp", "webp"]

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image: its name as tables hold it (relative, POSIX) and where it lies."""

    name: str
    path: Path


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


def find_images(folder: Path, root: Path | None = None) -> list[ImageFile]:
    """Find the images of a folder, or those that a list file names.

    Args:
        folder: a folder, searched with all folders in it (hidden files and folders are
            passed over, linked folders are not entered), or a text file with one image a
            line; blank lines and lines that start with # are passed over, and so is a
            name that was there before.
        root: the folder that the lines of a list are relative to, the list's own if left
            out. A line may hold an absolute path below it.

    Returns:
        The images, sorted by name. From a folder: each file that begins as an image does
        or is called like one (so that a damaged one is missed by nobody).

    Raises:
        InputError: no such folder or list, no image in it, a line that names no file or
            one outside the root, a name that is not UTF-8. The message names file and line.
    """
    if Path(folder).is_dir():
        found = list(_walk(Path(folder)))
        nothing = f"{folder}: holds no image. Give a folder with JPEG, PNG, BMP or WebP files."
    else:
        base = Path(folder).parent if root is None else Path(root)
        found = [ImageFile(name, base / name) for name in read_image_list(folder, base)]
        nothing = f"{folder}: names no image. Wanted: one image a line, relative to {base}."
    if not found:
        raise InputError(nothing)
    return sorted(found, key=lambda image: image.name)


def image_format(data: bytes) -> Format | None:
    """Tell the form of an image by its first bytes (12 are enough).

    >>> image_format(bytes.fromhex("ffd8ffe000104a464946"))
    'jpeg'
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"BM") and len(data) >= 10 and data[6:10] == b"\0\0\0\0":
        return "bmp"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None


def image_size(path: Path) -> ImageSize:
    """Read the size of an image from its header, as `read_image` would show it.

    Raises:
        ImageError: not a readable image, as far as its header tells.
    """
    with open_image(path) as image:
        turn = orientation(image)
        width, height = reversed(image.size) if turn >= 5 else image.size
        form = "jpeg" if image.format == "MPO" else str(image.format).lower()
        return ImageSize(width, height, form, turn)  # type: ignore[arg-type]


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as upright RGB.

    Turned by its EXIF orientation. Grey becomes three equal channels, a palette its
    colours, CMYK (Adobe's inverted form too) RGB; 16-bit values keep their high byte;
    alpha is dropped, not blended, as TensorFlow's decoders do when asked for 3 channels.
    An ordinary JPEG gives exactly the bytes of Pillow's `Image.open`.

    Args:
        path: a JPEG, PNG, BMP or WebP file, whatever its name.

    Returns:
        (height, width, 3) uint8, not to be written to.

    Raises:
        ImageError: missing, no image, cut off, damaged, or above Pillow's limit of pixels.
    """
    import numpy as np

    with open_image(path) as image:
        return np.asarray(upright_rgb(image))


@contextmanager
def open_image(path: Path, data: bytes | None = None) -> Iterator[PillowFile.ImageFile]:
    """Open an image with Pillow; whatever goes wrong with it inside the block is an ImageError.

    Args:
        path: the file; what errors name.
        data: the file's bytes, where they were read before.

    Yields:
        The image, as Pillow opens it: its header is read, its pixels are not.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path if data is None else BytesIO(data), formats=_FORMATS) as image:
            yield image
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such image.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: is no JPEG, PNG, BMP or WebP image, or its header is damaged.") from None
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        raise ImageError(f"{path}: cannot be decoded ({error or type(error).__name__}).") from None


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
    if image.mode.startswith("I;16"):
        import numpy as np

        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image.info.pop("transparency", None)  # not wanted, and Pillow warns of some forms of it
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return rgb if how is None else rgb.transpose(how)


def orientation(image: Image.Image) -> int:
    """Tell the EXIF orientation of an opened image: 1 is upright, from 5 on it lies on its side."""
    try:
        found = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF data says nothing about the pixels
        return 1
    return found if 1 <= found <= 8 else 1


def _walk(folder: Path) -> Iterator[ImageFile]:
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(at, file)
            if not file.startswith(".") and _looks_like_image(path):
                yield ImageFile(_utf8(path.relative_to(folder)), path)


def _looks_like_image(path: Path) -> bool:
    if path.name.lower().endswith(_SUFFIXES):
        return path.is_file()
    try:
        with path.open("rb") as file:
            return image_format(file.read(12)) is not None
    except OSError:
        return False


def _utf8(relative: Path) -> str:
    name = relative.as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name!r}: the name of this image is not UTF-8. Rename it.") from None
    return name
