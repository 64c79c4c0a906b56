"""Which form of model a path is, and what is said of what is none; without TensorFlow."""

import pytest

from odflow.cli import main
from odflow.errors import InputError
from odflow.odapi.model_files import ModelFile, check_frozen_graph, detector_file, model_file

GRAPH = b"\n\x1b\n\x0cimage_tensor\x12\x0bPlaceholder"
SAVED = b"\x08\x01\x12\x20\n\x1e" + bytes(30)
INDEX = b"abc" + bytes.fromhex("57fb808b247547db")
TFLITE = b"\x1c\0\0\0TFL3" + bytes(90)


@pytest.fixture
def place(tmp_path):
    def make(**files: bytes):
        for name, data in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "given", "form", "found"),
    [
        ({"a.pb": GRAPH}, "a.pb", "frozen_graph", "a.pb"),
        ({"a": GRAPH}, "a", "frozen_graph", "a"),
        ({"a.pb": b"\xff" * 9}, "a.pb", "frozen_graph", "a.pb"),  # loading tells
        ({"a.pb": TFLITE}, "a.pb", "tflite", "a.pb"),
        ({"a.tflite": TFLITE}, "a.tflite", "tflite", "a.tflite"),
        ({"m/saved_model.pb": SAVED}, "m", "saved_model", "m"),
        ({"m/saved_model.pb": SAVED}, "m/saved_model.pb", "saved_model", "m"),
        ({"m/saved_model.pb": b"\xff" * 9}, "m", "saved_model", "m"),
        ({"m/saved_model.pb": GRAPH}, "m/saved_model.pb", "frozen_graph", "m/saved_model.pb"),
        ({"m/saved_model/saved_model.pb": SAVED}, "m", "saved_model", "m/saved_model"),
        (
            {"m/saved_model/saved_model.pb": SAVED, "m/frozen_inference_graph.pb": GRAPH},
            "m",
            "frozen_graph",
            "m/frozen_inference_graph.pb",
        ),
    ],
)
def test_forms(place, files, given, form, found):
    folder = place(**files)
    assert model_file(folder / given, "Give a model.") == ModelFile(form, folder / found)


@pytest.mark.parametrize(
    ("files", "given", "says"),
    [
        ({}, "none.pb", "none.pb: no such model. Give a model."),
        (
            {"a.pb": SAVED},
            "a.pb",
            "is the saved_model.pb of a SavedModel, not a frozen graph. Give its folder",
        ),
        ({"a.pb": b"version https://git-lfs.github.com/spec/v1\n"}, "a.pb", "is a Git LFS pointer, not the"),
        ({"a.pb": b"<!DOCTYPE html>"}, "a.pb", "is a web page, not the file itself. Download the file again"),
        ({"a.pb": b"\x08\x07\x12\x07pytorch"}, "a.pb", "is an ONNX model, not a frozen graph. Convert it"),
        ({"a.h5": b"\x89HDF\r\n\x1a\n"}, "a.h5", "Load it with Keras and save it as a SavedModel"),
        (
            {"a.pbtxt": b"node {\n"},
            "a.pbtxt",
            "is a graph in text form (.pbtxt), not a frozen graph. Write it",
        ),
        ({"a.ckpt.meta": b"\xff\xff"}, "a.ckpt.meta", "is a part of a TensorFlow checkpoint, not a frozen"),
        ({"m.ckpt.index": INDEX}, "m.ckpt.index", "odapi.import-checkpoint reads checkpoints"),
        ({"a.zip": b"PK\3\4"}, "a.zip", "is a damaged zip archive. Copy or download it again."),
        ({"a.tar.gz": b"\x1f\x8b\x08"}, "a.tar.gz", "is a gzip archive. Unpack it."),
        (
            {"a.pth": b"\x80\2}q\0."},
            "a.pth",
            "is a PyTorch checkpoint, not a frozen graph. Convert it to ONNX",
        ),
        ({"a.pb": b""}, "a.pb", "is an empty file. Copy or download it again."),
        ({"pipeline.config": b"model {\n"}, "pipeline.config", "is a pipeline.config, not a frozen graph."),
        (
            {"map.pbtxt": b"item {\n"},
            "map.pbtxt",
            "is a label map, not a frozen graph. Give it as label_map.",
        ),
        ({"a.jpg": b"\xff\xd8\xff\xe0"}, "a.jpg", "is a JPEG image, not a frozen graph. Give a model."),
        ({"a.pb": b"404: Not Found"}, "a.pb", 'is a text file that begins "404: Not Found", not a frozen'),
        ({"a.pb": GRAPH[:-3]}, "a.pb", "is a frozen graph that is cut off or damaged. Copy or download"),
        ({"m/saved_model.pb": SAVED, "m/fingerprint.pb": b"x"}, "m/fingerprint.pb", "Give its folder, "),
        (
            {"m/saved_model.pb": SAVED, "m/variables/v.index": INDEX},
            "m/variables",
            "Give the folder above it",
        ),
        ({"m/1/saved_model.pb": SAVED}, "m", "m/1, which lies in it."),
        ({"m/graph.pb": GRAPH, "m/a.pb": b"x"}, "m", "m/graph.pb, which lies in it."),
        ({"m/d.tflite": TFLITE}, "m", "m/d.tflite, which lies in it."),
        ({"m/ckpt-1.index": INDEX}, "m", "It holds a checkpoint. odapi.import-checkpoint reads"),
        ({"m/frozen_inference_graph.pb": b"<html>"}, "m", "frozen_inference_graph.pb: is a web page"),
        (
            {"m/notes.md": b"x"},
            "m",
            "holds neither frozen_inference_graph.pb nor a SavedModel. Give a model.",
        ),
    ],
)
def test_what_is_no_model_is_told_as_what_it_is(place, files, given, says):
    with pytest.raises(InputError) as error:
        model_file(place(**files) / given, "Give a model.")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_frozen_graph_alone_will_do(place):
    folder = place(**{"a.pb": GRAPH, "b.pb": TFLITE, "c.pb": SAVED})
    check_frozen_graph(folder / "a.pb", "Give a graph.")
    for name in ("b.pb", "c.pb"):
        with pytest.raises(InputError, match="not a frozen graph"):
            check_frozen_graph(folder / name, "Give a graph.")


