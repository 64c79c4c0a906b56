"""Read a small text file of the user's, or say what it is instead."""

from __future__ import annotations

import codecs
from pathlib import Path

from odflow.errors import ConfigError

MAX_BYTES = 16 * 1024 * 1024
"""More than any config or list of classes has; what is larger is something else."""

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_BEGINNINGS = (
    ("version https://git-lfs", "a Git LFS pointer", "Get the file itself with git lfs pull"),
    ("<!doctype", "a web page", "Download the raw file"),
    ("<html", "a web page", "Download the raw file"),
    ("<head", "a web page", "Download the raw file"),
    ("<?xml", "XML", ""),
)


def read_text(path: Path, wanted: str) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        wanted: what is to be given in its place, with its article: "a label map (.pbtxt)".

    Raises:
        ConfigError: it cannot be read, is larger than `MAX_BYTES`, is not UTF-8 text (the line is
            named), or is a Git LFS pointer, a web page or XML.
    """
    text = _decoded(path, _content(path, wanted), wanted)
    begin = text[:200].lstrip().lower()
    for beginning, what, advice in _BEGINNINGS:
        if begin.startswith(beginning):
            raise ConfigError(f"{path}: is {what}, not {wanted}. {advice or f'Give {wanted}'}.")
    return text


def _content(path: Path, wanted: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{path}: has {size} bytes; wanted at most {MAX_BYTES}. Give {wanted}.")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({reason}). Give {wanted}.") from None


def _decoded(path: Path, data: bytes, wanted: str) -> str:
    if data.startswith(_MARKS):
        raise ConfigError(f"{path}: is UTF-16, not UTF-8 text. Save the file as UTF-8.")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ConfigError(f"{path}:{line}: found a NUL byte; it is binary, not UTF-8 text. Give {wanted}.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise ConfigError(
            f"{path}:{line}: found {found}, wanted UTF-8 text. Save the file as UTF-8."
        ) from None
