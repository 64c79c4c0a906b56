"""A message of a config that remembers what became of each of its fields.

Whoever translates a config reads it through a `Section`; afterwards `Coverage`
tells, for every field that the config sets, whether it was honoured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

from odflow.errors import ConfigError
from odflow.terminal import shown

T = TypeVar("T")

HONOURED = "honoured"
APPROXIMATED = "approximated"
NOT_APPLICABLE = "not applicable"
UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Verdict:
    """What became of one field: one of the four states, and why or how."""

    state: str
    remark: str = ""


@dataclass
class Coverage:
    """What became of the fields of one config.

    Attributes:
        source: the config's file name, for messages.
        verdicts: dotted proto path to verdict; a verdict on a message holds for
            the fields inside it that have none of their own.
        collects: what keeps the config from being trained, and from nothing else, is kept, not raised.
        untrainable: what was kept: a line for each field, as errors say it. Such a detector can be
            imported and exported all the same.
    """

    source: str
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    collects: bool = False
    untrainable: list[str] = field(default_factory=list)

    def check_trainable(self) -> None:
        """See that the config can be trained.

        Raises:
            ConfigError: it cannot; a line for each reason.
        """
        if self.untrainable:
            raise ConfigError(*self.untrainable)

    def of(self, path: str) -> Verdict:
        """The verdict on a field: its own, else that of the nearest message around it."""
        while path:
            for name in (path, re.sub(r"\[\d+\]$", "", path)):
                if name in self.verdicts:
                    return self.verdicts[name]
            path = path.rpartition(".")[0]
        return Verdict(UNSUPPORTED, "odflow does not know what to do with it")


@dataclass(frozen=True)
class Section:
    """One message of a config, read field by field.

    Attributes:
        message: the protobuf message.
        path: where it stands in the config, dotted; empty for the whole config.
        coverage: what became of the fields read so far.
    """

    message: Any
    path: str
    coverage: Coverage

    def __getitem__(self, name: str) -> Any:
        """The value of a scalar field, or its default; the field counts as honoured."""
        self._note(name, Verdict(HONOURED))
        return getattr(self.message, name)

    def positive(self, name: str) -> int:
        """The value of a whole number that must be at least 1.

        Raises:
            ConfigError: it is not.
        """
        value = int(self[name])
        if value < 1:
            raise self.refuse(name, value, "at least 1")
        return value

    def to_train(self, read: Callable[[], T], otherwise: T) -> T:
        """Read what only training asks for.

        Args:
            read: reads it; a ConfigError of it is kept where `Coverage.collects`.
            otherwise: what stands in its place then, and is never trained with.
        """
        try:
            return read()
        except ConfigError as error:
            if not self.coverage.collects:
                raise
            self.coverage.untrainable += error.lines
            return otherwise

    def section(self, name: str) -> Section:
        """The message in a field (with its defaults when it is not set)."""
        return Section(getattr(self.message, name), self._path(name), self.coverage)

    def sections(self, name: str) -> Iterator[Section]:
        """The messages of a repeated field."""
        for i, message in enumerate(getattr(self.message, name)):
            yield Section(message, f"{self._path(name)}[{i}]", self.coverage)

    def choice(self, oneof: str) -> str:
        """The name of the field that is set in a oneof; empty when none is.

        A message set to nothing (``random_horizontal_flip {}``) counts as honoured
        with that; the fields of any other stand for themselves.
        """
        name = self.message.WhichOneof(oneof) or ""
        if name and not getattr(self.message, name).ListFields():
            self._note(name, Verdict(HONOURED))
        return name

    def has(self, name: str) -> bool:
        """Whether the config sets the field."""
        return bool(self.message.HasField(name))

    def honour(self, *names: str) -> None:
        """Say that fields (and all inside them) are what odflow does anyway."""
        for name in names:
            self._note(name, Verdict(HONOURED))

    def approximate(self, name: str, how: str) -> None:
        """Say that a field is met only nearly, and how."""
        self._note(name, Verdict(APPROXIMATED, how))

    def skip(self, name: str, why: str) -> None:
        """Say that a field has no meaning here, and why."""
        self._note(name, Verdict(NOT_APPLICABLE, why))

    def unsupported(self, name: str, why: str) -> None:
        """Say that a field asks for something that odflow goes on without."""
        self._note(name, Verdict(UNSUPPORTED, why))

    def refuse(self, name: str, found: object, wanted: str) -> ConfigError:
        """The error for a value that cannot be used; to be raised by the caller."""
        self._note(name, Verdict(UNSUPPORTED, f"cannot be trained; wanted: {wanted}"))
        return ConfigError(shown(f"{self.coverage.source}: {self._path(name)} is {found}; wanted: {wanted}."))

    def refuse_choice(self, name: str, found: str, known: Iterable[str]) -> ConfigError:
        """The error for one of several kinds that odflow cannot train; to be raised."""
        return self.refuse(name, f'"{found}"' if found else "not set", " or ".join(sorted(known)))

    def refuse_type(self, found: str, known: Iterable[str], instead: Mapping[str, str]) -> ConfigError:
        """The error for a `type` of feature extractor that odflow does not build; to be raised.

        Args:
            found: the type.
            known: those that odflow builds; the message has the nearest three, or all if none is near.
            instead: what comes nearest to types of the API, by their beginning; the first that fits counts.
        """
        for beginning, nearest in instead.items():
            if found.startswith(beginning):
                wanted = f"{nearest}, which comes nearest, and a checkpoint that fits it"
                return self.refuse("type", f'"{found}", which odflow does not build', wanted)
        near = get_close_matches(found, sorted(known), n=3) if found else []
        return self.refuse_choice("type", found, near or known)

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _note(self, name: str, verdict: Verdict) -> None:
        self.coverage.verdicts[self._path(name)] = verdict
