"""What a file is, told by what it holds, so that a message can name what was given in a file's place.

Nothing of it is loaded, nothing unpacked: the first bytes, a few fields behind them, the name.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from odflow.formats.image_forms import image_format, other_form
from odflow.formats.protobuf_kinds import protobuf_kind
from odflow.regular import open_regular

_HEAD = 4096


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is.

    Attributes:
        name: one word, for code: lfs_pointer, web_page, saved_model, frozen_graph, onnx, ...
        what: for people, as in "x.pb: is a web page, not the file".
        cure: how to come from it to the file that was meant, one sentence; empty where the
            file is whole and just of another kind.
    """

    name: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.what}. {self.cure}" if self.cure else f"{self.what}."


_EMPTY = FileKind("empty", "an empty file", "Copy or download it again.")
_ZEROS = FileKind("zeros", "a file of zero bytes alone, as broken copies are", "Copy or download it again.")
_LFS = FileKind("lfs_pointer", "a Git LFS pointer, not the file itself", "Run git lfs pull.")
_ANNEX = FileKind("annex_pointer", "a git-annex pointer, not the file itself", "Run git annex get.")
_PAGE = FileKind(
    "web_page", "a web page, not the file itself", "Download the file again (from GitHub: its raw form)."
)
_ZIP = FileKind("archive", "a zip archive", "Unpack it.")
_KERAS = FileKind("keras", "a Keras model (.keras)")
_HDF5 = FileKind("keras_h5", "an HDF5 file, as Keras writes models and weights (.h5)")
_PYTORCH = FileKind("pytorch", "a PyTorch checkpoint")
_ONNX = FileKind("onnx", "an ONNX model")
_CHECKPOINT = FileKind("checkpoint", "a part of a TensorFlow checkpoint")
_TFLITE = FileKind("tflite", "a TFLite model")
_TEXT_GRAPH = FileKind("text_graph", "a graph in text form (.pbtxt)")
_LABEL_MAP = FileKind("label_map", "a label map")
_CONFIG = FileKind("pipeline_config", "a pipeline.config")
_RECORDS = FileKind("records", "a file of TFRecords")

_MAGIC = (
    (0, b"\x89HDF\r\n\x1a\n", _HDF5),
    (4, b"TFL3", _TFLITE),
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", _PYTORCH),
    (0, b"\x1f\x8b", FileKind("archive", "a gzip archive", "Unpack it.")),
    (0, b"BZh", FileKind("archive", "a bzip2 archive", "Unpack it.")),
    (0, b"\xfd7zXZ\0", FileKind("archive", "an xz archive", "Unpack it.")),
    (0, b"\x28\xb5\x2f\xfd", FileKind("archive", "a zstd archive", "Unpack it.")),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("archive", "a 7z archive", "Unpack it.")),
    (0, b"Rar!\x1a\x07", FileKind("archive", "a rar archive", "Unpack it.")),
    (257, b"ustar", FileKind("archive", "a tar archive", "Unpack it.")),
    (0, b"\x93NUMPY", FileKind("numpy", "a NumPy array")),
    (0, b"PAR1", FileKind("parquet", "a Parquet table")),
    (0, b"%PDF", FileKind("pdf", "a PDF document")),
    (0, b"SQLite format 3\0", FileKind("sqlite", "an SQLite database")),
)

_SUFFIX_KINDS = {
    ".meta": _CHECKPOINT,
    ".index": _CHECKPOINT,
    ".ckpt": _CHECKPOINT,
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".keras": _KERAS,
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".onnx": _ONNX,
    ".weights": FileKind("darknet", "weights of Darknet"),
    ".caffemodel": FileKind("caffe", "a Caffe model"),
    ".mlmodel": FileKind("core_ml", "a Core ML model"),
    ".engine": FileKind("tensorrt", "a TensorRT engine"),
    ".trt": FileKind("tensorrt", "a TensorRT engine"),
    ".pkl": FileKind("pickle", "a Python pickle"),
}

_PROTOBUFS = {
    "saved_model": FileKind("saved_model", "the saved_model.pb of a SavedModel"),
    "frozen_graph": FileKind("frozen_graph", "a frozen graph"),
    "cut_graph": FileKind(
        "cut_graph", "a frozen graph that is cut off or damaged", "Copy or download it again."
    ),
    "meta_graph": FileKind("checkpoint", "the graph of a TensorFlow checkpoint (.meta), without its weights"),
    "onnx": _ONNX,
}

