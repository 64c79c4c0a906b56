"""The stages that are installed: entry points of the group ``odflow.stages``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from odflow.errors import ConfigError, nearest

if TYPE_CHECKING:
    from odflow.graph.stage import Stage

GROUP = "odflow.stages"


class Registry:
    """Stages by name. A class is imported when it is asked for, so a broken one harms nobody else.

    Args:
        stages: name to a stage class, or to the entry point that leads to one.
        remarks: what was odd about them, a line each.
    """

    def __init__(self, stages: Mapping[str, type[Stage] | EntryPoint], remarks: Iterable[str] = ()) -> None:
        self._stages = dict(stages)
        self.remarks = list(remarks)

    @classmethod
    def installed(cls) -> Registry:
        """The stages of odflow and of every installed package that plugs some in."""
        named: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=GROUP):
            named.setdefault(point.name, []).append(point)
        remarks = []
        for name, points in named.items():
            if len(points) > 1:  # who brought a point is slow to find out
                points.sort(key=lambda point: (_package(point) != "odflow", _package(point)))
                first, *others = dict.fromkeys(map(_package, points))
                remarks += [f'stage "{name}" of {other} is hidden by that of {first}.' for other in others]
        return cls({name: points[0] for name, points in named.items()}, remarks)

    def names(self) -> list[str]:
        """Every name, sorted; whether its class can be imported is not known yet."""
        return sorted(self._stages)

    def get(self, name: str) -> type[Stage]:
        """Import the stage of a name.

        Raises:
            ConfigError: no stage has this name, or its class cannot be imported.
        """
        if name not in self._stages:
            raise ConfigError(f'stage "{name}" is unknown.{nearest(name, self._stages)}')
        stage = self._stages[name]
        if isinstance(stage, EntryPoint):
            stage = self._stages[name] = _load(stage)
        return stage


def _load(point: EntryPoint) -> type[Stage]:
    from odflow.graph.stage import Stage

    origin = f'stage "{point.name}" ({point.value}, package {_package(point)})'
    try:
        stage = point.load()
    except Exception as error:  # a plug-in may fail in any way at all
        first = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"{origin} cannot be imported: {type(error).__name__}: {first}") from error
    if not (isinstance(stage, type) and issubclass(stage, Stage)):
        raise ConfigError(f"{origin} is not a subclass of odflow.graph.Stage.")
    return stage


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
