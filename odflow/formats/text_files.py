"""Text files of annotations, in the encoding that their first bytes tell."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

from odflow.errors import InputError
from odflow.regular import read_regular

_MARKS = (  # the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_LINE_END = re.compile(r"\r\n|\r|\n")


def encoding_by_mark(data: bytes) -> str | None:
    r"""Tell the encoding of a text by its byte order mark, if it has one.

    >>> encoding_by_mark(b"\xef\xbb\xbf0 0.5"), encoding_by_mark(b"0 0.5")
    ('utf-8-sig', None)
    """
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def decode_text(data: bytes, place: str) -> str:
    """Decode UTF-8, or what the byte order mark says.

    Args:
        data: of the whole file.
        place: what messages call it.

    Raises:
        InputError: it is something else; the message names the line.
    """
    encoding = encoding_by_mark(data) or "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line, wrong = line_of(error, encoding), data[error.start]
        name = encoding.removesuffix("-sig").upper()
        raise InputError(
            f"{place}:{line}: is not {name} text (byte 0x{wrong:02x}). Save it as UTF-8."
        ) from None


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def lines_of(text: str) -> list[str]:
    r"""The lines of a text as editors count them: other separators than \n, \r\n and \r end none."""
    lines = _LINE_END.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def has_controls(text: str) -> bool:
    r"""Tell whether a name holds what no table keeps: control characters, or halves of characters.

    >>> has_controls("red"), has_controls("red\t"), has_controls("\ud800")
    (False, True, True)
    """
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def line_of(error: UnicodeDecodeError, encoding: str) -> int:
    """The line, from 1, of the bytes that cannot be decoded."""
    return error.object[: error.start].decode(encoding, "ignore").count("\n") + 1
