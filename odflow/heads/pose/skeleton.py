"""Skeletons: which joints a pose has, and what belongs together."""

from __future__ import annotations

import json
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError, model_validator
from pydantic.dataclasses import dataclass

from odflow.errors import ConfigError
from odflow.reading import reads
from odflow.regular import read_regular
from odflow.terminal import shown

_LONGEST = 400  # characters of what is wrong with a file


@dataclass(frozen=True)
class Skeleton:
    """The joints of a pose.

    Attributes:
        name: of the skeleton.
        joints: their names, in the order of every array of joints.
        limbs: pairs of joints that are drawn as a line.
        pairs: left and right joints that change places when an image is flipped.
        torso: two joints whose distance PCK is measured in; where they are not labelled, their
            mirror images are taken.
        head: two joints whose distance PCKh is measured in; empty where the skeleton has none.
        sigmas: COCO's constants of object keypoint similarity, one a joint; empty for none.
        means: joints that are the mean of others, such as FLIC's torso.
        masked: an unlabelled joint adds nothing to the loss; otherwise its heatmap shall be zero.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str], ...]
    torso: tuple[str, str]
    head: tuple[str, str] | tuple[()] = ()
    sigmas: tuple[float, ...] = ()
    means: dict[str, tuple[str, ...]] | None = None
    masked: bool = False

    @model_validator(mode="after")
    def _known(self) -> Skeleton:
        if len(set(self.joints)) < len(self.joints):
            raise ValueError("a joint stands twice in joints")
        named = [*self.torso, *self.head, *(joint for pair in (*self.limbs, *self.pairs) for joint in pair)]
        named += [joint for mean, parts in (self.means or {}).items() for joint in (mean, *parts)]
        unknown = sorted(set(named) - set(self.joints))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not in joints")
        if self.sigmas and len(self.sigmas) != len(self.joints):
            raise ValueError(f"{len(self.sigmas)} sigmas for {len(self.joints)} joints")
        return self

    def index(self, joint: str) -> int:
        """The place of a joint."""
        return self.joints.index(joint)

    @cached_property
    def torsos(self) -> tuple[tuple[int, int], ...]:
        """The places of the torso's joints, and of their mirror images where these are others."""
        first, last = (self.index(joint) for joint in self.torso)
        return tuple(dict.fromkeys([(first, last), (self.flipped[first], self.flipped[last])]))

    @cached_property
    def heads(self) -> tuple[tuple[int, int], ...]:
        """The places of the head's joints; none where the skeleton has no head."""
        if not self.head:
            return ()
        first, last = self.head
        return ((self.index(first), self.index(last)),)

    @cached_property
    def flipped(self) -> tuple[int, ...]:
        """Which joint stands at each place after the image was flipped."""
        other = dict(self.pairs) | {right: left for left, right in self.pairs}
        return tuple(self.index(other.get(joint, joint)) for joint in self.joints)


@reads("a skeleton", ConfigError)
def read_skeleton(name: str) -> Skeleton:
    """Read a skeleton.

    Args:
        name: `mpii`, `flic`, `lsp` or `coco`, or the path of a JSON file of the same form.

    Raises:
        ConfigError: there is none of this name, or the file is wrong.
    """
    kept = files("odflow.heads.pose") / "skeletons"
    names = sorted(file.name.removesuffix(".json") for file in kept.iterdir() if file.name.endswith(".json"))
    path = Path(name)
    try:
        text = (kept / f"{name}.json").read_text("utf-8") if name in names else read_regular(path).decode()
        return Skeleton(**json.loads(text))
    except FileNotFoundError as error:
        raise ConfigError(
            f"skeleton {name!r} is unknown; wanted one of {', '.join(names)}, or a JSON file."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Give a JSON file.") from None
    except (ValidationError, TypeError, ValueError) as error:
        reason = shown(" ".join(str(error).split()))[:_LONGEST]
        raise ConfigError(f"{name}: no skeleton ({reason}). See odflow/heads/pose/skeletons.") from error
