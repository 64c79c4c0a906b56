"""A pipeline that would read what it writes is refused, by line, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from odflow.errors import ConfigError, InputError
from odflow.graph.pipeline import Selection
from odflow.graph.run import run
from odflow.graph.store import Store

Tree = Callable[[Path], dict[str, bytes]]

HOLDS = "{} holds an output of {} ({}), so each run would change it. Give another --workdir."
IS = (
    "{} {} an output of {} ({}), which a run replaces. Write ${{{}}} where that is meant, copy it elsewhere, "
    "or give another --workdir."
)
OWN, OTHER = "runs/p/many/names.txt", "runs/p/spread/folder"

READ = {
    "the stage's own output": (OWN, IS.format(OWN, "is", "many", OWN, "many.names")),
    "another stage's output": (OTHER, IS.format(OTHER, "is", "spread", OTHER, "spread.folder")),
    "a folder in another's output": (
        f"{OTHER}/deep",
        IS.format(f"{OTHER}/deep", "lies in", "spread", OTHER, "spread.folder"),
    ),
    "the folder of all outputs": ("runs/p", HOLDS.format("runs/p", "spread", OTHER)),
    "the folder of all runs": ("runs", HOLDS.format("runs", "spread", OTHER)),
    "the folder here": (".", HOLDS.format(".", "spread", OTHER)),
    "a link to an output": ("link", IS.format("link", "is", "spread", OTHER, "spread.folder")),
    "dots": ("runs/p/../p", HOLDS.format("runs/p/../p", "spread", OTHER)),
    "what lies beside": ("runs/p/mine", ""),
    "what lies in another run": ("runs/q", ""),
}


@pytest.mark.parametrize(("path", "told"), READ.values(), ids=list(READ))
def test_check_no_input_is_overwritten(bench: Any, path: str, told: str, tree: Tree) -> None:
    bench.write(
        f"""\
        stages:
          spread: {{uses: folder, source: in.txt}}
          many:
            parts: ["{path}"]
            uses: join
        """
        if path == OWN
        else f"""\
        stages:
          spread: {{uses: folder, source: in.txt}}
          many:
            folder: {path}
        """
    )
    if path == OWN:
        told = told.replace("many.names", "many.joined").replace(OWN, "runs/p/many/joined.txt")
        bench.write(Path("p.yaml").read_text().replace(OWN, "runs/p/many/joined.txt"))
    for folder in ("runs/p/spread/folder/deep", "runs/p/many", "runs/p/mine", "runs/q"):
        Path(folder).mkdir(parents=True)
    for file in ("runs/p/many/names.txt", "runs/p/many/joined.txt", "in.txt", "runs/p/mine/a", "runs/q/a"):
        Path(file).write_text("precious")
    Path("link").symlink_to("runs/p/spread/folder")
    before = tree(Path())
    if not told:
        bench.run()
        return
    field = "parts" if path == OWN else "folder"
    with pytest.raises(InputError) as error:
        bench.run()
    assert str(error.value) == f"p.yaml:4: many.{field}: {told}"
    assert {name: data for name, data in tree(Path()).items() if not name.startswith(".odflow")} == before


@pytest.mark.parametrize("store", ["photos/.odflow", "photos", "photos/../photos/deep/store", "link/store"])
def test_check_the_store_is_in_no_input(bench: Any, store: str) -> None:
    bench.write("stages:\n  many:\n    folder: photos\n")
    Path("photos/deep").mkdir(parents=True)
    Path("link").symlink_to("photos/deep")
    with pytest.raises(
        InputError, match=r"^p.yaml:3: many.folder: photos holds the store \(.*ODFLOW_STORE\.$"
    ):
        run(bench.read(), Selection(), Store(Path(store)), Path("runs/p"), bench.engine)
    assert sorted(path.name for path in Path("photos").rglob("*")) == ["deep"]


@pytest.mark.parametrize("workdir", ["photos", "photos/runs", "link", "photos/deep/../deep"])
def test_check_the_work_folder_is_in_no_input(bench: Any, workdir: str) -> None:
    bench.write("stages:\n  many:\n    folder: photos\n")
    Path("photos/deep").mkdir(parents=True)
    Path("link").symlink_to("photos/deep")
    with pytest.raises(InputError, match=r"^p.yaml:3: many.folder: photos holds an output of many \("):
        run(bench.read(), Selection(), Store(Path(".odflow")), Path(workdir), bench.engine)
    assert not list(Path("photos").rglob("*.*"))


def test_check_a_file_is_where_the_folder_of_a_stage_goes(bench: Any) -> None:
    bench.write("stages:\n  write: {}\n")
    Path("runs/p").mkdir(parents=True)
    Path("runs/p/write").write_text("precious")
    with pytest.raises(InputError, match=r"^runs/p/write: is a file; the outputs of write go into a folder"):
        bench.run()
    assert Path("runs/p/write").read_text() == "precious"


def test_stages_that_are_not_asked_for_are_not_looked_at(bench: Any) -> None:
    bench.write("stages:\n  write: {}\n  many: {folder: runs}\n")
    Path("runs").mkdir()
    assert bench.states(until="write") == {"write": "done"}


def test_names_that_differ_in_case_are_one_where_the_disk_says_so(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without case: both names lead to one inode."""
    bench.write("stages:\n  many: {folder: Photos}\n")
    Path("photos").mkdir()
    Path("Photos").symlink_to("photos")
    monkeypatch.setattr(Path, "is_symlink", lambda path: False)
    with pytest.raises(InputError, match="Photos holds an output of many"):
        run(bench.read(), Selection(), Store(Path(".odflow")), Path("photos"), bench.engine)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("target", "told"),
    [("runs", "an output of many"), ("runs/p/many", "an output of many"), (".odflow", "the store")],
)
def test_a_link_in_an_input_to_what_a_run_changes_is_refused(
    bench: Any, target: str, told: str, there: bool
) -> None:
    bench.write("stages:\n  many:\n    folder: photos\n")
    Path("photos").mkdir()
    Path("photos/link").symlink_to(f"../{target}")
    if there:
        Path(target).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ConfigError, match=rf"^p.yaml:3: many.folder: photos/link holds {told} \("):
        run(bench.read(), Selection(), Store(Path(".odflow")), Path("runs/p"), bench.engine)
    assert not Path("runs/p/many/names.txt").exists()
