"""What the README shows works as it stands there."""

import re
from pathlib import Path

from odflow.graph.execute import run_alone


def blocks(project: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (project / "README.md").read_text(), re.DOTALL)


def test_the_stage_that_the_readme_adds_runs(project, tmp_path):
    (code,) = blocks(project, "python")
    (tmp_path / "count.py").write_text(code)
    names: dict = {"__name__": "count"}
    exec(compile(code, str(tmp_path / "count.py"), "exec"), names)
    (tmp_path / "boxes.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        "a.jpg,9,9,dog,1,1,5,5\na.jpg,9,9,cat,1,1,5,5\nb.jpg,9,9,dog,1,1,5,5\n"
    )
    job = run_alone(names["Count"](detections=tmp_path / "boxes.csv"), tmp_path / "out")
    assert job.said == ["3 boxes of 2 classes"]
    assert (tmp_path / "out/counts.csv").read_text() == "class,count\ncat,1\ndog,2\n"


def test_its_two_commands_are_single_lines_and_ci_runs_the_second(project):
    install, check = (block.strip() for block in blocks(project, "sh")[:2])
    assert install.endswith("odflow run pipelines/quickstart.yaml")
    assert check.endswith(".ci/check")
    assert "\n" not in install + check
    pattern = re.search(r"grep -m1 -E '(.*?)'", (project / ".ci/run").read_text())
    assert pattern
    assert re.search(pattern[1], check)


def test_every_stage_is_in_its_table(project):
    import importlib.metadata

    readme = (project / "README.md").read_text()
    stages = [entry.name for entry in importlib.metadata.entry_points(group="odflow.stages")]
    assert [name for name in stages if f"| `{name}` |" not in readme and name.isidentifier()] == []
