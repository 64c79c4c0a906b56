"""A pipeline: stages, and which reads what another one writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from pathlib import Path

from odflow.graph.stage import Needs, Stage

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_REFERENCE = re.compile(rf"\$\{{({NAME.pattern})\.({NAME.pattern})\}}(?:/+(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Reference:
    """``${stage.output}``, perhaps followed by ``/subpath``: what another stage wrote."""

    stage: str
    output: str
    subpath: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """Read a reference; None when the text is something else.

        >>> Reference.parse("${export.exported}/saved_model")
        Reference(stage='export', output='exported', subpath='saved_model')
        """
        match = _REFERENCE.fullmatch(text)
        if match is None or match[1] == "params":
            return None
        return cls(match[1], match[2], (match[3] or "").strip("/"))

    def __str__(self) -> str:
        return f"${{{self.stage}.{self.output}}}" + (f"/{self.subpath}" if self.subpath else "")


@dataclass(frozen=True)
class Node:
    """One stage of a pipeline.

    Attributes:
        name: in the pipeline.
        uses: the name that the stage is registered under.
        stage: its fields, checked. An input that another stage writes holds the
            text of the reference as its path.
        retries: how often a failure is tried again.
        needs: what it takes of a cluster; what the stage declares if None.
    """

    name: str
    uses: str
    stage: Stage
    retries: int = 0
    needs: Needs | None = None

    def sources(self) -> dict[str, list[Path | Reference]]:
        """What each input field that is set reads."""
        return {
            name: [Reference.parse(str(path)) or path for path in paths]
            for name, paths in self.stage.input_paths().items()
        }

    def references(self) -> list[tuple[str, Reference]]:
        """The edges that end here: input field and what it reads."""
        found = [(name, source) for name, sources in self.sources().items() for source in sources]
        return [(name, source) for name, source in found if isinstance(source, Reference)]

    def with_inputs(self, paths: Mapping[str, list[Path]]) -> Stage:
        """The stage with paths in place of references, in the order of `sources`."""
        several = {name: isinstance(getattr(self.stage, name), list) for name in paths}
        return self.stage.model_copy(
            update={name: list(found) if several[name] else found[0] for name, found in paths.items()}
        )


@dataclass(frozen=True)
class Pipeline:
    """Stages in an order in which each comes after those that it reads from.

    Attributes:
        path: of the file.
        nodes: name to stage, in that order.
        check: raises a ConfigError with all that the selected stages' checks find, a line each;
            takes a folder on the disk that gets the outputs, too.
    """

    path: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    check: Callable[[Selection, Path], None] = field(default=lambda *_: None, compare=False)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def upstream(self, name: str) -> list[str]:
        """The stages that a stage reads from, directly or through others, in order."""
        edges = {
            other: {source.stage for _, source in node.references()} for other, node in self.nodes.items()
        }
        needed = ancestors(name, edges)
        return [other for other in self.nodes if other in needed]


@dataclass(frozen=True)
class Selection:
    """What a run is asked for.

    Attributes:
        only: run this stage alone; those before it must have results.
        until: run this stage and those before it.
        force: stages to run even when they have a result.
    """

    only: str | None = None
    until: str | None = None
    force: tuple[str, ...] = ()

    def names(self, pipeline: Pipeline) -> list[str]:
        """The stages to execute, in order."""
        if self.only:
            return [self.only]
        return [*pipeline.upstream(self.until), self.until] if self.until else list(pipeline.nodes)


def ancestors(name: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    """All that can be reached from `name` along `edges`, without itself."""
    found: set[str] = set()
    waiting = list(edges.get(name, ()))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(edges.get(other, ()))
    return found


def ordered(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Put names in an order in which each comes after those it reads from.

    Args:
        edges: name to the names that it reads from. Where the edges leave a choice,
            the order of this mapping decides.

    Raises:
        graphlib.CycleError: there is a circle; `args[1]` names it.

    >>> ordered({"keep": ["detect"], "detect": [], "split": ["keep"]})
    ['detect', 'keep', 'split']
    """
    place = {name: index for index, name in enumerate(edges)}
    names = list(edges)
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    ready: list[int] = []
    found: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, place[name])
        found.append(names[heappop(ready)])
        sorter.done(found[-1])
    return found
