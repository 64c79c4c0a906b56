"""Case b01 and all that its README tells: odflow deletes nothing of its user's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from odflow.cli import main

Files = dict[str, bytes]
IMPORT = ["import", "--format", "voc", "--annotations", "voc/xml", "--images", "voc/imgs"]
SEGMENT = ["segmentation.records", "--images", "ds/train/images", "--format", "index"]
SEGMENT += ["--masks", "ds/train/masks", "--names", "ds/names.yaml"]


@pytest.fixture
def case(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the case, which may be spoilt."""
    found = shared / "cases/b01-out-deletes-user-data"
    if not found.is_dir():
        pytest.skip("needs the cases in the shared folder")
    shutil.copytree(found, tmp_path / "case", copy_function=shutil.copyfile)
    (tmp_path / "case").chmod(0o755)
    for path in (tmp_path / "case").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    monkeypatch.chdir(tmp_path / "case")
    return tmp_path / "case"


def files(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_cases_b01_a_data_set_is_not_overwritten(
    case: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(case)
    assert main([*SEGMENT, "--out", "ds", *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the output ds/train holds the input images (ds/train/images), masks (ds/train/masks)" in line
    if not more:
        told = "ds/train holds 8 files that segmentation.records did not write (images/0.jpg, images/1.jpg, "
        assert line.startswith(told)
    assert line.endswith("Give another --out.")
    assert files(case) == before


def test_cases_b01_outputs_go_elsewhere_and_are_replaced_there(case: Path) -> None:
    before = files(case)
    for _ in range(2):
        assert main([*SEGMENT, "--out", "out"]) == 0
    after = files(case)
    assert {name: after[name] for name in before} == before
    assert "out/train/data.record" in after


def records(out: str) -> list[str]:
    if not Path("table/annotations.csv").exists():
        assert main([*IMPORT, "--out", "table"]) == 0
    words = ["records", "--detections", "table/annotations.csv", "--images", "voc/imgs"]
    return [*words, "--label-map", "voc/lm.pbtxt", "--out", out]


RELATIVES: dict[str, tuple[Callable[[], list[str]], str, str]] = {
    "records/ of the user's": (
        lambda: records("out1"),
        "out1/records/my_old_dataset.record",
        "out1/records holds 1 file that records did not write (my_old_dataset.record). "
        "Give another --out, or --overwrite.",
    ),
    "annotations.csv of the user's": (
        lambda: [*IMPORT, "--out", "out1"],
        "out1/annotations.csv",
        "out1/annotations.csv was not written by import. Give another --out, or --overwrite.",
    ),
    "images.txt in a folder of images": (
        lambda: [*IMPORT, "--out", "imgs2"],
        "imgs2/images.txt",
        "imgs2/images.txt was not written by import. Give another --out, or --overwrite.",
    ),
    "valid/ of the user's": (
        lambda: [*SEGMENT, "--out", "out1"],
        "out1/valid/old.txt",
        "out1/valid holds 1 file that segmentation.records did not write (old.txt). "
        "Give another --out, or --overwrite.",
    ),
    "detections.csv of the user's": (
        lambda: ["filter", "--detections", records("x")[2], "--out", "out1"],
        "out1/detections.csv",
        "out1/detections.csv was not written by filter. Give another --out, or --overwrite.",
    ),
    "train.csv of the user's": (
        lambda: ["split", "--detections", records("x")[2], "--out", "out1"],
        "out1/train.csv",
        "out1/train.csv was not written by split. Give another --out, or --overwrite.",
    ),
}


@pytest.mark.parametrize(("words", "mine", "told"), RELATIVES.values(), ids=list(RELATIVES))
def test_cases_b01_relatives_are_not_overwritten(
    case: Path,
    words: Callable[[], list[str]],
    mine: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path(mine).parent.mkdir(parents=True)
    Path(mine).write_text("precious,hand,labels")
    command = words()
    before = files(case)
    capsys.readouterr()
    assert main(command) == 2
    assert capsys.readouterr().err == f"{told}\n"
    assert files(case) == before
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize("out", ["voc/imgs", "voc/imgs/new", "voc/xml", "voc/xml/../imgs"])
def test_cases_b01_an_output_in_an_input_is_refused(
    case: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(case)
    for more in ([], ["--overwrite"]):
        assert main([*IMPORT, "--out", out, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"the output {Path(out)}/annotations.csv lies in the input " in line
    assert files(case) == before


PIPELINE = """\
stages:
  ann: {uses: import, format: voc, annotations: voc/xml, images: voc/imgs}
  rec: {uses: records, detections: "${ann.table}", images: voc/imgs, label_map: voc/lm.pbtxt}
"""


@pytest.mark.parametrize("anew", [False, True])
def test_cases_b01_edited_copies_are_not_overwritten(
    case: Path, anew: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("p.yaml").write_text(PIPELINE)
    assert main(["run", "p.yaml"]) == 0
    Path("runs/p/ann/annotations.csv").write_text("precious,hand,labels")
    Path("runs/p/rec/records/mine.record").write_text("precious")
    if anew:
        xml = Path("voc/xml/1.xml")
        xml.write_text(xml.read_text().replace("</xmin>", " </xmin>"))
        label_map = Path("voc/lm.pbtxt")
        label_map.write_text(label_map.read_text() + "\n")
    capfd.readouterr()
    assert main(["plan", "p.yaml"]) == 0
    told = capfd.readouterr().out
    assert "a run moves it to runs/p/ann/annotations.csv.yours." in told
    assert "runs/p/rec/records holds 1 file that records did not write (mine.record)" in told
    assert main(["run", "p.yaml"]) == 0
    told = capfd.readouterr().err
    assert "runs/p/ann/annotations.csv was edited since import wrote it; it is now" in told
    assert "(mine.record); it is now runs/p/rec/records.yours." in told
    assert Path("runs/p/ann/annotations.csv.yours").read_text() == "precious,hand,labels"
    assert Path("runs/p/rec/records.yours/mine.record").read_text() == "precious"
    assert Path("runs/p/ann/annotations.csv").read_text().startswith("filename,")
    assert [path.name for path in Path("runs/p/rec/records").iterdir()] == ["data.record"]
