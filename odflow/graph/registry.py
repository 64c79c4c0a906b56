"""The stages that are installed: entry points of the group ``odflow.stages``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from odflow.errors import ConfigError, nearest

if TYPE_CHECKING:
    from odflow.graph.stage import Stage

GROUP = "odflow.stages"
_log = logging.getLogger("odflow")


class Registry:
    """Stages by name. A class is imported when it is asked for, so a broken one harms nobody else.

    Args:
        stages: name to a stage class, or to the entry points of that name.
    """

    def __init__(self, stages: Mapping[str, type[Stage] | Sequence[EntryPoint]]) -> None:
        self._stages = dict(stages)

    @classmethod
    def installed(cls) -> Registry:
        """The stages of odflow and of every installed package that plugs some in."""
        named: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=GROUP):
            named.setdefault(point.name, []).append(point)
        return cls(named)

    def names(self) -> list[str]:
        """Every name, sorted; whether its class can be imported is not known yet."""
        return sorted(self._stages)

    def get(self, name: str) -> type[Stage]:
        """Import the stage of a name.

        Raises:
            ConfigError: no stage has this name, several packages bring one, or its class
                cannot be imported.
        """
        if name not in self._stages:
            raise ConfigError(f'stage "{name}" is unknown.{nearest(name, self._stages)}')
        stage = self._stages[name]
        if not isinstance(stage, type):
            stage = self._stages[name] = _load(_meant(stage))
        return stage

    def working(self) -> dict[str, type[Stage]]:
        """Import every stage, sorted by name; one that cannot be had is told and left out."""
        found = {}
        for name in self.names():
            try:
                found[name] = self.get(name)
            except ConfigError as error:
                _log.warning("%s", error)
        return found


def _meant(points: Sequence[EntryPoint]) -> EntryPoint:
    """The one of a name. Nobody takes a name from odflow; between others there is nothing to choose by."""
    if len(points) == 1:
        return points[0]  # who brought a point is slow to find out
    own = [point for point in points if _package(point) == "odflow"]
    others = sorted(f"{_package(point)} ({point.value})" for point in points if point not in own)
    if not own:
        brought = " and by ".join(others)
        raise ConfigError(f'stage "{points[0].name}" is brought by {brought}. Uninstall all but one.')
    _log.warning('stage "%s" is that of odflow; it hides that of %s.', own[0].name, " and ".join(others))
    return own[0]


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
