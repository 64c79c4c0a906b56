"""Read the text of a config or a list of classes, or say what the file is instead."""

from __future__ import annotations

import codecs
from pathlib import Path

from odflow.errors import ConfigError
from odflow.formats.file_kinds import FileKind, what_is
from odflow.regular import read_regular

MAX_BYTES = 2 * 1024 * 1024
"""More than any config or list of classes has; what is larger is something else."""

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_OTHER_TEXTS = ("lfs_pointer", "annex_pointer", "web_page", "text_graph", "openvino", "xml")
"""Kinds of text that no config and no list of classes is."""

_TEXTS = ("text", "pipeline_config", "label_map")


def read_text(path: Path, wanted: str, most: int = MAX_BYTES) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        wanted: what is to be given in its place, with its article: "a label map (.pbtxt)".
        most: bytes that it may have.

    Raises:
        ConfigError: it cannot be read, is larger than `most`, is not UTF-8 text (the line is
            named), or is a web page, a Git LFS pointer, a graph, ...: it says which.
    """
    text = _decoded(path, _content(path, wanted, most), wanted)
    kind = what_is(path)
    if kind and kind.name in _OTHER_TEXTS:
        raise _other(path, kind, wanted)
    return text


def _other(path: Path, kind: FileKind, wanted: str) -> ConfigError:
    return ConfigError(f"{path}: is {kind.what}; wanted: {wanted}. {kind.cure or f'Give {wanted}.'}")


def _content(path: Path, wanted: str, most: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > most:
            kind = what_is(path)
            if kind and kind.name not in _TEXTS:
                raise _other(path, kind, wanted)
            raise ConfigError(f"{path}: has {size} bytes; wanted at most {most}. Give {wanted}.")
        return read_regular(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({reason}). Give {wanted}.") from None


def _decoded(path: Path, data: bytes, wanted: str) -> str:
    if data.startswith(_MARKS):
        raise ConfigError(f"{path}: is UTF-16, not UTF-8 text. Save the file as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at, found, cure = error.start, f"byte 0x{data[error.start]:02x}", "Save the file as UTF-8."
    else:
        if "\0" not in text:
            return text
        at, found, cure = data.index(b"\0"), "a NUL byte", f"Give {wanted}."
    kind = what_is(path)
    if kind and kind.name not in _TEXTS:
        raise _other(path, kind, wanted)
    line = data.count(b"\n", 0, at) + 1
    raise ConfigError(f"{path}:{line}: found {found}, wanted UTF-8 text. {cure}")
