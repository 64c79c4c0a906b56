"""A head is a plug-in: one of a third party adds its stages, and those of odflow can be taken away."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Container, Mapping
from pathlib import Path

import pytest

Told = subprocess.CompletedProcess[str]
Odflow = Callable[..., Told]

HEAD = '''\
"""Lines of a table, counted."""

from pydantic import Field

from odflow.graph import InputFile, Job, OutputFile, Stage, output


class Count(Stage):
    """Count the rows of a table."""

    table: InputFile = Field(description="what to count, CSV")

    counted: OutputFile = output("count.txt", "the number")

    def run(self, job: Job) -> None:
        """Write the number."""
        rows = len(self.table.read_text().splitlines()) - 1
        self.counted.write_text(f"{rows}\\n")
        job.say(f"{rows} rows")
'''
BOXES = """\
filename,width,height,class,score,xmin,ymin,xmax,ymax
a.jpg,100,100,person,0.9,1,1,50,50
b.jpg,100,100,person,0.4,1,1,50,50
c.jpg,100,100,car,0.4,1,1,50,50
"""


def install(folder: Path, package: str, points: Mapping[str, str]) -> None:
    """Leave in a folder what an installed package leaves: its metadata, with entry points."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[odflow.stages]\n{lines}")


def install_head(folder: Path, company: str = "acme") -> None:
    install(folder, f"{company}-head", {"acme.count": f"{company}_head:Count"})
    (folder / f"{company}_head.py").write_text(HEAD)


@pytest.fixture
def plugged(tmp_path: Path) -> Path:
    """A folder that is first on the path of every command."""
    folder = tmp_path / "plugged"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(plugged: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(plugged), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def stages(odflow: Odflow) -> Callable[[], dict[str, str]]:
    """What the command lists: each stage and what it is for."""

    def listed() -> dict[str, str]:
        told = odflow("stages")
        assert told.returncode == 0, told.stderr
        return dict(line.split(maxsplit=1) for line in told.stdout.splitlines()[1:])

    return listed


@pytest.fixture
def points(project: Path) -> dict[str, str]:
    """The entry points that pyproject.toml declares."""
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, str] = declared["project"]["entry-points"]["odflow.stages"]
    return found


@pytest.fixture
def heads(points: dict[str, str]) -> set[str]:
    """What the stages of the heads are called."""
    return {name for name, value in points.items() if value.startswith("odflow.heads.")}


@pytest.fixture
def without_heads(plugged: Path, points: dict[str, str], heads: set[str]) -> None:
    """Another odflow hides the installed one: its metadata lacks the heads."""
    install(plugged, "odflow", others(points, heads))


def others(points: Mapping[str, str], heads: Container[str]) -> dict[str, str]:
    return {name: value for name, value in points.items() if name not in heads}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "boxes.csv").write_text(BOXES)
    (tmp_path / "p.yaml").write_text(
        textwrap.dedent(
            """\
            stages:
              keep:
                uses: filter
                detections: boxes.csv
                classes: [person]
              count:
                uses: acme.count
                table: ${keep.kept}
            """
        )
    )
    return tmp_path


def test_a_head_of_a_third_party_is_a_command_and_a_stage_of_pipelines(
    plugged: Path, folder: Path, odflow: Odflow, stages: Callable[[], dict[str, str]]
) -> None:
    assert "acme.count" not in stages()
    told = odflow("plan", "p.yaml")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith('p.yaml:7: stage "acme.count" is unknown.')
    install_head(plugged)
    assert stages()["acme.count"] == "Count the rows of a table."
    told = odflow("acme.count", "--table", "boxes.csv", "--out", "out")
    assert (told.returncode, told.stdout, told.stderr) == (0, "acme.count: 3 rows\n", "")
    assert (folder / "out/count.txt").read_text() == "3\n"
    assert "--table FILE  what to count, CSV (needed)" in odflow("acme.count", "--help").stdout
    told = odflow("run", "p.yaml")
    assert told.returncode == 0, told.stderr
    assert (folder / "runs/p/count/count.txt").read_text() == "2\n"
    assert "nothing to do: all 2 stages are cached." in odflow("run", "p.yaml").stdout


def test_a_name_that_two_packages_bring_is_told_in_one_line(
    plugged: Path, folder: Path, odflow: Odflow, stages: Callable[[], dict[str, str]]
) -> None:
    install_head(plugged)
    install_head(plugged, "other")
    brought = (
        'stage "acme.count" is brought by acme-head (acme_head:Count) and by other-head (other_head:Count). '
        "Uninstall all but one."
    )
    for words, line in {
        ("acme.count", "--table", "boxes.csv", "--out", "out"): brought,
        ("run", "p.yaml"): f"p.yaml:7: {brought}",
    }.items():
        told = odflow(*words)
        assert (told.returncode, told.stdout, told.stderr) == (2, "", f"{line}\n")
    assert "acme.count" not in stages()
    assert odflow("stages").stderr == f"warning: {brought}\n"


def test_heads_are_listed_for_their_entry_points_alone(
    plugged: Path, points: dict[str, str], heads: set[str], stages: Callable[[], dict[str, str]]
) -> None:
    assert {"pose.train", "segmentation.records", "render"} <= heads
    install(plugged, "odflow", points)
    assert stages().keys() >= set(points)
    install(plugged, "odflow", others(points, heads))
    assert stages().keys() & set(points) == set(points) - heads


@pytest.mark.usefixtures("without_heads")
def test_without_heads_pipelines_plan_and_run(folder: Path, project: Path, odflow: Odflow) -> None:
    quickstart = odflow("plan", "pipelines/quickstart.yaml", "--workdir", str(folder / "w"), cwd=project)
    assert quickstart.returncode == 0, quickstart.stderr
    assert "student" in quickstart.stdout
    (folder / "p.yaml").write_text(
        "stages:\n  keep: {uses: filter, detections: boxes.csv, classes: [person]}\n"
        "  split: {detections: '${keep.kept}', train_count: 1}\n"
    )
    told = odflow("run", "p.yaml")
    assert told.returncode == 0, told.stderr
    assert (folder / "runs/p/split/train.csv").read_text().splitlines() == BOXES.splitlines()[:2]
    told = odflow("pose.train", "--help")
    assert (told.returncode, told.stderr.partition(".")[0]) == (2, '"pose')


@pytest.mark.slow
@pytest.mark.usefixtures("without_heads")
def test_without_heads_the_tests_of_the_others_pass(project: Path, environment: dict[str, str]) -> None:
    """A selection: what reads entry points, and what stands closest to it."""
    graph = [f"tests/unit/graph/test_{name}.py" for name in ("registry", "schema", "reading", "plan")]
    files = ["tests/unit/test_cli.py", *graph]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
