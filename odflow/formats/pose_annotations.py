"""What the readers of annotated poses share: MPII, FLIC, LSP and COCO."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from odflow.errors import InputError
from odflow.formats.image_names import name_inside
from odflow.formats.keypoints import REQUIRED, Fault, joint_columns, most_of
from odflow.formats.numbers import FAR
from odflow.regular import read_regular
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Entry = TypeVar("Entry")

_UNFIT = (InputError, KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a dict or an array raises that has another form."""


@dataclass(frozen=True, slots=True)
class PoseFormat(Generic[Entry]):
    """How people stand in a file of some format.

    What `image` and `person` raise when an entry has another form (InputError, or what
    reading a dict or an array raises) tells why its person is left out.

    Attributes:
        entries: what the file calls its list of people.
        joints: names, K.
        image: the name of an entry's image; None for an entry that is no person.
        person: the columns before the joints that the format has, and (K, 3) x y v in pixels.
    """

    entries: str
    joints: tuple[str, ...]
    image: Callable[[Entry], str | None]
    person: Callable[[Entry], tuple[dict[str, object], NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class AnnotatedPeople:
    """What a file of annotations holds.

    Attributes:
        path: of the file.
        entries: what it calls its list of people.
        joints: that the format has, in its order.
        table: one person a row, with the columns of `odflow.formats.keypoints`. The index is
            the place in the file's list, from 0. A person may have no labelled joint.
        left_out: people that cannot be read, and crowds.
        mended: people with labelled joints at NaN: these joints count as not labelled.
    """

    path: Path
    entries: str
    joints: tuple[str, ...]
    table: pd.DataFrame
    left_out: list[Fault] = field(default_factory=list)
    mended: list[Fault] = field(default_factory=list)

    def where(self, place: object, name: object) -> str:
        """Name an entry in messages."""
        return f"{self.path}: {self.entries}[{place}] ({shown(str(name))[:100]})"


def gather_people(path: Path, form: PoseFormat[Entry], entries: Iterable[Entry]) -> AnnotatedPeople:
    """Read the entries of a file one by one; one that is wrong is told and left out.

    Those that are read are numbered within their image, from 0.
    """
    people = AnnotatedPeople(path, form.entries, form.joints, _table(form.joints, {}, []))
    numbers: Counter[str] = Counter()
    facts: dict[int, dict[str, object]] = {}
    joints = []
    for place, entry in enumerate(entries):
        name: str | None = "no image"
        try:
            said = form.image(entry)
            if said is None:
                continue
            name = name_inside(said)
            if name is None:
                name = said
                raise InputError("its image is no name inside the images folder")
            known, xyv = form.person(entry)
            if xyv.shape != (len(form.joints), 3):
                raise InputError(f"its joints have the shape {xyv.shape}; wanted {len(form.joints)} joints")
            _check_near(form.joints, known, xyv)
        except _UNFIT as error:
            people.left_out.append(Fault(people.where(place, name), *_reason(error)))
            continue
        facts[place] = {"filename": name, "person": numbers[name], "width": np.nan, "height": np.nan}
        facts[place] |= {fact: _known(value) for fact, value in known.items()}
        joints.append(xyv)
        numbers[name] += 1
    return _mended(replace(people, table=_table(form.joints, facts, joints)))


def _check_near(joints: Sequence[str], facts: Mapping[str, object], xyv: NDArray[np.float64]) -> None:
    """Refuse what is beyond all images; NaN and infinity count as not known."""
    xy = np.abs(xyv[:, :2])
    far = ((xy > FAR) & np.isfinite(xy)).any(axis=1)
    if far.any():
        raise InputError(f"{joints[int(far.argmax())]} lies more than {FAR} pixels away")
    for name, value in facts.items():
        if isinstance(value, (int, float)) and most_of(name) < abs(value) < np.inf:
            raise InputError(f"its {name} is beyond {most_of(name)}")


def _table(
    joints: Sequence[str], facts: dict[int, dict[str, object]], places: Sequence[NDArray[np.float64]]
) -> pd.DataFrame:
    import pandas as pd

    columns = [column for joint in joints for column in joint_columns(joint)]
    before = pd.DataFrame(list(facts.values()), list(facts), None if facts else REQUIRED)
    after = pd.DataFrame(np.reshape(places, (len(facts), len(columns))), list(facts), columns)
    return pd.concat([before, after], axis="columns")


def _mended(people: AnnotatedPeople) -> AnnotatedPeople:
    """Nobody has a labelled joint at NaN; whoever had one is told."""
    lost: dict[object, list[str]] = {}
    for joint in people.joints:
        x, y, v = joint_columns(joint)
        bad = ~np.isfinite(people.table[x] + people.table[y])
        for place in people.table.index[bad & (people.table[v] > 0)]:
            lost.setdefault(place, []).append(joint)
        people.table.loc[bad, [x, y, v]] = np.nan, np.nan, 0
    for place, joints in sorted(lost.items()):
        where = people.where(place, people.table.at[place, "filename"])
        people.mended.append(Fault(where, f"{', '.join(joints)} at NaN"))
    return people


def _known(value: object) -> object:
    """A fact; one that is infinite is not known."""
    return np.nan if isinstance(value, float) and not isfinite(value) else value


def _reason(error: Exception) -> tuple[str, str]:
    """Why an entry was not read, and what is peculiar to it."""
    if isinstance(error, KeyError):
        return f"it lacks {error}", ""
    return (str(error), "") if isinstance(error, InputError) else ("it has another form", str(error))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it cannot be read, or is cut off or otherwise no JSON.
    """
    try:
        return json.loads(read_regular(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON, or is cut off ({error}). Fetch it anew.") from None
