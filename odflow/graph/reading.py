"""Read a pipeline file and report all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from graphlib import CycleError
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from odflow.errors import ConfigError, nearest
from odflow.graph.checking import check_stages
from odflow.graph.document import parse, read_document
from odflow.graph.explain import faults, wrong_path
from odflow.graph.pipeline import NAME, Node, Pipeline, Reference, Selection, ancestors, ordered
from odflow.graph.registry import Registry
from odflow.graph.stage import RESERVED, Needs, Stage
from odflow.graph.substitution import PLACEHOLDER, Params, strings
from odflow.graph.written import as_wanted

MOST_RETRIES = 10


def read_pipeline(
    path: Path, registry: Registry, settings: Iterable[str] = (), selection: Selection | None = None
) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        path: the YAML file.
        registry: where stages are looked up.
        settings: ``params.NAME=VALUE`` or ``STAGE.FIELD=VALUE``, in place of what the file says.
        selection: what will run: the files that it reads must exist. Without one they are not looked at.
            What its stages know to be wrong is told beside other faults, else by `Pipeline.check`.

    Raises:
        ConfigError: one line for each thing that is wrong: file, line, and the nearest right name.
    """
    reading = _Reading(path, registry)
    reading.check_shape()
    for setting in settings:
        reading.replace(setting)
    reading.read_stages()
    order = reading.order()
    if selection is not None:
        reading.check_selection(selection)
        reading.check_inputs(selection)
        if reading.document.problems:  # then this is all that is told
            reading.check_stages(selection, order)
    reading.document.raise_problems()
    nodes = {name: reading.nodes[name] for name in order}
    return Pipeline(path, nodes, partial(reading.raise_faults, order=order))


