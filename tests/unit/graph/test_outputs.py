"""What a stage leaves as its outputs: real files, never the user's own; pipes and the like are refused."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from odflow.errors import StageError
from odflow.graph import Job, OutputFile, OutputFolder, Stage, output
from odflow.graph.execute import run_alone

Build = Callable[[Path, Path], object]
Tree = Callable[[Path], dict[str, bytes]]


class Built(Stage):
    """Make outputs in a way that a test says."""

    how: str

    folder: OutputFolder = output("made")
    text: OutputFile = output("text.txt")

    ways: ClassVar[dict[str, Build]] = {}
    """Each takes the folder and the file."""

    def run(self, job: Job) -> None:
        (self.folder / "deep").mkdir(parents=True)
        self.text.write_text("text")
        self.ways[self.how](self.folder, self.text)


def replace_folder(folder: Path, target: str) -> None:
    (folder / "deep").rmdir()
    folder.rmdir()
    folder.symlink_to(target)


def bound(path: Path) -> None:
    """A name of a socket may have 107 characters."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def twin(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    os.link(target, path)


def soft(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


PHOTOS = {"a.jpg": b"a photograph", "album/b.jpg": b"another"}
HOLDS = "; an output consists of files and folders."

LINKS: dict[str, tuple[Build, dict[str, bytes]]] = {
    "nothing linked": (lambda folder, _: None, {}),
    "soft link in a folder": (
        lambda folder, _: soft(folder / "deep/x.jpg", Path("photos/a.jpg").absolute()),
        {"made/deep/x.jpg": PHOTOS["a.jpg"]},
    ),
    "soft link for a file": (
        lambda _, text: soft(text, Path("photos/a.jpg").absolute()),
        {"text.txt": PHOTOS["a.jpg"]},
    ),
    "hard link in a folder": (
        lambda folder, _: twin(folder / "x.jpg", Path("photos/a.jpg")),
        {"made/x.jpg": PHOTOS["a.jpg"]},
    ),
    "hard link for a file": (
        lambda _, text: twin(text, Path("photos/a.jpg")),
        {"text.txt": PHOTOS["a.jpg"]},
    ),
    "linked folder": (
        lambda folder, _: soft(folder / "all", Path("photos").absolute()),
        {f"made/all/{name}": data for name, data in PHOTOS.items()},
    ),
    "linked folder for a folder": (
        lambda folder, _: replace_folder(folder, str(Path("photos").absolute())),
        {f"made/{name}": data for name, data in PHOTOS.items()},
    ),
    "a link to a link": (
        lambda folder, _: (
            soft(folder / "one", Path("photos/a.jpg").absolute()),
            soft(folder / "deep/two", Path("../one")),
        ),
        {"made/one": PHOTOS["a.jpg"], "made/deep/two": PHOTOS["a.jpg"]},
    ),
    "a link to another output": (
        lambda folder, _: soft(folder / "text", Path("../text.txt")),
        {"made/text": b"text"},
    ),
    "links in a linked folder": (
        lambda folder, _: soft(folder / "all", Path("linked").absolute()),
        {"made/all/one.jpg": PHOTOS["a.jpg"], "made/all/more/b.jpg": PHOTOS["album/b.jpg"]},
    ),
}

REFUSED: dict[str, tuple[Build, str]] = {
    "fifo in a folder": (
        lambda folder, _: os.mkfifo(folder / "deep/x"),
        "folder (made) holds a named pipe at deep/x",
    ),
    "fifo for a file": (
        lambda _, text: (text.unlink(), os.mkfifo(text)),
        "text (text.txt) is a named pipe",
    ),
    "link to a fifo": (
        lambda folder, _: soft(folder / "x", Path("pipe").absolute()),
        "folder (made) holds a link to a named pipe at x",
    ),
    "fifo in a linked folder": (
        lambda folder, _: soft(folder / "x", Path("pipes").absolute()),
        "folder (made) holds a link to a named pipe at x/pipe",
    ),
    "link to a device": (
        lambda _, text: soft(text, Path("/dev/zero")),
        "text (text.txt) is a link to a device",
    ),
    "socket": (lambda folder, _: bound(folder / "x"), "folder (made) holds a socket at x"),
    "link to nowhere": (
        lambda folder, _: soft(folder / "x", Path("nowhere")),
        "folder (made) holds a link to nowhere, nowhere at x",
    ),
    "link to itself": (
        lambda folder, _: soft(folder / "x", Path("x")),
        "folder (made) holds a link to nowhere, x at x",
    ),
    "link upwards": (
        lambda folder, _: soft(folder / "deep/up", Path("..")),
        "folder (made) holds a link to a folder above it at deep/up",
    ),
    "link to the root": (
        lambda folder, _: soft(folder / "root", Path("/")),
        "folder (made) holds a link to a folder above it at root",
    ),
    "loop behind a link": (
        lambda folder, _: soft(folder / "x", Path("loop").absolute()),
        "folder (made) holds a link to a folder above it at x/again",
    ),
}
Built.ways |= {name: way for name, (way, _) in LINKS.items()} | {
    name: way for name, (way, _) in REFUSED.items()
}


@pytest.fixture
def place(bench: Any) -> Iterator[Path]:
    """A folder with photographs of the user's, links to them, pipes and a loop; the umask is 027."""
    for name, data in PHOTOS.items():
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Path("photos", name).write_bytes(data)
    for folder in ("linked", "pipes", "loop"):
        Path(folder).mkdir()
    Path("linked/one.jpg").symlink_to("../photos/a.jpg")
    Path("linked/more").symlink_to("../photos/album")
    os.mkfifo("pipe")
    os.mkfifo("pipes/pipe")
    Path("loop/again").symlink_to("../loop")
    bench.stages["build"] = Built
    before = os.umask(0o027)
    yield bench.folder
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("way", "wanted"), [(name, files) for name, (_, files) in LINKS.items()], ids=list(LINKS)
)
def test_links_in_outputs_are_copied_and_what_they_lead_to_is_left_alone(
    place: Path, bench: Any, tree: Tree, way: str, wanted: dict[str, bytes]
) -> None:
    before, held = modes(Path("photos")), tree(Path("photos"))
    bench.write(f"stages:\n  build: {{how: {way}}}\n")
    assert bench.states() == {"build": "done"}
    assert bench.states() == {"build": "cached"}
    run_alone(Built(how=way), Path("out"), name="build")
    (kept,) = Path(".odflow/results").glob("*/outputs")
    for found in (kept, Path("runs/p/build"), Path("out")):
        made = tree(found)
        assert {name: made.get(name) for name in wanted} == wanted
        paths = [path for path in found.rglob("*") if path.name != "stage.log"]
        assert not [
            path for path in paths if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1)
        ]
        usual = 0o440 if found == kept else 0o640
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {usual}
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o750}
    assert (modes(Path("photos")), tree(Path("photos"))) == (before, held)
    Path("photos/a.jpg").write_bytes(b"edited")  # no name of the store leads to it


