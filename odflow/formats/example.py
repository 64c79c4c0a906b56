"""tf.train.Example on the wire, without TensorFlow or protobuf.

The messages (tensorflow/core/example/{example,feature}.proto) have one field, number 1,
but for Feature, which is one of bytes_list = 1, float_list = 2, int64_list = 3, and a
map's entry, which has key = 1 and value = 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Value = list[bytes] | NDArray[Any]

_BYTES, _FLOAT, _INT64 = 1, 2, 3
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_BITS64 = (1 << 64) - 1
_LARGE = 4096


def encode_example(features: Mapping[str, Value]) -> bytes:
    """Write an Example.

    Args:
        features: by name: a list of bytes, a float32 array (N,), or an int64 array (N,).

    Returns:
        The message, its features sorted by name: equal features give equal bytes.

    Raises:
        TypeError: a value of another kind.
    """
    return b"".join(example_pieces(features))


def example_pieces(features: Mapping[str, Value]) -> list[bytes]:
    """Write an Example as `encode_example` does, without the cost of copying images.

    Returns:
        The message in pieces, for `write_records`; the items of a large feature are pieces themselves.
    """
    entries = [piece for name in sorted(features) for piece in _entry(name, features[name])]
    return [b"\x0a" + _varint(_length(entries)), *entries]


def decode_example(data: bytes) -> dict[str, Value]:
    """Read an Example; the inverse of `encode_example`, packed or not.

    Returns:
        By name: a list of bytes, a float32 array (N,), or an int64 array (N,); a feature
        of no kind is an empty list.

    Raises:
        InputError: not such a message.
    """
    try:
        return {name: _value(view) for name, view in _features(memoryview(data))}
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"not a tf.train.Example ({error}).") from None


def example_views(data: memoryview) -> dict[str, memoryview]:
    """Find the features of an Example without reading them, however large they are.

    Returns:
        By name: the feature's message, for `feature_value` and `first_bytes`.

    Raises:
        InputError: not such a message.
    """
    try:
        return dict(_features(data))
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"not a tf.train.Example ({error}).") from None


def feature_value(view: memoryview) -> Value:
    """Read a feature, as `decode_example` does.

    Raises:
        InputError: not such a message.
    """
    try:
        return _value(view)
    except (IndexError, ValueError) as error:
        raise InputError(f"not a tf.train.Example ({error}).") from None


def feature_kind(view: memoryview) -> str:
    """What a feature is a list of: "bytes", "float" or "int64"; "" for nothing.

    Raises:
        InputError: not such a message.
    """
    try:
        kinds = [kind for kind, _ in _fields(view, _BYTES, _FLOAT, _INT64)]
    except (IndexError, ValueError) as error:
        raise InputError(f"not a tf.train.Example ({error}).") from None
    return {_BYTES: "bytes", _FLOAT: "float", _INT64: "int64"}[kinds[-1]] if kinds else ""


def first_bytes(view: memoryview, count: int) -> bytes:
    """The beginning of the first item of a feature of bytes; empty where there is none."""
    with suppress(IndexError, ValueError):
        for _, items in _fields(view, _BYTES):
            for _, item in _fields(items, 1):
                return bytes(item[:count])
    return b""


def _entry(name: str, value: Value) -> list[bytes]:
    """One entry of the map."""
    kind, content = _content(name, value)
    size, key = _length(content), _key(name)
    inner = bytes((kind << 3 | _DELIMITED,)) + _varint(size)
    outer = b"\x12" + _varint(len(inner) + size)
    head = b"".join((b"\x0a", _varint(len(key) + len(outer) + len(inner) + size), key, outer, inner))
    return [head, *content] if size >= _LARGE else [b"".join((head, *content))]


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    return _field(1, name.encode())


def _content(name: str, value: Value) -> tuple[int, list[bytes]]:
    if isinstance(value, list):
        return _BYTES, [part for item in value for part in (b"\x0a", _varint(len(item)), item)]
    kind = value.dtype.str if hasattr(value, "dtype") else type(value).__name__
    if kind == "<f4":
        return _FLOAT, [_field(1, value.tobytes())] if len(value) else []
    if kind == "<i8":
        return _INT64, [_field(1, b"".join(map(_varint, value.tolist())))] if len(value) else []
    raise TypeError(f"{name}: found {kind}, wanted a list of bytes, float32 (<f4) or int64 (<i8).")


def _length(pieces: list[bytes]) -> int:
    return sum(map(len, pieces))


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | _DELIMITED,)) + _varint(len(content)) + content


@lru_cache(maxsize=4096)  # lengths and labels are few
def _varint(value: int) -> bytes:
    value &= _BITS64  # negative numbers are written in two's complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _features(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    for _, features in _fields(data, 1):
        for _, entry in _fields(features, 1):
            parts = dict(_fields(entry, 1, 2))
            yield bytes(parts.get(1, b"")).decode(), parts.get(2, memoryview(b""))


def _value(feature: memoryview) -> Value:
    import numpy as np

    value: Value = []
    for kind, content in _fields(feature, _BYTES, _FLOAT, _INT64):
        if kind == _BYTES:
            value = [bytes(item) for _, item in _fields(content, 1)]
        elif kind == _FLOAT:
            packed = b"".join(bytes(item) for _, item in _fields(content, 1))
            value = np.frombuffer(packed, "<f4").astype(np.float32)
        else:
            numbers = [number for _, item in _fields(content, 1) for number in _varints(item)]
            value = np.array([number - (number >> 63 << 64) for number in numbers], np.int64)
    return value


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _read_varint(data, at)
        yield value


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 128:  # nearly all of them
        return value, at + 1
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value & _BITS64, at
        if shift > 63:
            raise ValueError(f"a number of more than 10 bytes before byte {at}")


def _fields(data: memoryview, *wanted: int) -> Iterator[tuple[int, memoryview]]:
    """The wanted fields of a message: number and content (of a number, its bytes)."""
    at, whole = 0, len(data)
    while at < whole:
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _DELIMITED:
            size, at = _read_varint(data, at)
            end = at + size
        elif kind == _VARINT:
            _, end = _read_varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            end = at + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError(f"wire type {kind} before byte {at}")
        if end > whole:
            raise ValueError(f"a field of {end - at} bytes where {whole - at} are left")
        if number in wanted:
            yield number, data[at:end]
        at = end
