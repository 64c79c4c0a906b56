"""A stage: a function from files to files, declared as a pydantic model."""

from __future__ import annotations

import typing
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field

from odflow.graph.patterns import expanded

if TYPE_CHECKING:
    from odflow.graph.checking import Checking
    from odflow.graph.job import Job

Kind = Literal["file", "folder", "path"]


@dataclass(frozen=True)
class Input:
    """Marks a field as a path that the stage reads."""

    kind: Kind


@dataclass(frozen=True)
class Output:
    """Marks a field as a path that the stage writes."""

    kind: Kind


InputFile = Annotated[Path, Input("file")]
InputFolder = Annotated[Path, Input("folder")]
InputPath = Annotated[Path, Input("path")]
"""A file or a folder: the stage tells them apart."""
InputPaths = Annotated[Path | list[Path], Input("path"), BeforeValidator(expanded)]
"""A file, a folder, or several: a list, or a pattern; see `expanded`."""

OutputFile = Annotated[Path, Output("file")]
OutputFolder = Annotated[Path, Output("folder")]


def output(name: str, description: str = "") -> Any:
    """Declare an output: its name inside the stage's output folder."""
    return Field(Path(name), description=description)


RESERVED = ("uses", "retries", "needs")
"""What a pipeline says of a stage beside its fields."""


class Needs(BaseModel):
    """What a stage takes of the machine that a cluster runs it on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: float = Field(1, ge=0, description="processors; what the stage maps takes others")
    gpus: float = Field(0, ge=0, description="graphics processors")
    memory: ByteSize = Field(ByteSize(0), description="bytes, or as in 8 GiB; 0 when it does not matter")


class Stage(BaseModel):
    """Fields are inputs, parameters and outputs; `run` turns the first into the last.

    A subclass declares its fields, says in the first line of its docstring what
    it is for, and writes `run`. While `run` is under way every input field holds
    the path to read and every output field the path to write, which lies in a
    staging folder: it appears under its real name once `run` has returned.

    The same inputs and parameters must give the same bytes. Raise `version` when
    a change of the code changes the outputs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    version: ClassVar[int] = 1
    resumes: ClassVar[bool] = False
    """True: a staging folder that a killed run left is given to the next run with
    the same key, and `run` goes on from what it finds there."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Installed packages whose versions are part of the key."""
    needs: ClassVar[Needs] = Needs()
    """What it takes of a cluster; a pipeline may say otherwise."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse fields that a pipeline could not set."""
        for name in RESERVED:
            if name in cls.model_fields:
                raise TypeError(f'{cls.__name__}: "{name}" is a word of pipelines; rename the field')

    @abstractmethod
    def run(self, job: Job) -> None:
        """Read the inputs and write the outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    def check(self, checking: Checking) -> None:
        """Tell what is wrong as far as it can be known before anything runs, and what will be made.

        Called for all stages of a pipeline, in their order, by `plan`, `run` and a stage by
        itself. It takes milliseconds, reads no more than the heads of files, and imports nothing
        heavy. Inputs that another stage has yet to write are not there: see `Checking`.
        """

    def also_reads(self) -> Iterable[Path]:
        """Files that an input names and that its own content does not cover.

        A list file of images is one: a change of an image must change the key.
        Called when all inputs exist.
        """
        return ()

    @classmethod
    def inputs(cls) -> dict[str, Input]:
        """The input fields, in the order of their declaration."""
        return {name: mark for name, mark in _ports(cls).items() if isinstance(mark, Input)}

    @classmethod
    def output_fields(cls) -> dict[str, Output]:
        """The output fields, in the order of their declaration."""
        return {name: mark for name, mark in _ports(cls).items() if isinstance(mark, Output)}

    @classmethod
    def parameters(cls) -> list[str]:
        """The fields that are neither input nor output, in the order of their declaration."""
        return [name for name in cls.model_fields if name not in _ports(cls)]

    def input_paths(self) -> dict[str, list[Path]]:
        """The paths of each input that is set; several for a field that is a list."""
        found: dict[str, list[Path]] = {}
        for name in self.inputs():
            value = getattr(self, name)
            if value is not None:
                found[name] = list(value) if isinstance(value, list) else [value]
        return found


def summary(stage: type[Stage]) -> str:
    """The first line of a stage's docstring."""
    return (stage.__doc__ or "").strip().partition("\n")[0]


@cache
def _ports(stage: type[Stage]) -> dict[str, Input | Output]:
    ports = {}
    for name, field in stage.model_fields.items():
        mark = _mark(field.annotation, field.metadata)
        if mark is not None:
            ports[name] = mark
    return ports


def _mark(annotation: Any, metadata: Iterable[Any] = ()) -> Input | Output | None:
    """Find the mark on a type, on a member of a union, or on the items of a list."""
    for item in metadata:
        if isinstance(item, (Input, Output)):
            return item
    if typing.get_origin(annotation) is Annotated:
        inner, *rest = typing.get_args(annotation)
        return _mark(inner, rest)
    for inner in typing.get_args(annotation):
        mark = _mark(inner)
        if mark is not None:
            return mark
    return None
