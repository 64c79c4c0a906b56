"""What a file is, told by what it holds."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from odflow.formats.example import encode_example
from odflow.formats.file_kinds import what_is
from odflow.formats.tfrecord import write_records


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")  # without the time
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return buffer.getvalue()


def message(*fields: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([number << 3 | 2, len(data)]) + data for number, data in fields)


NODE = message((1, b"image_tensor"), (2, b"Placeholder"))
GRAPH = message((1, NODE), (1, message((1, b"a/b"), (2, b"Const"))))
META_INFO = message((2, message((1, message((1, b"Add"))))), (5, b"1.15.0"))

KINDS = {
    "x.pb": [
        (b"", "empty"),
        (bytes(5000), "zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 29\n", "lfs_pointer"),
        (b"/annex/objects/SHA256E-s1--aa.pb\n", "annex_pointer"),
        (b"../.git/annex/objects/SHA256E-s1--aa.pb\n", "annex_pointer"),
        (b"<!DOCTYPE html><html>quota exceeded</html>", "web_page"),
        (b"\n\n<HTML lang='de'>", "web_page"),
        (b"\xef\xbb\xbf<!doctype html>", "web_page"),
        (zipped("a.txt"), "archive"),
        (zipped("a.txt")[:30], "archive"),
        (zipped("metadata.json", "model.weights.h5"), "keras"),
        (zipped("archive/data.pkl", "archive/version"), "pytorch"),
        (zipped("arr_0.npy"), "numpy"),
        (gzip.compress(b"a", mtime=0), "archive"),
        (tarred(), "archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "keras_h5"),
        (b"\x1c\0\0\0TFL3" + bytes(90), "tflite"),
        (b"\x08\x07\x12\x07pytorch" + bytes(90), "onnx"),
        (b"\x08\x08\x12\x0connx-example:" + bytes(9), "onnx"),
        (b"\x08\x01\x12\x20" + message((1, bytes(30))), "saved_model"),
        (GRAPH, "frozen_graph"),
        (GRAPH + b"\x22\x03\x08\xaa\x05", "frozen_graph"),
        (GRAPH[:-1], "cut_graph"),
        (GRAPH + b"\xff" * 20, "cut_graph"),
        (message((1, META_INFO), (2, GRAPH)), "checkpoint"),
        (b"abc" + bytes.fromhex("57fb808b247547db"), "checkpoint"),
        (b'model_checkpoint_path: "model.ckpt-1"\n', "checkpoint"),
        (b'node {\n  name: "a"\n}\n', "text_graph"),
        (b"# made by hand\nitem {\n  id: 1\n}", "label_map"),
        (b"item{id:1 name:'a'}", "label_map"),
        (b"model {\n ssd {", "pipeline_config"),
        (b'{"format": "graph-model", "weightsManifest": []}', "tfjs"),
        (b"<?xml version='1.0'?><annotation/>", "xml"),
        (b"<?xml version='1.0'?>\n<net name='a'>", "openvino"),
        (b"\xff\xd8\xff\xe0" + bytes(99) + b"x", "image"),
        (b"II*\0" + bytes(99) + b"x", "other_image"),
        (b"\x93NUMPY\1\0", "numpy"),
        (b"PAR1" + bytes(9), "parquet"),
        (b"404: Not Found", "text"),
        ("größe".encode("utf-16"), "text"),
        (b"\xff" * 50, None),
        (b"\n", None),
        (b"\x08", None),
    ],
    "m.ckpt-1.data-00000-of-00001": [(b"\xff" * 50, "checkpoint")],
    "m.pth": [(b"\x80\x02}q\0.", "pytorch")],
    "m.weights": [(b"\0\0\0\0\2\0\0\0", "darknet")],
}
TABLE = [(name, data, kind) for name, cases in KINDS.items() for data, kind in cases]


@pytest.mark.parametrize(("name", "data", "kind"), TABLE)
def test_kinds(tmp_path, name, data, kind):
    (tmp_path / name).write_bytes(data)
    found = what_is(tmp_path / name)
    assert (found and found.name) == kind
    assert found is None or ("\n" not in str(found) and str(found).endswith("."))


def test_records_are_told_by_their_checksum(tmp_path):
    write_records(tmp_path / "x", [encode_example({"a": np.array([1])})])
    assert str(what_is(tmp_path / "x")) == "a file of TFRecords."


def test_the_cures_of_what_is_in_a_files_place(tmp_path):
    cures = {}
    for _, data, kind in TABLE:
        (tmp_path / "x").write_bytes(data)
        cures[kind] = str(what_is(tmp_path / "x"))
    assert cures["lfs_pointer"].endswith("Run git lfs pull.")
    assert "Download the file again" in cures["web_page"]
    assert cures["archive"].endswith("Unpack it.")
    assert "Copy or download it again" in cures["cut_graph"]


def test_what_is_not_there_and_folders_are_nothing(tmp_path):
    assert what_is(tmp_path) is None
    assert what_is(tmp_path / "none") is None


def test_a_long_text_that_ends_within_a_character(tmp_path):
    (tmp_path / "x").write_bytes(b"a" + "ü".encode() * 4000)
    assert what_is(tmp_path / "x").name == "text"
