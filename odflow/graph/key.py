"""The key of a stage: same key, same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odflow.graph.content import Content, Digests
from odflow.graph.stage import Stage


@dataclass(frozen=True)
class Recipe:
    """All that decides what a stage writes.

    Attributes:
        stage: the name it is registered under.
        version: of its code.
        parameters: field to value, as JSON has it.
        inputs: input field to the digests of its paths; one that is left out is not there.
        also_reads: the digests of files that the inputs name.
        packages: versions of the installed packages that the stage declares.
    """

    stage: str
    version: int
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Sequence[str]]
    also_reads: Sequence[str]
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of the recipe as JSON with sorted names, in hexadecimal."""
        told = {
            "stage": self.stage,
            "version": self.version,
            "parameters": self.parameters,
            "inputs": self.inputs,
            "also_reads": self.also_reads,
            # A stage that declares no package keeps the key that it always had.
            **({"packages": self.packages} if self.packages else {}),
        }
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def recipe(name: str, stage: Stage, contents: Mapping[str, Sequence[Content]], digests: Digests) -> Recipe:
    """Tell what a stage would be made from.

    Args:
        name: what the stage is registered under.
        stage: its inputs existing paths.
        contents: input field to the content of each of its paths.
        digests: reads the files that the inputs name.
    """
    return Recipe(
        name,
        stage.version,
        stage.model_dump(mode="json", include=set(stage.parameters())),
        {field: [content.digest for content in found] for field, found in contents.items()},
        # One that is named and missing is the stage's business; its coming changes the key.
        [content.digest if content else "missing" for content in digests.contents(list(stage.also_reads()))],
        versions(stage.packages),
    )


def combined(digests: Sequence[str]) -> str:
    """One digest for many; "" for none."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of installed packages; "absent" where one is not there."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
