"""Stages that plug in, also broken ones."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from odflow.errors import ConfigError
from odflow.graph.registry import Registry


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "odflow.stages")


def test_a_broken_plug_in_harms_nobody_else(bench: Any) -> None:
    registry = Registry(
        {
            "write": bench.stages["write"],
            "gone": point("gone", "no_such_module:Stage"),
            "lacks": point("lacks", "json:Stage"),
            "other": point("other", "json:JSONDecoder"),
        }
    )
    assert registry.names() == ["gone", "lacks", "other", "write"]
    assert registry.get("write") is bench.stages["write"]
    messages = {
        "gone": r'stage "gone" \(no_such_module:Stage, .*\) cannot be imported: ModuleNotFoundError: ',
        "lacks": r"cannot be imported: AttributeError: ",
        "other": r"is not a subclass of odflow\.graph\.Stage\.$",
        "wrte": r'^stage "wrte" is unknown\. Did you mean "write"\?$',
    }
    for name, message in messages.items():
        with pytest.raises(ConfigError, match=message):
            registry.get(name)


def test_a_package_on_the_path_plugs_in_and_cannot_hide_a_stage_of_odflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more_stages.py").write_text(
        "from odflow.graph import Job, OutputFile, Stage, output\n"
        "class More(Stage):\n"
        "    made: OutputFile = output('made.txt')\n"
        "    def run(self, job: Job) -> None: self.made.touch()\n"
    )
    info = tmp_path / "more_stages-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-stages\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[odflow.stages]\nmore = more_stages:More\nfilter = more_stages:More\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry.installed()
    assert registry.get("more").__name__ == "More"
    assert registry.get("filter").__name__ == "Filter"
    assert registry.remarks == ['stage "filter" of more-stages is hidden by that of odflow.']
