"""MATLAB files whose tags lie: SciPy's reader dies at some of them."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from scipy.io import savemat

from odflow.errors import InputError
from odflow.formats.mat_files import read_mat

WHOLE = {
    "numbers": np.arange(6.0).reshape(2, 3),
    "complex": np.array([[1 + 2j]]),
    "text": "hello",
    "cells": np.array([[1, "a"], [np.zeros((0, 3)), {"b": [1.5]}]], object),
    "struct": {"a": 1, "b": {"c": "x"}},
    "flag": np.array([[True]]),
}


def saved(value, **options):
    buffer = BytesIO()
    savemat(buffer, {"other": np.ones(3), "wanted": value}, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", WHOLE)
def test_what_scipy_writes_is_read(tmp_path, name, compressed):
    (tmp_path / "a.mat").write_bytes(saved(WHOLE[name], do_compression=compressed))
    found = read_mat(tmp_path / "a.mat", "wanted", "LSP")
    if name in ("numbers", "complex", "flag"):
        np.testing.assert_array_equal(found, WHOLE[name])
    assert found.size > 0


def patched(at, *numbers):
    """A file of one 2x3 matrix alone, some 32-bit numbers of which are others."""
    buffer = BytesIO()
    savemat(buffer, {"wanted": WHOLE["numbers"]})
    data = bytearray(buffer.getvalue())
    struct.pack_into(f"<{len(numbers)}I", data, at, *numbers)
    return bytes(data)


BROKEN = {
    "empty": (b"", "it does not begin as one"),
    "version 7.3": (saved(1)[:124] + b"\0\2IM" + bytes(8), "its version is 2.0; save it with -v7"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "it is an HDF5 file"),
    "unknown type": (patched(184, 999), "no 6 numbers"),
    "sizes that lie": (patched(188, 40), "no 6 numbers|bytes too many"),
    "dimensions that lie": (patched(160, 2**30), "values at byte"),
    "class of sparse": (patched(144, 5), "values of class 5"),
    "length beyond the file": (patched(132, 2**31), "is cut off"),
    "cut": (patched(128)[:-20], "is cut off"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_tags_that_lie_are_told(tmp_path, name):
    data, said = BROKEN[name]
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.mat: is no LSP file, or is damaged \(.*({said})"):
        read_mat(tmp_path / "a.mat", "wanted", "LSP")


def test_cells_in_cells_are_told_where_they_are_too_many(tmp_path):
    value = np.ones((1, 1), object)
    for _ in range(40):
        inner, value = value, np.empty((1, 1), object)
        value[0, 0] = inner
    (tmp_path / "a.mat").write_bytes(saved(value))
    with pytest.raises(InputError, match="nested more than 32 deep"):
        read_mat(tmp_path / "a.mat", "wanted", "LSP")


def test_a_few_bytes_that_unpack_to_gigabytes_are_told(tmp_path):
    packing = zlib.compressobj(1)
    packed = b"".join(packing.compress(bytes(1 << 20)) for _ in range(257)) + packing.flush()
    data = saved(1)[:128] + struct.pack("<II", 15, len(packed)) + packed
    assert len(data) < 2**21
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(InputError, match="a variable of more than 268435456 bytes"):
        read_mat(tmp_path / "a.mat", "wanted", "LSP")
