"""What can be known of stages before any of them runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from odflow.errors import OdflowError
from odflow.graph.explain import wrong_path
from odflow.graph.pipeline import Node, Reference

T = TypeVar("T")

Place = tuple[str | int, ...]
"""A field, and the steps inside of it: ``("classes", 0)``."""


class Checking:
    """What `Stage.check` sees of a stage's inputs, and where it tells what it knows.

    Args:
        node: the stage in its pipeline.
        known: what earlier stages expect of their outputs, by stage and output.
        told: the lines that were told of files: one of a label map that five stages read comes once.
        tell: takes what is wrong, a line at a time, and where.
        place: a folder on the disk that gets the outputs; it may not be there yet.
    """

    def __init__(
        self,
        node: Node,
        known: dict[tuple[str, str], object],
        told: set[str],
        tell: Callable[[str, Place], None],
        place: Path,
    ) -> None:
        self._node, self._known, self._told, self._tell = node, known, told, tell
        self._place = place

    def given(self, field: str) -> Path | None:
        """The path of an input that is there already; None when it is left out or yet to be made."""
        value = getattr(self._node.stage, field)
        if value is None or isinstance(value, list) or Reference.parse(str(value)):
            return None
        mark = self._node.stage.inputs()[field]
        return None if wrong_path(value, mark.kind) else Path(value)

    def expected(self, field: str) -> object:
        """What an earlier stage expects of the output that an input reads; None when nothing is known."""
        reference = Reference.parse(str(getattr(self._node.stage, field)))
        if reference is None or reference.subpath:
            return None
        return self._known.get((reference.stage, reference.output))

    def expect(self, output: str, known: object) -> None:
        """Tell later stages what is known of an output; None for nothing."""
        self._known[self._node.name, output] = known

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
            for line in str(error).splitlines():
                if line not in self._told:
                    self._told.add(line)
                    self._tell(line, place)
            return False
        return True

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
    nodes: Iterable[Node], tell: Callable[[Node, str, Place], None], place: Path = Path()
) -> None:
    """Check stages that nobody has run yet.

    Args:
        nodes: in an order in which each comes after those that it reads from.
        tell: takes what is wrong: the stage, a line, and where in the stage's fields.
        place: a folder on the disk that gets the outputs.
    """
    known: dict[tuple[str, str], object] = {}
    told: set[str] = set()
    for node in nodes:

        def tell_of(line: str, place: Place, node: Node = node) -> None:
            tell(node, line, place)

        node.stage.check(Checking(node, known, told, tell_of, place))