_INDEX_END = bytes.fromhex("57fb808b247547db")
_TEXTS = (
    (r"version https://git-lfs\.github\.com/spec/", _LFS),
    (r"\S*/?annex/objects/\S+\s*$", _ANNEX),
    (r"<!doctype html|<html|<head|<meta |<script", _PAGE),
    (r"(#.*\n\s*)*node\s*:?\s*\{", _TEXT_GRAPH),
    (r"(#.*\n\s*)*item\s*:?\s*\{", _LABEL_MAP),
    (
        r"(#.*\n\s*)*(model|train_config|eval_config|train_input_reader|eval_input_reader)\s*:?\s*\{",
        _CONFIG,
    ),
    (
        r"(all_)?model_checkpoint_paths?:",
        FileKind("checkpoint", 'the list of checkpoints of a folder ("checkpoint")'),
    ),
    (
        r"\{[\s\S]*\"(weightsManifest|modelTopology)\"",
        FileKind("tfjs", "a model of TensorFlow.js (model.json)"),
    ),
    (r"<\?xml[\s\S]*<net\s|<net\s", FileKind("openvino", "an OpenVINO model")),
    (r"<\?xml|<annotation", FileKind("xml", "an XML file")),
)


def what_is(path: Path) -> FileKind | None:
    """Tell what a file is by what it holds, and by its name where that does not tell.

    Args:
        path: of any file. A hundred megabytes take no longer than one, but for graphs, whose
            nodes are stepped over (some milliseconds).

    Returns:
        What it is; None for what nobody knows, what is not there, what cannot be read and folders.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
            file.seek(max(0, file.seek(0, 2) - 8))
            end = file.read(8)
    except (OSError, ValueError):
        return None
    return _by_content(path, head, end) or _by_name(path)


def other_image(form: str) -> FileKind:
    """An image of a form that is not read, as `other_form` calls it."""
    article = "an" if form[0] in "AO" else "a"
    return FileKind("other_image", f"{article} {form} image", "Convert it to JPEG or PNG.")


def _by_content(path: Path, head: bytes, end: bytes) -> FileKind | None:
    if not head:
        return _EMPTY
    if not any(head) and not any(end):
        return _ZEROS
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _zip_kind(path)
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    if end == _INDEX_END:
        return _CHECKPOINT
    if _begins_records(head):
        return _RECORDS
    return _image(head) or _protobuf(path) or _text(head)


def _by_name(path: Path) -> FileKind | None:
    if re.search(r"\.data-\d+-of-\d+$", path.name):
        return _CHECKPOINT
    return _SUFFIX_KINDS.get(path.suffix.lower())


def _zip_kind(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises errors of many kinds at damaged archives
        return FileKind("archive", "a damaged zip archive", "Copy or download it again.")
    if "model.weights.h5" in names:
        return _KERAS
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        return _PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return FileKind("numpy", "NumPy arrays (.npz)")
    return _ZIP


def _begins_records(head: bytes) -> bool:
    """TFRecords begin with a length and its checksum."""
    if len(head) < 12:
        return False
    import google_crc32c

    crc = int(google_crc32c.value(head[:8]))
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return int.from_bytes(head[8:12], "little") == masked


def _image(head: bytes) -> FileKind | None:
    form = image_format(head)
    if form:
        return FileKind("image", f"a {form.upper()} image")
    other = other_form(head)
    return other_image(other) if other else None


def _protobuf(path: Path) -> FileKind | None:
    found = protobuf_kind(path)
    return None if found is None else _PROTOBUFS[found]


def _text(head: bytes) -> FileKind | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return FileKind("text", "a text file in UTF-16")
    head = head.removeprefix(b"\xef\xbb\xbf")
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # else the head ends within a character
            return None
        text = head[: error.start].decode()
    if not text.strip() or any(ord(letter) < 32 and letter not in "\t\n\r\f\v" for letter in text):
        return None
    for pattern, kind in _TEXTS:
        if re.match(pattern, text.lstrip(), re.IGNORECASE):
            return kind
    return FileKind(
        "text", f'a text file that begins "{text.split(maxsplit=0)[0].splitlines()[0].strip()[:40]}"'
    )
