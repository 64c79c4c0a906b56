"""What is known of a file before the stage that writes it has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ExpectedTable:
    """A table of boxes, or records of them, that will be written.

    Attributes:
        classes: the classes that its boxes may have.
        chosen: somebody named these classes: boxes of each are wanted.
        images: that it has boxes of; None when that is not known.
    """

    classes: frozenset[str]
    chosen: bool = False
    images: frozenset[str] | None = None


@dataclass(frozen=True)
class ExpectedClasses:
    """A label map that will be written, or a folder of a model that holds one.

    Attributes:
        ids: the id of each class.
        settings: what the model is built from, an `odflow.training.settings.DetectorSettings`;
            None of a label map.
    """

    ids: Mapping[str, int]
    settings: object = None
