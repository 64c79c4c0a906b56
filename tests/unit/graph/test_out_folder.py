"""`--out`: no input and nothing that odflow did not write is ever replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydantic import Field

from odflow.errors import InputError, StoreError
from odflow.graph import InputPath, Job, OutputFile, OutputFolder, Stage, output
from odflow.graph.execute import run_alone
from odflow.graph.placed import LARGE

Tree = Callable[[Path], dict[str, bytes]]

FOLDERS = ["train", "valid", "records", "images", "masks", "trained", "exported", "overlays", "pictures"]
FILES = ["labels.json", "images.txt", "annotations.csv", "detections.csv", "classes.json", "metrics.json"]


class Fill(Stage):
    """Write a folder, and perhaps files elsewhere: what somebody else does meanwhile."""

    inside: dict[str, str] = Field(default_factory=lambda: {"a.txt": "made", "deep/b.txt": "made too"})
    elsewhere: dict[str, str] = Field(default_factory=dict)
    reads: list[InputPath] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list, description="files that an input names")

    made: OutputFolder = output("made")

    late: ClassVar[dict[Path, str]] = {}
    """What was written elsewhere."""

    def also_reads(self) -> list[Path]:
        return [Path(name) for name in self.names]

    def run(self, job: Job) -> None:
        self.made.mkdir()
        write(self.inside, self.made)
        self.late.update(write(self.elsewhere, Path()))


def write(files: dict[str, str], below: Path) -> dict[Path, str]:
    """Write files; one that is in the way of another, or the other way round, is left out."""
    written = {}
    for name, text in files.items():
        with suppress(OSError):
            (below / name).parent.mkdir(parents=True, exist_ok=True)
            # What was moved aside is the user's to spoil.
            with (below / name).open("x" if ".yours" in name else "w") as file:
                file.write(text)
            written[below / name] = text
    return written


class Note(Stage):
    """Write a file."""

    text: str = "made"
    reads: list[InputPath] = Field(default_factory=list)

    made: OutputFile = output("made.txt")

    def run(self, job: Job) -> None:
        self.made.write_text(self.text)


def named(stage: type[Stage], name: str, **fields: Any) -> Stage:
    """A stage whose output has a name of one's choice."""
    return stage(**fields).model_copy(update={"made": Path(name)})


def filled(name: str, **fields: Any) -> Stage:
    return named(Note if "." in name else Fill, name, **fields)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_overwrite_is_what_replaces_what_odflow_did_not_write(name: str, tree: Tree) -> None:
    mine = Path("out", name) if "." in name else Path("out", name, "mine.txt")
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    before = tree(Path())
    told = rf"^out/{name} (was not written by|holds 1 file that) make( did not write \(mine.txt\))?\. "
    with pytest.raises(InputError, match=told + r"Give another --out, or --overwrite\.$"):
        run_alone(filled(name), Path("out"), name="make")
    assert tree(Path()) == before
    assert not list(Path("out").glob(".*"))
    run_alone(filled(name), Path("out"), name="make", overwrite=True)
    assert b"precious" not in tree(Path("out")).values()
    run_alone(filled(name), Path("out"), name="make")


@pytest.mark.parametrize("name", ["train", "labels.json"])
def test_what_the_stage_wrote_is_replaced_without_overwrite(name: str) -> None:
    for text in ("one", "two", "three"):
        fields = {"text": text} if "." in name else {"inside": {text: text}}
        run_alone(filled(name, **fields), Path("out"), name="make")
        made = Path("out", name)
        assert (made.read_text() if "." in name else [path.name for path in made.iterdir()]) in (text, [text])
    assert sorted(path.name for path in Path("out").iterdir()) == [".odflow-make.json", name]


def _edit(path: Path) -> None:
    path.write_text("M" + path.read_text()[1:])


