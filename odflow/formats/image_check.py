"""Prove that an encoded image is whole, at less than the cost of decoding it.

Two depths. `structure`: segments or chunks follow one another as their lengths say, checksums
fit, the end is there. `pixels`: every coefficient is decoded too, a JPEG into a grey image of an
eighth of its sides; what libjpeg only warns of (a hole, missing blocks, which it fills with
grey) counts as damage.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from odflow.errors import ImageError
from odflow.formats.images import check_pixels, image_format, open_image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

Verify = Literal["pixels", "structure"]

_JPEG_END = b"\xff\xd9"
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_MARKERS = np.ones(256, np.bool_)
_MARKERS[[0x00, 0xFF, *range(0xD0, 0xD8)]] = False  # stuffed bytes, fill bytes and restarts
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_HARMLESS = re.compile(r"unknown JFIF revision|Unknown Adobe color transform|Invalid SOS parameters")


class Size(NamedTuple):
    """Of an image as it is stored, in pixels."""

    width: int
    height: int


def check_image(place: Path | str, data: bytes, verify: Verify = "pixels") -> Size:
    """Verify that an image is whole.

    Args:
        place: what errors name.
        data: a JPEG, PNG, GIF, BMP or WebP image.
        verify: how deep; the size is read from the header in any case.

    Returns:
        Its size as it is stored: not turned by EXIF.

    Raises:
        ImageError: no such image, cut off, damaged, or of more pixels than `MOST_PIXELS`.
    """
    form = image_format(data)
    if form == "jpeg":
        return _check_jpeg(place, data, verify)
    if form == "png":
        _check_png(place, data)
    with open_image(Path(place), data, gif=True) as image:
        if form == "bmp" and not _bmp_is_whole(data, image):
            raise ImageError(f"{place}: is cut off: the BMP image is longer than its {len(data)} bytes.")
        if form == "webp" and int.from_bytes(data[4:8], "little") > len(data) - 8:
            raise ImageError(f"{place}: is cut off: the WebP image is longer than its {len(data)} bytes.")
        if verify == "pixels":
            image.load()
        return Size(*image.size)


def is_plain_jpeg(data: bytes) -> bool:
    """Tell a JPEG of 8 bits and one or three components that nothing may turn (no EXIF, no XMP).

    The segments before the image data tell; whether the rest is whole, `check_image` does.
    """
    at, plain = 2, False
    while found := _MARKER.match(data, at):
        marker, at = found[1][0], found.end()
        if marker == 0xDA:
            return plain
        if marker == 0xE1 or marker < 0xC0 or marker in (0xD8, _JPEG_END[1]):
            return False
        if marker in _FRAMES:
            plain = data[at + 2 : at + 3] == b"\x08" and data[at + 7 : at + 8] in (b"\x01", b"\x03")
        at += int.from_bytes(data[at : at + 2], "big")
    return False


def with_end(data: bytes) -> bytes:
    """The bytes of an image; of a JPEG or PNG that has no end marker, with one."""
    form = image_format(data)
    if form == "png":
        *_, (kind, _, end) = [(b"", 0, 4), *_chunks(data)]
        return data if kind == b"IEND" else data[: end + 4] + _PNG_END
    return data + _JPEG_END if form == "jpeg" and not _has_jpeg_end(data) else data


def _has_jpeg_end(data: bytes) -> bool:
    try:
        *_, (last, _) = _markers("", data)
    except ImageError:
        return False
    return last == _JPEG_END[1]


def _check_jpeg(place: Path | str, data: bytes, verify: Verify) -> Size:
    size, components, scans = None, 0, 0
    for marker, at in _markers(place, data):
        if marker in _FRAMES:
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            size = Size(width, height)
        scans += marker == 0xDA
    if size is None or not scans or not min(size):
        raise ImageError(f"{place}: cannot be decoded (a JPEG without image data).")
    check_pixels(place, *size)
    if verify == "pixels":
        _decode_jpeg(place, data, components)
    return size


def _markers(place: Path | str, data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG up to its end, each with the place of its segment's length."""
    places = _marker_places(data)
    at = 2
    while True:
        found = _MARKER.match(data, at)
        if found is None:
            raise ImageError(f"{place}: {_cut(data, at)}")
        marker, at = found[1][0], found.end()
        length = 0 if marker == _JPEG_END[1] else _segment_length(place, data, at, marker)
        yield marker, at
        if not length:
            return
        at += length
        if marker == 0xDA:
            after = places[np.searchsorted(places, at) :]
            if not len(after):
                raise ImageError(f"{place}: is cut off: the JPEG has no end marker.")
            at = int(after[0])


