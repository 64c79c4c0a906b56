"""Read a pipeline file and report all that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from odflow.errors import ConfigError, nearest
from odflow.graph.document import Document, parse, read_document
from odflow.graph.explain import faults, wrong_path
from odflow.graph.pipeline import NAME, Node, Pipeline, Reference, Selection, ancestors, ordered
from odflow.graph.registry import Registry
from odflow.graph.stage import Stage

_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")


def read_pipeline(
    path: Path, registry: Registry, settings: Iterable[str] = (), selection: Selection | None = None
) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        path: the YAML file.
        registry: where stages are looked up.
        settings: ``params.NAME=VALUE`` or ``STAGE.FIELD=VALUE``, in place of what the file says.
        selection: what will run: the files that it reads must exist. Without one they are not looked at.

    Raises:
        ConfigError: one line for each thing that is wrong: file, line, and the nearest right name.
    """
    return _Reading(path, registry).pipeline(settings, selection)


class _Reading:
    def __init__(self, path: Path, registry: Registry) -> None:
        self.path, self.registry = path, registry
        self.document: Document = read_document(path)
        self.problems: list[tuple[str, str]] = []
        self.params: dict[str, Any] = {}
        self.classes: dict[str, type[Stage]] = {}
        self.unsound: set[tuple[str | int, ...]] = set()
        self.edges: dict[str, list[str]] = {}
        self.nodes: dict[str, Node] = {}

    def pipeline(self, settings: Iterable[str], selection: Selection | None) -> Pipeline:
        self._shape()
        for setting in settings:
            self._set(setting)
        self._resolve_params()
        stages: dict[str, dict[str, Any]] = self.document.data["stages"]
        for name, body in stages.items():
            self._find_class(name, body)
        for name, body in stages.items():
            self._read_stage(name, {key: value for key, value in body.items() if key != "uses"})
        order = self._order()
        if selection is not None:
            self._check_selection(selection)
            self._check_inputs(selection)
        self._raise()
        return Pipeline(self.path, {name: self.nodes[name] for name in order})

    def _problem(self, message: str, *address: str | int) -> None:
        self.problems.append((self.document.place(*address), message))

    def _raise(self) -> None:
        def line(problem: tuple[str, str]) -> int:
            number = problem[0].rpartition(":")[2]
            return int(number) if problem[0].startswith(f"{self.path}:") and number.isdigit() else 0

        found = list(dict.fromkeys(sorted(self.problems, key=line)))
        if found:
            raise ConfigError("\n".join(f"{place}: {message}" for place, message in found))

    def _shape(self) -> None:
        """Without this shape nothing else can be said."""
        data = self.document.data
        if not isinstance(data, dict) or not isinstance(data.get("stages"), dict) or not data["stages"]:
            raise ConfigError(
                f'{self.document.place("stages")}: wanted "stages:" and below it at least one stage.'
            )
        for key in data:
            if key not in ("params", "stages"):
                self._problem(f'"{key}" is unknown.{nearest(key, ["params", "stages"])}', key)
        if data.get("params") is None:
            data["params"] = {}
        for name, body in data["stages"].items():
            if body is None:
                data["stages"][name] = {}
        for address in [("params",), *(("stages", name) for name in data["stages"])]:
            body = data["params"] if address == ("params",) else data["stages"][address[-1]]
            if not isinstance(body, dict):
                self._problem(f'"{address[-1]}" must hold names and values.', *address)
        self._raise()

    def _set(self, setting: str) -> None:
        name, equals, text = setting.partition("=")
        head, _, tail = name.strip().partition(".")
        place = f"--set {setting}"
        stages, params = self.document.data["stages"], self.document.data["params"]
        if not (equals and head and tail):
            self.problems.append((place, "wanted params.NAME=VALUE or STAGE.FIELD=VALUE."))
        elif head == "params" and tail not in params:
            self.problems.append((place, f"there is no params.{tail} in {self.path}.{nearest(tail, params)}"))
        elif head != "params" and head not in stages:
            self.problems.append((place, f'there is no stage "{head}".{nearest(head, [*stages, "params"])}'))
        else:
            address = ("params", tail) if head == "params" else ("stages", head, tail)
            self.document.set(address, parse(text, place).data, place)

    def _resolve_params(self) -> None:
        for name, value in self.document.data["params"].items():
            if not NAME.fullmatch(name):
                self._problem(f'"{name}" is not a name (letters, digits, _ and -).', "params", name)
            found = self._substitute(value, ("params", name))
            for text in _strings(found):
                if "${" in text:
                    self._problem(
                        f'params.{name}: "{text}": only the inputs of stages refer to outputs.',
                        "params",
                        name,
                    )
            self.params[name] = found

    def _substitute(self, value: Any, address: tuple[str | int, ...]) -> Any:
        """Put the values of params in place of ``${params.name}``."""
        if isinstance(value, dict):
            return {key: self._substitute(item, (*address, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._substitute(item, (*address, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[1].startswith("params."):
            return self._param(whole[1], address)
        return _PLACEHOLDER.sub(lambda match: self._inside(match, address), value)

    def _inside(self, match: re.Match[str], address: tuple[str | int, ...]) -> str:
        if not match[1].startswith("params."):
            return match[0]
        value = self._param(match[1], address)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self._problem(
                f"{match[0]} is {value!r}; inside a text only a text or a number can stand.", *address
            )
            self.unsound.add(address[:3])
        return str(value)

    def _param(self, name: str, address: tuple[str | int, ...]) -> Any:
        name = name.removeprefix("params.")
        if name in self.params:
            return self.params[name]
        if address[0] == "params" and name in self.document.data["params"]:
            self._problem(f"${{params.{name}}} comes too early: a param may use those above it.", *address)
        else:
            self._problem(f'"${{params.{name}}}" is unknown.{nearest(name, self.params)}', *address)
        self.unsound.add(address[:3])
        return ""

    def _find_class(self, name: str, body: dict[str, Any]) -> None:
        if name == "params" or not NAME.fullmatch(name):
            self._problem(
                f'"{name}" cannot name a stage (letters, digits, _ and -; not "params").', "stages", name
            )
        uses = body.get("uses", name)
        try:
            self.classes[name] = self.registry.get(str(uses))
        except ConfigError as error:
            self._problem(str(error), "stages", name, "uses")

    def _read_stage(self, name: str, raw: dict[str, Any]) -> None:
        fields = {key: self._substitute(value, ("stages", name, key)) for key, value in raw.items()}
        self.edges[name] = [
            reference.stage
            for text in _strings(list(fields.values()))
            if (reference := Reference.parse(text)) and reference.stage in self.document.data["stages"]
        ]
        if name not in self.classes:
            return
        stage = self.classes[name]
        broken = {key for key, value in fields.items() if not self._field_is_sound(name, key, value, stage)}
        fields = {key: value for key, value in fields.items() if key not in broken}
        try:
            self.nodes[name] = Node(
                name, str(self.document.data["stages"][name].get("uses", name)), stage(**fields)
            )
        except ValidationError as error:
            for location, line in faults(error, stage, fields, str):
                if not broken or (location and location[0] not in broken):
                    self._problem(f"{name}: {line}", "stages", name, *location)

    def _field_is_sound(self, name: str, key: str, value: Any, stage: type[Stage]) -> bool:
        address = ("stages", name, key)
        if key in stage.outputs():
            self._problem(f'{name}: "{key}" is an output; odflow itself says where it is written.', *address)
            return False
        sound = address not in self.unsound
        for text in _strings(value):
            fault = self._reference_fault(text, key, stage) if "${" in text else ""
            if fault:
                self._problem(f"{name}.{key}: {fault}", *address)
                sound = False
        return sound

    def _reference_fault(self, text: str, key: str, stage: type[Stage]) -> str:
        if key not in stage.inputs() and key in stage.model_fields:
            return f'"{text}": only inputs refer to outputs, and {key} is a parameter.'
        reference = Reference.parse(text)
        if reference is None:
            return f'"{text}": wanted ${{params.NAME}}, or ${{STAGE.OUTPUT}} at the start of a path.'
        if reference.stage not in self.document.data["stages"]:
            near = nearest(reference.stage, [*self.document.data["stages"], "params"])
            return f'"{text}": there is no stage "{reference.stage}".{near}'
        if reference.stage not in self.classes or key not in stage.inputs():
            return ""
        outputs = self.classes[reference.stage].outputs()
        if reference.output not in outputs:
            near = nearest(reference.output, outputs)
            return f'"{text}": stage "{reference.stage}" has no output "{reference.output}".{near}'
        return _kind_fault(reference, outputs[reference.output].kind, stage.inputs()[key].kind)

    def _order(self) -> list[str]:
        try:
            return ordered(self.edges)
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            self._problem(f"stages go in a circle: {' reads '.join(circle)}.", "stages", circle[0])
            return []

    def _check_selection(self, selection: Selection) -> None:
        asked = [
            ("--only", selection.only),
            ("--until", selection.until),
            *(("--force", one) for one in selection.force),
        ]
        for flag, name in asked:
            if name and name not in self.edges:
                self.problems.append(
                    (f"{flag} {name}", f"there is no such stage.{nearest(name, self.edges)}")
                )

    def _check_inputs(self, selection: Selection) -> None:
        target = selection.only or selection.until
        wanted = {target, *ancestors(target, self.edges)} if target else set(self.nodes)
        for name in self.nodes:
            if name not in wanted:
                continue
            node = self.nodes[name]
            for key, sources in node.sources().items():
                for source in sources:
                    fault = (
                        ""
                        if isinstance(source, Reference)
                        else wrong_path(source, node.stage.inputs()[key].kind)
                    )
                    if fault:
                        self._problem(f"{name}.{key}: {fault}{self._advice(name, key)}", "stages", name, key)

    def _advice(self, name: str, key: str) -> str:
        written = self.document.data["stages"][name].get(key)
        whole = _PLACEHOLDER.fullmatch(written) if isinstance(written, str) else None
        return f" Give another with --set {whole[1] if whole else f'{name}.{key}'}=PATH."


def _kind_fault(reference: Reference, made: str, wanted: str) -> str:
    if ".." in PurePosixPath(reference.subpath).parts:
        return f'"{reference}" leaves the folder of the output.'
    if reference.subpath and made == "file":
        return f'"{reference}": {reference.output} is a file and holds nothing.'
    if not reference.subpath and wanted != "path" and made != wanted:
        return f'"{reference}" is a {made}; a {wanted} is wanted.'
    return ""


def _leaves(value: Any) -> Iterator[Any]:
    """All scalars inside a value."""
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value


def _strings(value: Any) -> Iterator[str]:
    return (leaf for leaf in _leaves(value) if isinstance(leaf, str))
