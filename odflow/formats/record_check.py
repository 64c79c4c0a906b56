"""Look through records before a training is started on them.

What cannot be used is told with file, record and image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.formats.example import example_views, feature_kind, feature_value, first_bytes
from odflow.formats.image_check import Size, Verify
from odflow.formats.record_image import check_record_image
from odflow.formats.tfrecord import record_spans, records_at
from odflow.left_out import SHOWN
from odflow.reading import reading
from odflow.terminal import shown

_TOGETHER = 16
"""Records that a worker looks at in one go."""


def _as_they_are(items: Iterable[Any], **_: Any) -> Iterable[Any]:
    return items


Look = Callable[[bytes], tuple[list[str], Any]]
"""What is wrong with an example, and what else is to be known of it."""


@dataclass(frozen=True)
class Looking:
    """How records are looked through.

    Attributes:
        verify: how deep each picture is proved whole.
        map: calls a function on many items, in their order: a stage's workers.
        progress: shows how far it is; called with an iterable, `total` and `unit`.
    """

    verify: Verify = "pixels"
    map: Callable[..., Iterable[Any]] = map
    progress: Callable[..., Iterable[Any]] = _as_they_are


@dataclass(frozen=True)
class _Task:
    """Records of one file that a worker looks at: number, first byte and length of each."""

    file: Path
    numbers: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def check_each(
    files: Sequence[Path],
    look: Callable[[bytes], None],
    looking: Looking | None = None,
    *,
    writer: str,
) -> int:
    """Read every record, and have someone look at it; its picture is proved whole.

    Args:
        files: the TFRecord files.
        look: raises InputError for an example that cannot be used, saying why.
        looking: how.
        writer: the stage that writes such records, for messages.

    Returns:
        How many records there are.

    Raises:
        InputError: there is none, a file is damaged, or examples that cannot be used: a line for
            each of the first ten, with file, record and image, and how many more there are.
    """
    looking = looking or Looking()
    whole = partial(_problems_of, look=look, verify=looking.verify)
    return sum(1 for _ in checked(files, whole, looking, writer))


def checked(files: Sequence[Path], look: Look, looking: Looking, writer: str) -> Iterator[Any]:
    """Look at every record.

    Args:
        files: the TFRecord files.
        look: at one example.
        looking: how.
        writer: the stage that writes such records, for messages.

    Yields:
        What is known of each record.

    Raises:
        InputError: see `check_each`; once all were looked at.
    """
    tasks, total = [], 0
    for file in files:
        spans = list(record_spans(file))
        total += len(spans)
        for start in range(0, len(spans), _TOGETHER):
            some = tuple(spans[start : start + _TOGETHER])
            tasks.append(_Task(file, tuple(range(start, start + len(some))), some))
    if not total:
        raise InputError(f"{', '.join(map(str, files))}: no record. Did {writer} leave nothing?")
    each = chain.from_iterable(looking.map(partial(_look_at, look=look), tasks))
    problems: list[str] = []
    for lines, known in looking.progress(each, total=total, unit="record"):
        problems += lines
        yield known
    if problems:
        more = len(problems) - SHOWN
        told = [f"... and {more} more problems of this kind in {total} records."] if more > 0 else []
        raise InputError(*problems[:SHOWN], *told)


def _look_at(task: _Task, look: Look) -> list[tuple[list[str], Any]]:
    """Look at some records; what is wrong with one is told with file, record and image."""
    found = []
    for number, payload in zip(task.numbers, records_at(task.file, task.spans), strict=True):
        place = f"{task.file}: record {number}"
        with reading(place, "a tf.train.Example"):
            lines, known = look(payload)
        found.append(([f"{place}{image_name(payload)}: {line}" for line in lines], known))
    return found


def _problems_of(payload: bytes, look: Callable[[bytes], None], verify: Verify) -> tuple[list[str], None]:
    try:
        look(payload)
        views = example_views(memoryview(payload))
        return list(image_problems(views, verify)), None
    except InputError as error:
        return [str(error)], None


def kind_problems(views: Mapping[str, memoryview], kinds: Mapping[str, str]) -> Iterator[str]:
    """Tell which features of an example are not of the kind that they must have, by key."""
    for key, kind in kinds.items():
        found = feature_kind(views[key]) if key in views else ""
        if found not in ("", kind):
            yield f"{key} is a list of {found}; wanted: a list of {kind}. Write the records anew."


def image_problems(views: Mapping[str, memoryview], verify: Verify) -> Iterator[str]:
    """Tell what is wrong with the picture of an example; see `check_record_image`."""
    key = "image/encoded"
    images = feature_value(views[key]) if key in views else []
    if not isinstance(images, list):
        yield f"{key} is a list of numbers; wanted: the image's bytes."
    elif len(images) != 1:
        keys = ", ".join(map(shown, sorted(views)[:5])) or "none"
        found = f"{len(images)} pictures in {key}" if images else f"no {key}"
        yield f"{found}; wanted: the bytes of one image there. Its keys: {keys}."
    else:
        try:
            check_record_image(key, images[0], stated_size(views), verify)
        except InputError as error:
            yield str(error)


def stated_size(views: Mapping[str, memoryview]) -> Size | None:
    """What image/width and image/height of an example say; None where they do not say it.

    Raises:
        InputError: damaged features.
    """
    sides = [feature_value(views[key]) if key in views else [] for key in ("image/width", "image/height")]
    if any(isinstance(side, list) or len(side) != 1 or side[0] <= 0 for side in sides):
        return None
    width, height = (int(side[0]) for side in sides)
    return Size(width, height)


def image_name(record: bytes) -> str:
    """The image's name in brackets, where the record has one."""
    try:
        views = example_views(memoryview(record))
    except InputError:
        return ""
    names = (first_bytes(views[key], 200) for key in ("image/filename", "image/source_id") if key in views)
    return next((f" ({shown(name.decode('utf-8', 'replace'))})" for name in names if name), "")
