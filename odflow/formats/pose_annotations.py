"""What the readers of annotated poses share: MPII, FLIC, LSP and COCO."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from odflow.errors import InputError
from odflow.formats.image_list import leaves_folder
from odflow.formats.keypoints import REQUIRED, Fault, joint_columns

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
        return f"{self.path}: {self.entries}[{place}] ({name})"


def gather_people(path: Path, form: PoseFormat[Entry], entries: Iterable[Entry]) -> AnnotatedPeople:
    """Read the entries of a file one by one; one that is wrong is told and left out.

    Those that are read are numbered within their image, from 0.
    """
    import pandas as pd

    people = AnnotatedPeople(path, form.entries, form.joints, pd.DataFrame())
    columns = [column for joint in form.joints for column in joint_columns(joint)]
    numbers: Counter[str] = Counter()
    rows: dict[int, dict[str, object]] = {}
    for place, entry in enumerate(entries):
        name: str | None = "no image"
        try:
            name = _inside(form.image(entry))
            if name is None:
                continue
            facts, joints = form.person(entry)
            xyv, nan = _finite(joints, form.joints)
        except _UNFIT as error:
            people.left_out.append(Fault(people.where(place, name), _reason(error)))
            continue
        if nan:
            people.mended.append(Fault(people.where(place, name), f"{', '.join(nan)} at NaN"))
        rows[place] = {"filename": name, "person": numbers[name], "width": np.nan, "height": np.nan}
        rows[place] |= {fact: _known(value) for fact, value in facts.items()}
        rows[place] |= dict(zip(columns, xyv.ravel().tolist(), strict=True))
        numbers[name] += 1
    found = pd.DataFrame(
        list(rows.values()), index=list(rows), columns=None if rows else [*REQUIRED, *columns]
    )
    return replace(people, table=found)


def _inside(name: object) -> str | None:
    if name is not None and (not isinstance(name, str) or leaves_folder(name)):
        raise InputError(f"its image is called {name!r:.80}; wanted a name inside the images folder")
    return name


def _finite(xyv: NDArray[np.float64], joints: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """The joints, those at NaN not labelled, and which labelled ones were."""
    if xyv.shape != (len(joints), 3):
        raise InputError(f"its joints are of the shape {xyv.shape}, wanted {len(joints)} joints")
    lost = np.asarray(~np.isfinite(xyv[:, :2]).all(axis=1))
    nan = [joint for joint, bad in zip(joints, lost & (xyv[:, 2] > 0), strict=True) if bad]
    return np.where(lost[:, None], [np.nan, np.nan, 0], xyv), nan


def _known(value: object) -> object:
    """A fact; one that is infinite is not known."""
    return np.nan if isinstance(value, float) and not np.isfinite(value) else value


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return str(error) if isinstance(error, InputError) else f"it is of another form ({error})"


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it cannot be read, or is cut off or otherwise no JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON, or is cut off ({error}). Fetch it anew.") from None


def read_mat(path: Path, name: str, form: str) -> NDArray[Any]:
    """Read one variable of a MATLAB file (up to version 7.2); nothing in it is run or unpickled.

    Args:
        path: of the file.
        name: of the variable.
        form: what the file should be, for messages.

    Raises:
        InputError: no such file, or it has no such variable.
    """
    from scipy.io import loadmat

    try:
        file = BytesIO(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        found = loadmat(file, variable_names=[name])
    except Exception as error:  # damaged files raise errors of many kinds
        raise InputError(f"{path}: is no {form} file, or is damaged ({error}).") from None
    if name not in found:
        raise InputError(f"{path}: is no {form} file: it has no variable {name!r}.")
    return np.asarray(found[name])
