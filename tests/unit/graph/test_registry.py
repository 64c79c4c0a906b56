"""Stages that plug in, also broken ones."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from odflow.errors import ConfigError
from odflow.graph.registry import Registry


def points(name: str, value: str) -> list[EntryPoint]:
    return [EntryPoint(name, value, "odflow.stages")]


def test_a_broken_plug_in_harms_nobody_else(bench: Any) -> None:
    registry = Registry(
        {
            "write": bench.stages["write"],
            "gone": points("gone", "no_such_module:Stage"),
            "lacks": points("lacks", "json:Stage"),
            "other": points("other", "json:JSONDecoder"),
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


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a package on the path that registers one stage under some names."""

    def install(package: str, *names: str) -> None:
        module = package.replace("-", "_")
        folder = tmp_path / package
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(
            "from odflow.graph import Job, OutputFile, Stage, output\n"
            "class More(Stage):\n"
            "    made: OutputFile = output('made.txt')\n"
            "    def run(self, job: Job) -> None: self.made.touch()\n"
        )
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "".join(f"{name} = {module}:More\n" for name in names)
        (info / "entry_points.txt").write_text(f"[odflow.stages]\n{lines}")
        monkeypatch.syspath_prepend(folder)

    return install


def test_a_package_on_the_path_plugs_in_and_cannot_hide_a_stage_of_odflow(
    plug_in: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    plug_in("more-stages", "more", "filter")
    registry = Registry.installed()
    assert registry.get("more").__module__ == "more_stages"
    assert not caplog.messages
    assert registry.get("filter").__module__ == registry.get("filter").__module__ == "odflow.stages.filter"
    assert caplog.messages == [
        'stage "filter" is that of odflow; it hides that of more-stages (more_stages:More).'
    ]


def test_a_name_that_two_packages_bring_is_refused_and_harms_no_other(
    plug_in: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    plug_in("one-head", "count", "one")
    plug_in("other-head", "count", "other")
    registry = Registry.installed()
    told = (
        'stage "count" is brought by one-head (one_head:More) and by other-head (other_head:More). '
        "Uninstall all but one."
    )
    with pytest.raises(ConfigError) as caught:
        registry.get("count")
    assert str(caught.value) == told
    working = registry.working()
    assert "count" not in working
    assert {working["one"].__module__, working["other"].__module__} == {"one_head", "other_head"}
    assert told in caplog.messages
