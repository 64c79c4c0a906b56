"""What can be known of stages before any of them runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from odflow.errors import OdflowError, nearest
from odflow.graph.explain import wrong_path
from odflow.graph.pipeline import Node, Reference

T = TypeVar("T")

Place = tuple[str | int, ...]
"""A field, and the steps inside of it: ``("classes", 0)``."""


@dataclass
class Ahead:
    """What is known of a pipeline that has not run.

    Attributes:
        known: what stages expect of their outputs, by stage and output.
        names: of what their output folders will hold, where that is known.
        told: the lines that were told of files: one of a label map that five stages read comes once.
        alone: one stage is all there is, and runs at once.
    """

    known: dict[tuple[str, str], object] = field(default_factory=dict)
    names: dict[tuple[str, str], Collection[str]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    alone: bool = False


class Checking:
    """What `Stage.check` sees of a stage's inputs, and where it tells what it knows.

    Args:
        node: the stage in its pipeline.
        ahead: what the stages before it told.
        tell: takes what is wrong, a line at a time, and where.
        place: a folder on the disk that gets the outputs; it may not be there yet.
    """

    def __init__(self, node: Node, ahead: Ahead, tell: Callable[[str, Place], None], place: Path) -> None:
        self._node, self._ahead, self._tell, self._place = node, ahead, tell, place

    def given(self, field: str) -> Path | None:
        """The path of an input that is there already; None when it is left out or yet to be made."""
        value = getattr(self._node.stage, field)
        if value is None or isinstance(value, list) or Reference.parse(str(value)):
            return None
        mark = self._node.stage.inputs()[field]
        return None if wrong_path(value, mark.kind) else Path(value)

    def given_paths(self, field: str) -> list[Path]:
        """All paths of an input that may have several; none when one of them is not there."""
        paths = self._node.stage.input_paths().get(field, [])
        kind = self._node.stage.inputs()[field].kind
        made = any(Reference.parse(str(path)) for path in paths)
        return [] if made or any(wrong_path(path, kind) for path in paths) else paths

    def expected(self, field: str) -> object:
        """What an earlier stage expects of the output that an input reads; None when nothing is known."""
        reference = Reference.parse(str(getattr(self._node.stage, field)))
        if reference is None or reference.subpath:
            return None
        return self._ahead.known.get((reference.stage, reference.output))

    def expect(self, output: str, known: object = None, *, names: Collection[str] = ()) -> None:
        """Tell later stages what is known of an output.

        Args:
            output: its field.
            known: what `expected` gives them; None for nothing.
            names: of all that an output folder will hold, without what is inside of folders in
                it; none when they are not known.
        """
        self._ahead.known[self._node.name, output] = known
        self._ahead.names[self._node.name, output] = names

    def problem(self, message: str, *place: str | int) -> None:
        """Tell what is wrong with a field: found, wanted, what to do; its name is put before it."""
        self._tell(message, place)

    def attempt(self, read: Callable[[], T], *place: str | int) -> T | None:
        """What `read` gives. An error of odflow's is told of a field, each line once, and gives None."""
        found: list[T] = []
        self.passes(lambda: found.append(read()), *place)
        return found[0] if found else None

    def passes(self, look: Callable[[], object], *place: str | int) -> bool:
        """Whether `look` raises no error of odflow's; one is told of a field, each line once."""
        try:
            look()
        except OdflowError as error:
            for line in error.lines:
                if line not in self._ahead.told:
                    self._ahead.told.add(line)
                    self._tell(line, place)
            return False
        return True

    @property
    def alone(self) -> bool:
        """Whether the stage runs at once, by itself: what it reads first, it tells soon enough."""
        return self._ahead.alone

    @property
    def free(self) -> int:
        """Bytes left on the disk that gets the outputs."""
        place = self._place.absolute()
        return shutil.disk_usage(next(one for one in (place, *place.parents) if one.exists())).free

    def need_package(self, package: str, extra: str, *place: str | int) -> None:
        """See that an optional package is installed."""
        if find_spec(package) is None:
            self.problem(f'needs {package}, which is not installed: pip install "odflow[{extra}]".', *place)


def check_stages(
    nodes: Iterable[Node],
    tell: Callable[[Node, str, Place], None],
    place: Path = Path(),
    *,
    alone: bool = False,
) -> None:
    """Check stages that nobody has run yet.

    Args:
        nodes: in an order in which each comes after those that it reads from.
        tell: takes what is wrong: the stage, a line, and where in the stage's fields.
        place: a folder on the disk that gets the outputs.
        alone: this is one stage, which runs at once.
    """
    ahead = Ahead(alone=alone)
    for node in nodes:

        def tell_of(line: str, place: Place, node: Node = node) -> None:
            tell(node, line, place)

        for name, source in node.references():
            first, names = source.subpath.partition("/")[0], ahead.names.get((source.stage, source.output))
            if first and names and first not in names:
                line = f'"{source}": {source.output} will hold no "{first}".{nearest(first, names)}'
                tell_of(line, (name,))
        node.stage.check(Checking(node, ahead, tell_of, place))
