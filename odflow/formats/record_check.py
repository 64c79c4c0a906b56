"""Look through records before a training is started on them.

What cannot be used is told with file, record and image; pictures are not decoded, so that
tens of thousands of records take seconds.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.formats.example import example_views, feature_value, first_bytes
from odflow.formats.images import image_format
from odflow.formats.tfrecord import read_records, record_spans

SHOWN = 10
"""Problems that are told one by one; the others are counted."""

SLACK = 0.01
"""Share of the image by which a box may stand out, as rounding makes it."""

SIDES = ("ymin", "xmin", "ymax", "xmax")


@dataclass
class RecordSummary:
    """What records hold.

    Attributes:
        examples: images.
        classes: objects of each class id.
        unknown_texts: objects of each class text that the label map lacks; training
            leaves them out.
    """

    examples: int = 0
    classes: Counter[int] = field(default_factory=Counter)
    unknown_texts: Counter[str] = field(default_factory=Counter)

    @property
    def objects(self) -> int:
        """Boxes of a known class."""
        return self.classes.total()


def _as_they_are(items: Iterable[Any], **_: Any) -> Iterable[Any]:
    return items


def check_records(
    files: Sequence[Path],
    num_classes: int,
    class_ids: Mapping[str, int] | None = None,
    progress: Callable[..., Iterable[Any]] = _as_they_are,
) -> RecordSummary:
    """Look at every record that is to be trained on.

    Args:
        files: the TFRecord files.
        num_classes: class ids are 1 to this.
        class_ids: class text to id; where an example has texts, they count, not its labels.
        progress: shows how far it is; called with an iterable, `total` and `unit`.

    Returns:
        What was found.

    Raises:
        InputError: no record at all, none with an object, or records that cannot be used: a
            damaged file, no image, an image of an unknown form, lists of different lengths, a
            class id out of range, a box outside the image or turned round. A line for each of
            the first ten, and how many more there are.
    """
    summary, count = RecordSummary(), 0
    problems: list[str] = []
    spans = [(file, number, *span) for file in files for number, span in enumerate(record_spans(file))]
    if not spans:
        raise InputError(f"{', '.join(map(str, files))}: no record. Did filter or split leave no image?")
    for place, record in _records(progress(spans, total=len(spans), unit="record")):
        for problem in _problems(record, num_classes, class_ids or {}, summary):
            count += 1
            if len(problems) < SHOWN:
                problems.append(f"{place}{_name(record)}: {problem}")
    if count > SHOWN:
        problems.append(f"... and {count - SHOWN} more problems of this kind in {len(spans)} records.")
    if problems:
        raise InputError("\n".join(problems))
    _check_objects(files, summary)
    return summary


def check_each(
    files: Sequence[Path],
    look: Callable[[bytes], None],
    counted: Callable[[Iterable[str]], Iterable[str]] = iter,
    *,
    writer: str,
) -> int:
    """Read every record, and have someone look at it.

    Args:
        files: the TFRecord files.
        look: raises InputError for an example that cannot be used, saying why.
        counted: shows how the records go by.
        writer: the stage that writes such records, for messages.

    Returns:
        How many records there are.

    Raises:
        InputError: there is none, a file is damaged, or examples that cannot be used: a line for
            each of the first ten, with file, record and image, and how many more there are.
    """
    total = 0
    wrong: list[str] = []
    for problem in counted(_looked_at(files, look)):
        total += 1
        if problem:
            wrong.append(problem)
    if not total:
        raise InputError(f"{', '.join(map(str, files))}: no record. Did {writer} leave nothing?")
    if wrong:
        more = [f"... and {len(wrong) - SHOWN} more of {total} records."] if len(wrong) > SHOWN else []
        raise InputError("\n".join([*wrong[:SHOWN], *more]))
    return total


def _looked_at(files: Iterable[Path], look: Callable[[bytes], None]) -> Iterator[str]:
    """Of each record why it cannot be used; empty where it can."""
    for file in files:
        for number, payload in enumerate(read_records(file)):
            try:
                look(payload)
                yield ""
            except InputError as error:
                yield f"{file}: record {number}{_name(memoryview(payload))}: {error}"


def _check_objects(files: Sequence[Path], summary: RecordSummary) -> None:
    if summary.objects:
        return
    unknown = ", ".join(sorted(summary.unknown_texts)[:5])
    found = f"they are of the classes {unknown}, which the label map lacks" if unknown else "there are none"
    raise InputError(
        f"{', '.join(map(str, files))}: none of {summary.examples} examples has an object to learn "
        f"({found}); "
        "wanted: image/object/bbox/{ymin,xmin,ymax,xmax} with image/object/class/{text,label}."
    )


def _records(spans: Iterable[tuple[Path, int, int, int]]) -> Iterator[tuple[str, memoryview]]:
    """Where each record is and what it holds; the files are mapped, not read."""
    current: Path | None = None
    data = memoryview(b"")
    for file, number, start, length in spans:
        if file != current:
            with file.open("rb") as opened:
                data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
            current = file
        yield f"{file}: record {number}", data[start : start + length]


def _problems(
    record: memoryview, num_classes: int, class_ids: Mapping[str, int], summary: RecordSummary
) -> Iterator[str]:
    summary.examples += 1
    try:
        views = example_views(record)
        yield from _image_problems(views)
        columns = [_values(views, f"bbox/{side}") for side in SIDES]
        labels, texts = _values(views, "class/label"), _values(views, "class/text")
        lengths = {len(column) for column in columns}
        classes = texts if class_ids and texts else labels
        weights = _values(views, "weight")
    except InputError as error:
        yield str(error)
        return
    if lengths != {len(classes)} or (weights and len(weights) != len(classes)):
        found = ", ".join(f"{side} {len(column)}" for side, column in zip(SIDES, columns, strict=True))
        yield f"lists of different lengths ({found}, class {len(classes)}, weight {len(weights)})."
        return
    yield from _class_problems(classes, num_classes, class_ids, summary)
    yield from _box_problems(zip(*columns, strict=True))


def _image_problems(views: Mapping[str, memoryview]) -> Iterator[str]:
    if "image/encoded" not in views:
        keys = ", ".join(sorted(views)[:5]) or "none"
        yield f"no image/encoded; wanted: the image's bytes there. Its keys: {keys}."
        return
    start = first_bytes(views["image/encoded"], 12)
    if image_format(start) not in ("jpeg", "png", "bmp") and not start.startswith(b"GIF8"):
        yield "image/encoded holds no JPEG, PNG, GIF or BMP image."


def _class_problems(
    classes: Sequence[Any], num_classes: int, class_ids: Mapping[str, int], summary: RecordSummary
) -> Iterator[str]:
    for i, one in enumerate(classes):
        number = one
        if isinstance(one, bytes):
            text = one.decode("utf-8", "replace")
            number = class_ids.get(text, 0)
            if not number:
                summary.unknown_texts[text] += 1
                continue
        if 1 <= number <= num_classes:
            summary.classes[number] += 1
        else:
            yield f"object {i} has class id {number}; wanted: 1 to num_classes, {num_classes}."


def _box_problems(boxes: Iterable[tuple[float, ...]]) -> Iterator[str]:
    for i, (ymin, xmin, ymax, xmax) in enumerate(boxes):
        box = f"box {i} (ymin {ymin:.4g}, xmin {xmin:.4g}, ymax {ymax:.4g}, xmax {xmax:.4g})"
        if ymin > ymax or xmin > xmax:
            yield f"{box} ends before it starts."
        elif min(ymin, xmin) < -SLACK or max(ymax, xmax) > 1.0 + SLACK:
            yield f"{box} reaches outside the image; wanted: shares of its height and width, 0 to 1."


def _values(views: Mapping[str, memoryview], key: str) -> list[Any]:
    view = views.get(f"image/object/{key}")
    if view is None:
        return []
    value = feature_value(view)
    return value if isinstance(value, list) else value.tolist()


def _name(record: memoryview) -> str:
    """The image's name in brackets, where the record has one."""
    try:
        views = example_views(record)
    except InputError:
        return ""
    names = (first_bytes(views[key], 200) for key in ("image/filename", "image/source_id") if key in views)
    return next((f" ({name.decode('utf-8', 'replace')})" for name in names if name), "")