def _marker_places(data: bytes) -> NDArray[np.intp]:
    """Where image data may end: each 0xff before a marker. A regular expression takes ten times as long."""
    values = np.frombuffer(data, np.uint8)
    begin = values[:-1] == 0xFF
    np.logical_and(begin, values[1:], out=begin)  # few are left: most are followed by a stuffed 0
    places = np.flatnonzero(begin)
    return places[_MARKERS[values[places + 1]]]


def _segment_length(place: Path | str, data: bytes, at: int, marker: int) -> int:
    length = int.from_bytes(data[at : at + 2], "big")
    shortest = 8 if marker in _FRAMES else 2
    if marker < 0xC0 or marker == 0xD8 or length < shortest:
        raise ImageError(f"{place}: cannot be decoded (unexpected JPEG marker 0x{marker:02x} at byte {at}).")
    if at + length >= len(data):
        raise ImageError(f"{place}: is cut off inside a JPEG segment at byte {at}.")
    return length


def _cut(data: bytes, at: int) -> str:
    if at >= len(data) - 1:
        return "is cut off: the JPEG has no end marker."
    return f"cannot be decoded (no JPEG marker at byte {at})."


def _decode_jpeg(place: Path | str, data: bytes, components: int) -> None:
    """Decode every coefficient; the pixels are of no interest, so as few are made as can be."""
    from simplejpeg import decode_jpeg

    colors = {1: "GRAY", 3: "GRAY", 4: "CMYK"}.get(components)
    if colors is None:
        raise ImageError(f"{place}: cannot be decoded (a JPEG of {components} components).")
    try:
        decode_jpeg(data, colors, fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        reason = str(error)
        if _harmless(reason, data):
            return
        if "subsampling" not in reason and not _HARMLESS.search(reason):
            raise ImageError(f"{place}: is damaged ({reason}).") from None
        with open_image(Path(place), data) as image:  # what TurboJPEG does not know, or stops at too early
            image.load()


def _harmless(warning: str, data: bytes) -> bool:
    """Whether a warning is about bytes that some cameras put between image data and end."""
    found = _PADDING.search(warning)
    if not found:
        return False
    end = data.rfind(_JPEG_END)
    padding = data[max(0, end - int(found[1])) : end]
    return int(found[1]) <= 4 or len(set(padding)) == 1


def _check_png(place: Path | str, data: bytes) -> None:
    """Verify the checksums of the chunks that make pixels, and the end."""
    kind = b""
    for kind, at, end in _chunks(data):
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ImageError(f"{place}: is damaged (the checksum of a PNG chunk at byte {at} does not fit).")
    if kind != b"IEND":
        raise ImageError(f"{place}: is cut off: the PNG has no end.")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The whole chunks of a PNG up to its end: kind, first byte, where the checksum is."""
    at, kind = 8, b""
    while kind != b"IEND":
        kind, end = data[at + 4 : at + 8], at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data) or not kind.isalpha():
            return
        yield kind, at, end
        at = end + 4


def _bmp_is_whole(data: bytes, image: Image.Image) -> bool:
    bits, packed = struct.unpack_from("<HI", data, 28)
    header = int.from_bytes(data[14:18], "little")
    if header < 40 or packed:
        return True  # what its length says nothing about; decoding does
    row = (image.width * bits + 31) // 32 * 4
    needed = int.from_bytes(data[10:14], "little") + row * image.height
    return bool(needed <= len(data))
