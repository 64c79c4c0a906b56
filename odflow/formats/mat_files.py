"""MATLAB files (version 5 to 7.2): one variable, proved whole before SciPy reads it.

SciPy's reader trusts types, sizes and counts, and the process dies where they lie. Layout
(MathWorks, "MAT-File Format", chapter 1): 128 bytes of header, then elements: a tag of type and
length, and the data. A variable is an element of type miMATRIX with elements in it, whole or
compressed: flags, dimensions, name, and the values of its class.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError
from odflow.formats.file_kinds import what_is
from odflow.formats.text_files import read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 1 << 28
"""Of a variable, unpacked; FLIC's has 2 million."""

_HEADER, _MATRIX, _COMPRESSED = 128, 14, 15
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes of a number, by the type of an element."""

_TEXTS = {1: 1, 2: 1, 4: 2, 16: 1, 17: 2, 18: 4}
"""Bytes of a character, or of what one begins with."""

_CELL, _STRUCT, _CHAR, _NUMERIC, _OPAQUE = 1, 2, 4, range(6, 16), 17
_INT32, _UINT32 = 5, 6
_DEEPEST, _MOST_VALUES, _MOST_NUMBERS = 32, 1 << 21, MOST_BYTES // 8


def read_mat(path: Path, name: str, form: str) -> NDArray[Any]:
    """Read one variable of a MATLAB file; nothing in it is run or unpickled.

    Args:
        path: of the file.
        name: of the variable: numbers, text, cells or structs.
        form: what the file should be, for messages.

    Raises:
        InputError: no such file, it has no such variable, or is damaged: the message has the byte
            of the file, or of the unpacked variable.
    """
    from scipy.io import loadmat

    data = read_bytes(path)
    try:
        order = _byte_order(data)
        whole = next((one for one in _variables(data, order) if one.name == name), None)
        if whole is not None:
            whole.check()
    except (_Damage, struct.error, zlib.error) as error:
        raise InputError(f"{path}: is no {form} file, or is damaged ({error}){_instead(path)}.") from None
    if whole is None:
        raise InputError(f"{path}: is no {form} file: it has no variable {name!r}.")
    # SciPy sees nothing but what was checked.
    found = loadmat(BytesIO(data[:_HEADER] + whole.element), variable_names=[name])
    return np.asarray(found[name])


class _Damage(Exception):
    """Something in the file is not as it must be."""


def _byte_order(data: bytes) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise _Damage("it does not begin as one")
    (version,) = struct.unpack_from(f"{order}H", data, 124)
    if version != 0x0100:
        raise _Damage(f"its version is {version >> 8}.{version & 255}; save it with -v7")
    return order


def _variables(data: bytes, order: str) -> Iterator[_Variable]:
    at = _HEADER
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        end = at + 8 + size
        if end > len(data):
            raise _Damage(f"an element of {size} bytes at byte {at} is cut off")
        content = data[at:end]
        if kind == _COMPRESSED:
            content = _unpacked(content[8:])
        variable = _Variable(content, order)
        if kind in (_MATRIX, _COMPRESSED):
            variable.begin()
            yield variable
        at = end


def _unpacked(content: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(content, MOST_BYTES)
    if unpacking.unconsumed_tail:
        raise _Damage(f"a variable of more than {MOST_BYTES} bytes")
    if not unpacking.eof:
        raise _Damage("a variable is cut off")
    return data


@dataclass
class _Variable:
    """The element of a variable, unpacked, with its tag; see `check`."""

    element: bytes
    order: str
    name: str = ""
    values: int = field(default=0, init=False)

    def begin(self) -> None:
        """Read the name."""
        kind, start, end, _ = self._tag(0, len(self.element))
        if kind != _MATRIX or end != len(self.element):
            raise _Damage("a variable is none")
        (flags,) = struct.unpack_from(f"{self.order}I", self.element, self._tag(start, end)[1])
        self.name = "" if flags & 255 == _OPAQUE else self._head(start, end)[2]

    def check(self) -> None:
        """Prove that types, sizes and counts are what they must be, all through.

        Raises:
            _Damage: they are not.
        """
        self._matrix(8, len(self.element), 0)

    def _matrix(self, at: int, end: int, depth: int) -> None:
        """A matrix without its tag."""
        self.values += 1
        if at == end:  # an empty one may have nothing at all
            return
        if depth > _DEEPEST:
            raise _Damage(f"it is nested more than {_DEEPEST} deep")
        flags, count, _, at = self._head(at, end)
        kind, is_complex = flags & 255, bool(flags & 0x800)
        if count > _MOST_NUMBERS:
            raise _Damage(f"{count} values at byte {at}; at most {_MOST_NUMBERS} are read")
        if kind == _STRUCT:
            self.values += count
            at, names = self._names(at, end)
            count *= names
        self.values += count if kind in (_CELL, _STRUCT) else 0
        if self.values > _MOST_VALUES:
            raise _Damage(f"it has more than {_MOST_VALUES} cells and fields")
        if kind in (_CELL, _STRUCT):
            for _ in range(count):
                inner, start, stop, at = self._tag(at, end)
                if inner != _MATRIX:
                    raise _Damage(f"an element of type {inner} before byte {start}, where a value must be")
                self._matrix(start, stop, depth + 1)
        elif kind == _CHAR:
            at = self._text(at, end, count)
        elif kind in _NUMERIC:
            for _ in range(1 + is_complex):
                at = self._numbers(at, end, count)
        else:
            raise _Damage(f"values of class {kind} before byte {at}")
        if at != end:
            raise _Damage(f"{end - at} bytes too many at byte {at}")

    def _head(self, at: int, end: int) -> tuple[int, int, str, int]:
        """Flags, number of values, name, and where the rest begins."""
        kind, start, stop, at = self._tag(at, end)
        if kind != _UINT32 or stop - start != 8:
            raise _Damage(f"no flags at byte {start}")
        (flags,) = struct.unpack_from(f"{self.order}I", self.element, start)
        kind, start, stop, at = self._tag(at, end)
        sides = struct.unpack_from(f"{self.order}{(stop - start) // 4}i", self.element, start)
        if kind != _INT32 or not 2 <= len(sides) <= 32 or (stop - start) % 4 or min(sides) < 0:
            raise _Damage(f"no dimensions at byte {start}")
        kind, start, stop, at = self._tag(at, end)
        if kind not in (1, 2):
            raise _Damage(f"no name at byte {start}")
        return flags, math.prod(sides), self.element[start:stop].decode("latin-1"), at

    def _names(self, at: int, end: int) -> tuple[int, int]:
        """Where the fields of a struct begin, and how many it has; no name of theirs may come twice."""
        kind, start, stop, at = self._tag(at, end)
        if kind != _INT32 or stop - start != 4:
            raise _Damage(f"no length of names at byte {start}")
        (length,) = struct.unpack_from(f"{self.order}i", self.element, start)
        kind, start, stop, at = self._tag(at, end)
        if kind not in (1, 2) or length < 1 or (stop - start) % length:
            raise _Damage(f"no names of fields at byte {start}")
        names = [self.element[one : one + length].split(b"\0")[0] for one in range(start, stop, length)]
        if not all(name.decode("latin-1").isidentifier() for name in names) or len({*names}) < len(names):
            raise _Damage(f"names of fields that are none, or come twice, at byte {start}")
        return at, len(names)

    def _text(self, at: int, end: int, count: int) -> int:
        kind, start, stop, at = self._tag(at, end)
        if kind not in _TEXTS or not count <= (stop - start) // _TEXTS[kind] <= 4 * count:
            raise _Damage(f"no text of {count} characters at byte {start}")
        return at

    def _numbers(self, at: int, end: int, count: int) -> int:
        kind, start, stop, at = self._tag(at, end)
        if kind not in _NUMBERS or stop - start != count * _NUMBERS[kind]:
            raise _Damage(f"no {count} numbers at byte {start}")
        return at

    def _tag(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Type, first byte, byte after the last, and where the next element begins (8 bytes a step)."""
        if at + 8 > end:
            raise _Damage(f"it is cut off at byte {at}")
        kind, size = struct.unpack_from(f"{self.order}II", self.element, at)
        if kind >> 16:  # up to 4 bytes stand in the tag itself
            kind, size, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _Damage(f"{size} bytes in the tag at byte {at}")
        else:
            start = at + 8
            following = start + size + (-size % 8 if kind != _MATRIX else 0)
        if max(start + size, following) > end:
            raise _Damage(f"an element of {size} bytes at byte {at} is cut off")
        return kind, start, start + size, following


def _instead(path: Path) -> str:
    kind = what_is(path)
    return f"; it is {kind.what}" if kind and kind.name != "text" else ""
