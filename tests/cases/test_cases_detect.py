"""Detection and measuring on what people have: the cases beside the project."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from odflow.cli import main
from odflow.formats.image_search import search_images


@pytest.fixture
def case(shared, tmp_path):
    """Copies a case, so that what it makes does not come to lie in it."""

    def copy(name: str) -> Path:
        if not (shared / "cases" / name).is_dir():
            pytest.skip("needs the cases beside the project")
        made = Path(shutil.copytree(shared / "cases" / name, tmp_path / name, copy_function=shutil.copyfile))
        for at in (made, *made.rglob("*/")):
            at.chmod(0o755)
        return made

    return copy


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def detect(folder: Path, out: Path, model: str, *flags: str) -> int:
    inputs = ["--model", f"{folder}/{model}", "--label-map", f"{folder}/lm.pbtxt"]
    return main(["detect", *inputs, "--images", f"{folder}/images", "--out", str(out), *flags])


def test_cases_b16_images_that_are_passed_over_are_counted_and_named(case, tmp_path, capsys):
    code = detect(case("b16-images-passed-over"), tmp_path / "out", "stub.pb")
    assert code == 0
    assert (
        "9 images left out, of forms that are not read: AVIF, GIF, HEIC, JPEG 2000, PPM, TIFF "
        "(IMG_0001.HEIC, anim.gif, avif.avif and 6 more). Convert them to JPEG or PNG."
    ) in capsys.readouterr().out
    errors = {row["filename"]: row["error"] for row in rows(tmp_path / "out/images.csv")}
    assert len(errors) == 9
    assert errors["gifnamed.jpg"].endswith("but a GIF image. Convert it to JPEG or PNG.")
    assert errors["html.jpg"].startswith("is no JPEG, PNG, BMP or WebP image, but a web page")
    assert "an empty file" in errors["zero.jpg"]


def test_cases_b16_a_folder_of_heic_alone_is_told_as_such(case, tmp_path, capsys):
    folder = case("b16-images-passed-over")
    for file in (folder / "images").iterdir():
        if file.suffix.lower() != ".heic":
            file.unlink()
    assert detect(folder, tmp_path / "out", "stub.pb") == 2
    told = "2 images left out, of forms that are not read: HEIC (IMG_0001.HEIC, heic.heic)"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        (
            "class_beyond",
            2,
            "4 of 4 detections have ids that lm.pbtxt (1 to 2) lacks: 500, 501. Is it the model",
        ),
        (
            "class_zero",
            0,
            "2 of 4 detections have ids that lm.pbtxt (1 to 2) lacks: 0. Is it the model's label",
        ),
    ],
)
def test_cases_b14_ids_that_the_label_map_lacks(case, tmp_path, capsys, model, code, says):
    assert detect(case("b14-wrong-label-map-na"), tmp_path / "out", f"{model}.pb", "--json") == code
    told = capsys.readouterr()
    assert says in told.err
    if code == 0:
        assert "seems to count its classes from 0" in told.err
        assert json.loads(told.out)["counts"]["detections_unknown_class"] == 2


B18_REFUSED = {
    "renamed_saved_model.pb": "is the saved_model.pb of a SavedModel, not a frozen graph. Give its folder",
    "lfs.pb": "is a Git LFS pointer, not the file itself. Run git lfs pull.",
    "html.pb": "is a web page, not the file itself. Download the file again",
    "stub.pbtxt": "is a graph in text form (.pbtxt), not a frozen graph.",
    "model.h5": "is an HDF5 file, as Keras writes models and weights (.h5), not a frozen graph.",
    "model.onnx": "is an ONNX model, not a frozen graph. Convert it to a SavedModel",
    "sm_out0": "Its outputs: output_0 (1, 2, 4), output_1 (1, 2), output_2 (1, 2), output_3 (1). Name those",
}
B18_READ = {
    "input_tensor.pb": (),
    "prefixed.pb": (),
    "encoded.pb": (),
    "float_image.pb": (),
    "nonum.pb": (),
    "sm_default": (),
    "sm_float": (),
    "sm_out0": (
        "--outputs",
        "detection_boxes=output_0",
        "detection_scores=output_1",
        "detection_classes=output_2",
        "num_detections=output_3",
    ),
}


@pytest.mark.parametrize("model", B18_REFUSED)
def test_cases_b18_what_is_no_frozen_graph_is_told_as_what_it_is(case, tmp_path, capsys, model):
    assert detect(case("b18-not-a-frozen-graph"), tmp_path / "out", model) == 2
    told = capsys.readouterr().err
    assert B18_REFUSED[model] in told
    assert len(told.splitlines()) == 1
    assert "is damaged" not in told


@pytest.mark.parametrize("model", B18_READ)
def test_cases_b18_models_whose_tensors_are_called_otherwise_are_read(case, tmp_path, model):
    folder = case("b18-not-a-frozen-graph")
    assert detect(folder, tmp_path / "out", model, *B18_READ[model]) == 0
    found = [(row["class"], row["score"]) for row in rows(tmp_path / "out/detections.csv")]
    assert found == [("red", "0.9"), ("blue", "0.8")] * 2


def evaluate(folder: Path, out: Path, model: Path, *flags: str) -> int:
    inputs = [
        "--model",
        str(model),
        "--label-map",
        f"{folder}/map.pbtxt",
        "--annotations",
        f"{folder}/labels.csv",
    ]
    return main(["evaluate", *inputs, "--images", f"{folder}/images", "--out", str(out), *flags])


def test_cases_h38_images_without_a_row_are_left_out_and_told(case, tmp_path, capsys):
    folder = case("h38-evaluate-folder-larger-than-table")
    model = case("b14-wrong-label-map-na") / "class_zero.pb"
    assert evaluate(folder, tmp_path / "out", model) == 0
    told = capsys.readouterr().out
    assert "3 images left out, since labels.csv has no row of them (1.jpg, 2.jpg, 3.jpg)." in told
    assert "on 1 images with 1 objects" in told
    assert evaluate(folder, tmp_path / "out2", model, "--unlisted", "empty") == 0
    assert "on 4 images with 1 objects" in capsys.readouterr().out


def test_cases_h06_images_of_forms_that_are_not_read_are_named(case):
    found = search_images(case("h06-voc-images-of-other-extensions") / "images")
    assert [image.name for image in found.images] == [
        "0.jpg",
        "1.JPEG",
        "2.webp",
        "4.jfif",
        "5.bmp",
        "7.png",
    ]
    assert [str(left) for left in found.left_out] == [
        "2 images left out, of forms that are not read: GIF, TIFF (3.tif, 6.gif). "
        "Convert them to JPEG or PNG."
    ]