def _edit_quietly(path: Path) -> None:
    before = path.stat()
    _edit(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _link(path: Path) -> None:
    Path("elsewhere").write_text(path.read_text())
    path.unlink()
    path.symlink_to(Path("elsewhere").absolute())


@pytest.mark.parametrize("harm", [_edit, _edit_quietly, _link])
@pytest.mark.parametrize("name", ["records", "annotations.csv"])
def test_overwrite_is_asked_for_what_was_edited(harm: Callable[[Path], None], name: str, tree: Tree) -> None:
    run_alone(filled(name), Path("out"), name="make")
    victim = Path("out", name) if "." in name else Path("out", name, "a.txt")
    harm(victim)
    before = tree(Path("out"))
    where = f"{name} was edited" if "." in name else rf"{name} holds 1 file that was edited .*\(a.txt\)"
    with pytest.raises(InputError, match=f"^out/{where}.*Give another --out, or --overwrite"):
        run_alone(filled(name), Path("out"), name="make")
    assert tree(Path("out")) == before


def test_files_that_were_copied_or_touched_are_still_odflows() -> None:
    run_alone(Fill(), Path("out"))
    shutil.copytree("out", "copy")
    Path("copy/made/a.txt").touch()
    run_alone(Fill(), Path("copy"))


def test_a_file_too_large_to_read_again_is_known_by_its_time() -> None:
    stage = Note(text="x" * LARGE)
    run_alone(stage, Path("out"))
    run_alone(stage, Path("out"))
    Path("out/made.txt").touch()
    with pytest.raises(InputError, match=r"^out/made\.txt was edited"):
        run_alone(stage, Path("out"))


def test_what_another_stage_wrote_is_not_this_ones() -> None:
    run_alone(Note(), Path("out"), name="detect")
    with pytest.raises(InputError, match=r"^out/made.txt was written by detect, not by evaluate\. Give"):
        run_alone(Note(), Path("out"), name="evaluate")
    run_alone(Note(text="2"), Path("out"), name="evaluate", overwrite=True)
    with pytest.raises(InputError, match=r"was written by evaluate, not by detect"):
        run_alone(Note(), Path("out"), name="detect")


@pytest.mark.parametrize("mark", ["", "{", "[]", '{"files": 3}', '{"stage": "fill", "files": [[1]]}', "\0"])
def test_a_mark_that_is_damaged_makes_nothing_odflows(mark: str) -> None:
    run_alone(Fill(), Path("out"))
    Path("out/.odflow-fill.json").write_text(mark)
    with pytest.raises(InputError, match=r"^out/made holds 2 files that fill did not write \(a.txt, deep/b"):
        run_alone(Fill(), Path("out"))


def test_a_folder_that_holds_no_file_is_no_loss() -> None:
    Path("out/made/empty").mkdir(parents=True)
    run_alone(Fill(), Path("out"))


OVERLAPS = {
    "the input is the output": ("out/made", "out", "out/made is the input"),
    "the input is in the output": ("out/made/deep", "out", "out/made holds the input"),
    "a file is in the output": ("out/made/a.txt", "out", "out/made holds the input"),
    "the output is in the input": ("out", "out", "out/made lies in the input"),
    "the output is deep in the input": ("out", "out/new/newer", "out/new/newer/made lies in the input"),
    "through a link to the input": ("link", "out", "out/made is the input"),
    "through a link to what holds it": ("top/made/deep", "out", "out/made holds the input"),
    "through dots": ("out/made/../made/deep/..", "out/../out", "out/../out/made is the input"),
    "through a link of the output": ("out/made/deep", "top", "top/made holds the input"),
    "the folder here": (".", ".", "made lies in the input"),
    "a link inside the input": ("photos", "out", "out/made holds the input"),
    "a linked folder inside the input": ("albums", "out", "out/made lies in the input"),
    "an absolute path": ("{}/out/made", "out", "out/made is the input"),
    "a hard link": ("twin.txt", "out", ""),
}


@pytest.mark.parametrize(("read", "out", "told"), OVERLAPS.values(), ids=list(OVERLAPS))
@pytest.mark.parametrize("overwrite", [False, True])
def test_overwrite_or_not_no_output_meets_an_input(
    read: str, out: str, told: str, overwrite: bool, tree: Tree
) -> None:
    run_alone(Fill(), Path("out"), name="make")
    Path("link").symlink_to("out/made")
    Path("top").symlink_to("out")
    for folder, target in (("photos", "../out/made/a.txt"), ("albums", "../out")):
        Path(folder).mkdir()
        Path(folder, "link").symlink_to(target)
    os.link("out/made/a.txt", "twin.txt")
    before = tree(Path())
    stage = Fill(reads=[Path(read.format(Path.cwd()))])
    if not told:
        run_alone(stage, Path(out), name="make", overwrite=overwrite)
        return
    with pytest.raises(InputError, match=rf"^make: the output {told} reads \(.*Give another --out\.$"):
        run_alone(stage, Path(out), name="make", overwrite=overwrite)
    assert tree(Path()) == before


def test_overwrite_never_replaces_a_file_that_an_input_names() -> None:
    run_alone(Fill(), Path("out"), name="make")
    stage = Fill(names=["nowhere.txt", "top/made/a.txt"])
    Path("top").symlink_to("out")
    with pytest.raises(InputError, match=r"out/made holds the input file \(top/made/a.txt\)"):
        run_alone(stage, Path("out"), name="make", overwrite=True)


def test_the_folder_of_the_command_is_no_input_of_what_goes_into_it() -> None:
    with pytest.raises(InputError, match=r"^make: the output out/made lies in the input reads \(\.\)"):
        run_alone(Fill(reads=[Path()]), Path("out"), name="make")
    assert not Path("out").exists()


@pytest.mark.parametrize("target", ["../out", "../out/made", "../out/made/deep"])
def test_a_link_to_an_output_that_is_not_there_yet_is_refused(target: str) -> None:
    Path("photos").mkdir()
    Path("photos/link").symlink_to(target)
    with pytest.raises(InputError, match=r"^make: the output out/made .* the input reads \(photos\)"):
        run_alone(Fill(reads=[Path("photos")]), Path("out"), name="make")
    assert not Path("out").exists()


@pytest.mark.parametrize("linked", ["made", "out"])
def test_overwrite_replaces_a_link_and_not_what_it_leads_to(linked: str, tree: Tree) -> None:
    Path("mine/made").mkdir(parents=True)
    Path("mine/made/mine.txt").write_text("precious")
    if linked == "made":
        Path("out").mkdir()
        Path("out/made").symlink_to("../mine/made")
    else:
        Path("out").symlink_to("mine")
    with pytest.raises(InputError, match=r"^out/made "):
        run_alone(Fill(), Path("out"))
    if linked == "made":
        run_alone(Fill(), Path("out"), overwrite=True)
    assert tree(Path("mine"))["made/mine.txt"] == b"precious"


@pytest.mark.parametrize("resumes", [False, True])
def test_silent_arrivals_while_the_stage_runs_are_not_overwritten(
    resumes: bool, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fill, "resumes", resumes)
    stage = Fill(elsewhere={"out/made/mine.txt": "precious", "out/make.outputs": "precious too"})
    told = (
        r"^out/made holds 1 file that make did not write \(mine.txt\)\. It came while make ran, "
        r"so the outputs are in out/make.outputs.2\.$"
    )
    with pytest.raises(StoreError, match=told):
        run_alone(stage, Path("out"), name="make")
    assert tree(Path("out")) == {
        "made/mine.txt": b"precious",
        "make.outputs": b"precious too",
        "make.outputs.2/made/a.txt": b"made",
        "make.outputs.2/made/deep/b.txt": b"made too",
    }
    assert not list(Path("out").glob(".*"))


NAMES = some.sampled_from(["a", "b", "deep", "made", "made.yours", ".odflow-old-made"])
TREES = some.dictionaries(some.lists(NAMES, min_size=1, max_size=3).map("/".join), some.just("x"), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=some.lists(some.tuples(TREES, TREES, TREES), min_size=1, max_size=3))
def test_overwrite_property_no_byte_of_a_user_is_lost(
    monkeypatch: pytest.MonkeyPatch,
    trees: list[tuple[dict[str, str], dict[str, str], dict[str, str]]],
) -> None:
    """The user writes before each run and while it is under way, over odflow's files and his own."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    shutil.rmtree("out", ignore_errors=True)
    theirs: dict[Path, str] = {}
    for number, (before, meanwhile, made) in enumerate(trees):
        theirs |= write({name: f"before {number} {name}" for name in before}, Path("out"))
        late = {f"out/{name}": f"late {number} {name}" for name in meanwhile}
        inside = {name: f"odflow's {number} {name}" for name in made}
        Fill.late.clear()
        with suppress(InputError, StoreError):
            run_alone(Fill(inside=inside, elsewhere=late), Path("out"), name="make")
        theirs |= Fill.late
    held = {path.read_text() for path in Path("out").rglob("*") if path.is_file()}
    assert set(theirs.values()) <= held