class _Reading:
    """What is known of a pipeline so far. Whatever is wrong is noted, and the reading goes on.

    Attributes:
        classes: of the stages whose name is known.
        fields: of every stage, params filled in, without those that are wrong.
        nodes: the stages that are right in themselves.
    """

    def __init__(self, path: Path, registry: Registry) -> None:
        self.path, self.registry = path, registry
        self.document = read_document(path)
        self.classes: dict[str, type[Stage]] = {}
        self.fields: dict[str, dict[str, Any]] = {}
        self.edges: dict[str, list[str]] = {}
        self.nodes: dict[str, Node] = {}

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """The stages as they are written."""
        found: dict[str, dict[str, Any]] = self.document.data["stages"]
        return found

    def check_shape(self) -> None:
        """Without params and stages that hold names and values nothing else can be said."""
        data = self.document.data
        if not isinstance(data, dict) or not isinstance(data.get("stages"), dict) or not data["stages"]:
            place = self.document.place("stages")
            raise ConfigError(f'{place}: wanted "stages:" and below it at least one stage.')
        for key in data:
            if key not in ("params", "stages"):
                self.document.problem(
                    f'"{key}" is unknown.{self.document.nearest(key, ["params", "stages"])}', key
                )
        data["params"] = {} if data.get("params") is None else data["params"]
        data["stages"] = {name: {} if body is None else body for name, body in data["stages"].items()}
        bodies: dict[tuple[str, ...], Any] = {
            ("params",): data["params"],
            **{("stages", name): body for name, body in self.stages.items()},
        }
        for address, body in bodies.items():
            if not isinstance(body, dict):
                self.document.problem(f'"{address[-1]}" must hold names and values.', *address)
                self.document.raise_problems()

    def replace(self, setting: str) -> None:
        """Replace one value."""
        name, equals, text = setting.partition("=")
        head, _, tail = name.strip().partition(".")
        place, params = f"--set {setting}", self.document.data["params"]
        fault = ""
        if not (equals and head and tail):
            fault = "wanted params.NAME=VALUE or STAGE.FIELD=VALUE."
        elif head == "params" and tail not in params:
            fault = f"there is no params.{tail} in {self.path}.{nearest(tail, params)}"
        elif head != "params" and head not in self.stages:
            fault = f'there is no stage "{head}".{nearest(head, [*self.stages, "params"])}'
        if fault:
            self.document.problems.append((place, fault))
            return
        value = parse(text, place)
        self.document.problems += value.problems
        self.document.set(("params", tail) if head == "params" else ("stages", head, tail), value, place)

    def read_stages(self) -> None:
        """Find the classes, check the fields and follow the references."""
        params = Params(self.document)
        for name, body in self.stages.items():
            self._find_class(name, self._uses(name, body))
        for name, body in self.stages.items():
            written = {key: value for key, value in body.items() if key not in RESERVED}
            filled = {key: params.fill(value, ("stages", name, key)) for key, value in written.items()}
            filled = self._as_wanted(name, filled)
            found = [Reference.parse(text) for text in strings(filled)]
            self.edges[name] = [one.stage for one in found if one and one.stage in self.stages]
            wrong = {key for key, value in filled.items() if self._is_wrong(name, key, value)}
            wrong |= {key for key in filled if ("stages", name, key) in params.unsound}
            self.fields[name] = {key: value for key, value in filled.items() if key not in wrong}
            if name in self.classes:
                self._make_node(name, wrong)

    def order(self) -> list[str]:
        """The stages in an order in which they can run."""
        try:
            return ordered(self.edges)
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            line = f"stages go in a circle: {' reads '.join(circle)}."
            self.document.problem(line, "stages", circle[0])
            return []

    def check_selection(self, selection: Selection) -> None:
        """The stages that flags name must be there."""
        asked = [("--only", selection.only), ("--until", selection.until)]
        for flag, name in [*asked, *(("--force", name) for name in selection.force)]:
            if name and name not in self.stages:
                message = f"there is no such stage.{nearest(name, self.stages)}"
                self.document.problems.append((f"{flag} {name}", message))

    def check_inputs(self, selection: Selection) -> None:
        """The files that the selected stages read must be there."""
        wanted = self._wanted(selection)
        for name, stage in self.classes.items():
            for key, mark in stage.inputs().items() if name in wanted else ():
                value = self._value(name, key)
                for path in value if isinstance(value, list) else [value]:
                    if isinstance(path, (str, Path)) and not Reference.parse(str(path)):
                        fault = wrong_path(Path(path), mark.kind)
                        if fault:
                            line = f"{name}.{key}: {fault}{self._advice(name, key)}"
                            self.document.problem(line, "stages", name, key)

    def check_stages(self, selection: Selection, order: Sequence[str], place: Path = Path()) -> None:
        """Ask the selected stages what they know to be wrong."""
        wanted = self._wanted(selection)

        def tell(node: Node, line: str, place: tuple[str | int, ...]) -> None:
            named = ".".join([node.name, *map(str, place[:1])])
            self.document.problem(f"{named}: {line}", *self._written(node.name, place))

        chosen = [self.nodes[name] for name in order if name in self.nodes and name in wanted]
        check_stages(chosen, tell, place)

    def raise_faults(self, selection: Selection, place: Path, *, order: Sequence[str]) -> None:
        """Ask the selected stages, and raise what they tell."""
        self.check_stages(selection, order, place)
        self.document.raise_problems()

    def _wanted(self, selection: Selection) -> set[str]:
        """The selected stages and all before them."""
        target = selection.only or selection.until
        return {target, *ancestors(target, self.edges)} if target else set(self.stages)

    def _written(self, name: str, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Where the value of a field was written: in params, where the field is nothing but that."""
        value = self.stages[name].get(str(place[0])) if place else None
        whole = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        names = whole[1].split(".") if whole else []
        return ("params", *names[1:], *place[1:]) if names[:1] == ["params"] else ("stages", name, *place)

    def _value(self, name: str, key: str) -> Any:
        """What an input is set to: as the stage has it, which may know better what a path stands for."""
        if name in self.nodes:
            return getattr(self.nodes[name].stage, key)
        return self.fields[name].get(key, self.classes[name].model_fields[key].default)

    def _uses(self, name: str, body: Mapping[str, Any]) -> str:
        return self.document.texts.get(("stages", name, "uses"), str(body.get("uses", name)))

    def _as_wanted(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields, with the text that was written where one is wanted."""
        known = self.classes[name].model_fields if name in self.classes else {}
        return {
            key: as_wanted(known[key].annotation, value, self.document.texts, ("stages", name, key))
            if key in known
            else value
            for key, value in fields.items()
        }

    def _find_class(self, name: str, uses: str) -> None:
        if name == "params" or not NAME.fullmatch(name):
            line = f'"{name}" cannot name a stage (letters, digits, _ and -; not "params").'
            self.document.problem(line, "stages", name)
        try:
            self.classes[name] = self.registry.get(uses)
        except ConfigError as error:
            self.document.problem(str(error), "stages", name, "uses")

    def _make_node(self, name: str, wrong: set[str]) -> None:
        stage, fields = self.classes[name], self.fields[name]
        body = self.stages[name]
        retries, needs = self._retries(name, body.get("retries", 0)), self._needs(name, body.get("needs"))
        try:
            self.nodes[name] = Node(name, self._uses(name, body), stage(**fields), retries, needs)
        except ValidationError as error:
            for location, line in faults(error, stage, fields, str):
                if not wrong or (location and location[0] not in wrong):
                    self.document.problem(f"{name}: {line}", "stages", name, *location)

    def _retries(self, name: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_RETRIES:
            return value
        line = f"{name}: retries is {value!r}; wanted a whole number from 0 to {MOST_RETRIES}."
        self.document.problem(line, "stages", name, "retries")
        return 0

    def _needs(self, name: str, value: Any) -> Needs | None:
        if value is None:
            return None
        try:
            return Needs.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                field = "".join(f".{step}" for step in detail["loc"])
                line = f"{name}: needs{field} is {detail['input']!r}; {detail['msg']}."
                self.document.problem(line, "stages", name, "needs", *detail["loc"])
            return None

    def _is_wrong(self, name: str, key: str, value: Any) -> bool:
        stage = self.classes.get(name)
        if stage and key in stage.output_fields():
            found = [f'"{key}" is an output; odflow itself says where it is written.']
        else:
            found = [self._reference_fault(text, key, stage) for text in strings(value) if "${" in text]
        for fault in filter(None, found):
            self.document.problem(f"{name}.{key}: {fault}", "stages", name, key)
        return any(found)

    def _reference_fault(self, text: str, key: str, stage: type[Stage] | None) -> str:
        if stage and key in stage.parameters():
            return f'"{text}": only inputs refer to outputs, and {key} is a parameter.'
        reference = Reference.parse(text)
        if reference is None:
            return f'"{text}": wanted ${{params.NAME}}, or ${{STAGE.OUTPUT}} at the start of a path.'
        if reference.stage not in self.stages:
            near = self.document.nearest(reference.stage, [*self.stages, "params"])
            return f'"{text}": there is no stage "{reference.stage}".{near}'
        if reference.stage not in self.classes:
            return ""
        outputs = self.classes[reference.stage].output_fields()
        if reference.output not in outputs:
            near = self.document.nearest(reference.output, outputs)
            return f'"{text}": stage "{reference.stage}" has no output "{reference.output}".{near}'
        if stage is None or key not in stage.inputs():
            return ""
        return _kind_fault(reference, outputs[reference.output].kind, stage.inputs()[key].kind)

    def _advice(self, name: str, key: str) -> str:
        written = self.stages[name].get(key)
        whole = PLACEHOLDER.fullmatch(written) if isinstance(written, str) else None
        return f" Give another with --set {whole[1] if whole else f'{name}.{key}'}=PATH."


def _kind_fault(reference: Reference, made: str, wanted: str) -> str:
    if ".." in PurePosixPath(reference.subpath).parts:
        return f'"{reference}" leaves the folder of the output.'
    if reference.subpath and made == "file":
        return f'"{reference}": {reference.output} is a file and holds nothing.'
    if not reference.subpath and "path" not in (made, wanted) and made != wanted:
        return f'"{reference}" is a {made}; a {wanted} is wanted.'
    return ""