@pytest.mark.parametrize(
    ("name", "says", "fields"),
    [
        ("a.tflite", "Leave out input, outputs and signature.", {"named": True, "signature": False}),
        ("a.tflite", "Leave out input, outputs and signature.", {"named": False, "signature": True}),
        (
            "a.pb",
            "a frozen graph has no signatures. Leave out signature.",
            {"named": True, "signature": True},
        ),
        ("c.pb", "Give its folder", {"named": False, "signature": False}),
        (
            "d.pb",
            "no such model. Give a frozen graph (.pb), a SavedModel",
            {"named": True, "signature": True},
        ),
    ],
)
def test_names_that_a_form_has_not(place, name, says, fields):
    folder = place(**{"a.pb": GRAPH, "a.tflite": TFLITE, "c.pb": SAVED})
    with pytest.raises(InputError) as error:
        detector_file(folder / name, **fields)
    assert says in str(error.value)
    assert detector_file(folder / "a.pb", named=True, signature=False).form == "frozen_graph"


@pytest.mark.parametrize(
    ("stage", "model", "more", "says"),
    [
        ("detect", "a.pb", "    signature: default", "a frozen graph has no signatures"),
        ("detect", "a.tflite", "    input: x", "Leave out input, outputs"),
        ("detect", "lfs.pb", "", "is a Git LFS pointer, not the file itself. Run git lfs pull."),
        ("detect", "c.pb", "", "is the saved_model.pb of a SavedModel, not a frozen graph."),
        ("evaluate", "lfs.pb", "    annotations: t.csv", "is a Git LFS pointer"),
        (
            "odapi.from-frozen",
            "a.tflite",
            "",
            "is a TFLite model, not a frozen graph. Give a frozen_inference",
        ),
        ("odapi.from-frozen", "lfs.pb", "", "is a Git LFS pointer"),
    ],
)
def test_check_tells_before_anything_runs(place, monkeypatch, capsys, stage, model, more, says):
    lfs = b"version https://git-lfs.github.com/spec/v1\n"
    files = {"a.pb": GRAPH, "a.tflite": TFLITE, "c.pb": SAVED, "lfs.pb": lfs, "images/a.jpg": b"\xff\xd8\xff"}
    table = b"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,9,9,red,1,1,2,2\n"
    folder = place(**files, **{"t.csv": table, "lm.pbtxt": b"item { id: 1 name: 'red' }"})
    field = "graph" if stage == "odapi.from-frozen" else "model"
    lines = [f"  {stage}:", f"    {field}: {model}", "    label_map: lm.pbtxt", "    images: images", more]
    (folder / "p.yaml").write_text("\n".join(["stages:", *lines, ""]))
    monkeypatch.chdir(folder)
    assert main(["plan", "p.yaml"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if says in line and line.startswith("p.yaml:")], told
