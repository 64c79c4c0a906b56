"""Detection and measuring on what people have: the cases beside the project."""

import csv
import shutil
from pathlib import Path

import pytest

from odflow.cli import main


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
