"""Which message of TensorFlow's or ONNX a binary file holds, by its fields, without its definition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from odflow.regular import open_regular

Message = Literal["saved_model", "frozen_graph", "cut_graph", "meta_graph", "onnx"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_OPERATION = re.compile(rb"[A-Za-z_][A-Za-z0-9_>./-]{0,200}")
_PEEK = 512


class Field(NamedTuple):
    """One field of a message: its number, wire type, and the first bytes of its content.

    `end` is the place in the file behind it, which lies beyond the file's where it is cut off.
    """

    number: int
    wire: int
    start: bytes
    size: int
    end: int


def protobuf_kind(path: Path) -> Message | None:
    """Tell which message a file holds.

    Returns:
        What it is; None where it is no message, or none of these.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        length = file.seek(0, 2)
        fields = _fields(file, length)
        first, second = next(fields, None), next(fields, None)
        if first is None:
            return None
        if first.wire == _VARINT:
            return _versioned(first, second)
        if first.number != 1 or first.wire != _LENGTH:
            return None
        if _is_node(first.start):
            return "frozen_graph" if _whole(first, second, fields, length) else "cut_graph"
        return "meta_graph" if _is_meta_graph(first, second) else None


def _versioned(first: Field, second: Field | None) -> Message | None:
    """SavedModels and ONNX begin with the number of their version."""
    if first.number != 1 or second is None or second.wire != _LENGTH:
        return None
    if second.number == 2 and second.start[:1] == b"\n" and second.size > 8:
        return "saved_model"
    producer = second.start[: second.size]
    named = second.number == 2 and 0 < second.size < 100 and _text(producer)
    return "onnx" if named or second.number in (3, 4, 6, 7, 8) else None


def _is_node(data: bytes) -> bool:
    """Whether a message begins as a NodeDef does: a name, and what operation it is."""
    parts = list(_parts(data))[:2]
    if not parts or parts[0][0] != 1 or not _text(parts[0][1]):
        return False
    # The peek may end within the name; a name alone is a node that is cut off.
    return len(parts) < 2 or (parts[1][0] == 2 and _OPERATION.fullmatch(parts[1][1]) is not None)


def _is_meta_graph(first: Field, second: Field | None) -> bool:
    numbers = {number for number, _ in _parts(first.start)}
    return bool(numbers) and numbers <= {1, 2, 3, 4, 5, 6, 7} and second is not None and second.number == 2


def _whole(first: Field, second: Field | None, rest: Iterator[Field], length: int) -> bool:
    """Whether the fields end where the file does."""
    last = first if second is None else second
    for last in rest:  # noqa: B007
        pass
    return last.end == length


def _fields(file: BinaryIO, length: int) -> Iterator[Field]:
    """Step over the fields of a message, up to the first that makes no sense."""
    at = 0
    while at < length:
        file.seek(at)
        data = file.read(20 + _PEEK)
        try:
            tag, used = _varint(data, 0)
            number, wire = tag >> 3, tag & 7
            size, began = _varint(data, used) if wire == _LENGTH else (_FIXED.get(wire, -1), used)
            if wire == _VARINT:
                size = _varint(data, used)[1] - used
        except ValueError:
            return
        if not 0 < number < 2**29 or size < 0:
            return
        yield Field(number, wire, data[began : began + min(size, _PEEK)], size, at + began + size)
        at += began + size


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message within another: number and content; what is cut off ends it."""
    at = 0
    while at < len(data):
        try:
            tag, at = _varint(data, at)
            size, at = _varint(data, at)
        except ValueError:
            return
        wire = tag & 7
        if wire == _VARINT:
            yield tag >> 3, b""
            continue
        if wire != _LENGTH:
            return
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number; gives it and the place behind it.

    Raises:
        ValueError: the data end within it, or it is longer than any.
    """
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise ValueError("no number")


def _text(data: bytes) -> bool:
    return bool(data) and data.isascii() and data.decode("ascii").isprintable()