@pytest.mark.parametrize(
    ("way", "told"), [(name, told) for name, (_, told) in REFUSED.items()], ids=list(REFUSED)
)
def test_fifo_sockets_and_links_that_lead_astray_are_no_outputs(
    place: Path, bench: Any, tree: Tree, way: str, told: str
) -> None:
    before = tree(Path())
    with pytest.raises(StageError) as error:
        run_alone(Built(how=way), Path("out"), name="build")
    assert str(error.value) == f"build: its output {told}{HOLDS}"
    assert tree(Path()) == before
    bench.write(f"stages:\n  build: {{how: {way}}}\n")
    outcome = bench.run()
    assert (outcome.exit_code, outcome.record.stages["build"].error) == (
        1,
        f"build: its output {told}{HOLDS}",
    )
    assert not Path("runs/p/build/made").exists()


def scripts(folder: Path, text: Path) -> None:
    for name, mode in {"run.sh": 0o700, "secret": 0o600, "open": 0o666, "none": 0, "suid": 0o4755}.items():
        (folder / name).touch()
        (folder / name).chmod(mode)
    (folder / "deep").chmod(0o700)
    text.chmod(0o400)


def test_permissions_follow_the_umask_and_keep_the_x_bit(place: Path, bench: Any) -> None:
    Built.ways["scripts"] = scripts
    bench.write("stages:\n  build: {how: scripts}\n")
    bench.run()
    run_alone(Built(how="scripts"), Path("out"), name="build")
    wanted = {"run.sh": 0o750, "secret": 0o640, "open": 0o640, "none": 0o640, "suid": 0o750, "deep": 0o750}
    for found in (Path("runs/p/build"), Path("out")):
        assert modes(found / "made") == wanted
        assert modes(found)["text.txt"] == 0o640
    os.umask(0o077)
    (Path("runs/p/build/made/run.sh")).unlink()
    assert bench.states() == {"build": "cached"}
    assert set(modes(Path("runs/p/build/made")).values()) == {0o700, 0o600}


def test_fifo_that_a_stage_leaves_beside_its_outputs_is_not_waited_for(place: Path, bench: Any) -> None:
    Built.ways["beside"] = lambda folder, _: (
        os.mkfifo(folder.parent / "pipe"),
        soft(folder.parent / "x", Path("y")),
    )
    bench.write("stages:\n  build: {how: beside}\n")
    assert bench.states() == {"build": "done"}


def test_an_output_whose_folder_is_a_link_is_refused(place: Path) -> None:
    class Deep(Stage):
        """Write through a link."""

        made: OutputFile = output("deep/made.txt")

        def run(self, job: Job) -> None:
            self.made.parent.symlink_to(Path("photos").absolute())
            self.made.write_text("made")

    with pytest.raises(StageError, match=r"its output made \(deep/made.txt\) lies in a link \(deep\)\."):
        run_alone(Deep(), Path("out"), name="deep")
    assert stat.S_IMODE(Path("photos/made.txt").stat().st_mode) == 0o640
