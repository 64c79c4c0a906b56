"""The forms of images that people have, and which of them odflow reads."""

from __future__ import annotations

import re
from typing import Literal, get_args

Format = Literal["jpeg", "png", "bmp", "webp"]
"""The forms that are read, as records and tables call them."""

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp")
"""What files of these forms are called."""

START = 16
"""Bytes from which `form_of` tells all it can."""

_OTHER_SUFFIXES = {
    "TIFF": ".tif .tiff",
    "GIF": ".gif",
    "HEIC": ".heic .heif .hif",
    "AVIF": ".avif",
    "JPEG 2000": ".jp2 .j2k .j2c .jpx .jpf .jpm",
    "JPEG XL": ".jxl",
    "JPEG XR": ".jxr .wdp",
    "PPM": ".ppm .pgm .pbm .pnm .pam",
    "TGA": ".tga",
    "Photoshop": ".psd .psb",
    "SVG": ".svg .svgz",
    "OpenEXR": ".exr",
    "Radiance": ".hdr",
    "DDS": ".dds",
    "PCX": ".pcx",
    "icon": ".ico .icns",
    "camera raw": ".cr2 .cr3 .crw .nef .nrw .dng .arw .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .iiq .kdc",
    "GIMP": ".xcf",
    "DICOM": ".dcm",
}
_BY_SUFFIX = {suffix: form for form, suffixes in _OTHER_SUFFIXES.items() for suffix in suffixes.split()}

_PPM = re.compile(rb"P[4-7]\s+([0-9]+\s|#|WIDTH)")

_BRANDS = {
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    "AVIF": (b"avif", b"avis"),
    "camera raw": (b"crx ",),
}
"""What stands behind `ftyp` in files of the ISO base media format."""

_STARTS = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"II\xbc\x01": "JPEG XR",
    b"8BPS\0": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance",
    b"DDS |\0\0\0": "DDS",
    b"gimp xcf": "GIMP",
    b"FUJIFILMCCD-RAW": "camera raw",
}


def image_format(data: bytes) -> Format | None:
    """Tell the form of an image by its first bytes (12 are enough), where it is one that is read.

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


def other_form(data: bytes, name: str = "") -> str | None:
    """Tell the form of an image that is not read.

    Args:
        data: the file's first bytes, `START` of them.
        name: of the file; its suffix tells where the bytes do not.

    Returns:
        What people call the form; None where the bytes or the name tell of none, or the
        bytes are of a form that is read.

    >>> other_form(b"II*" + bytes(13)), other_form(b"", "IMG_1.HEIC"), other_form(b"", "a.jpg")
    ('TIFF', 'HEIC', None)
    """
    if image_format(data):
        return None
    return _by_start(data) or _BY_SUFFIX.get(suffix_of(name))


def suffix_of(name: str) -> str:
    """The last suffix of a file's name, in small letters, with its dot.

    >>> suffix_of("a/IMG.2024.JPG"), suffix_of("jpg"), suffix_of(".jpg")
    ('.jpg', '', '.jpg')
    """
    dot = name.rfind(".")
    return name[dot:].lower() if dot > name.rfind("/") else ""


def is_image_name(name: str) -> bool:
    """Whether a file is called like an image, of whatever form."""
    suffix = suffix_of(name)
    return suffix in SUFFIXES or suffix in _BY_SUFFIX


def _by_start(data: bytes) -> str | None:
    for start, form in _STARTS.items():
        if data.startswith(start):
            return form
    if data[4:8] == b"ftyp":
        return next((form for form, brands in _BRANDS.items() if data[8:12] in brands), None)
    return "PPM" if _PPM.match(data) else None


READ = tuple(form.upper() for form in get_args(Format))
"""What Pillow calls the forms that are read."""
