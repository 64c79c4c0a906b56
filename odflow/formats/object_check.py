"""Look through a detector's records: kinds of features, lists, boxes, classes, masks and keypoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.formats.example import example_views, feature_value
from odflow.formats.image_check import Verify, check_image
from odflow.formats.object_classes import object_classes
from odflow.formats.record_check import Looking, checked, image_problems, kind_problems
from odflow.terminal import shown

SLACK = 0.01
"""Share of the image by which a box may stand out, as rounding makes it."""

SIDES = ("ymin", "xmin", "ymax", "xmax")

KINDS = {
    "image/encoded": "bytes",
    "image/object/class/text": "bytes",
    "image/object/class/label": "int64",
    "image/object/weight": "float",
    **{f"image/object/bbox/{side}": "float" for side in SIDES},
}
"""What training reads of a detector's example."""

_KEYPOINTS = {"keypoint/x": "float", "keypoint/y": "float", "keypoint/visibility": "int64"}


@dataclass(frozen=True)
class Wanted:
    """What examples of a detector must hold.

    Attributes:
        num_classes: class ids are 1 to this.
        class_ids: class text to id; where an object has a text, it counts, not its label.
        masks: "png", "numerical" or "" for none.
        keypoints: of each object; 0 for none.
    """

    num_classes: int
    class_ids: Mapping[str, int] = field(default_factory=dict)
    masks: str = ""
    keypoints: int = 0

    def kinds(self) -> dict[str, str]:
        """The kind that each feature must have, by its key."""
        kinds = dict(KINDS)
        if not self.class_ids:
            del kinds["image/object/class/text"]
        if self.masks:
            kinds["image/object/mask"] = "bytes" if self.masks == "png" else "float"
        if self.keypoints:
            kinds |= {f"image/object/{key}": kind for key, kind in _KEYPOINTS.items()}
        return kinds


@dataclass
class RecordSummary:
    """What records hold.

    Attributes:
        examples: images.
        classes: objects of each class id.
        unknown_texts: objects of each class text that the label map lacks; training
            leaves them out.
        without_box: objects whose box holds NaN; training leaves them out.
    """

    examples: int = 0
    classes: Counter[int] = field(default_factory=Counter)
    unknown_texts: Counter[str] = field(default_factory=Counter)
    without_box: int = 0

    @property
    def objects(self) -> int:
        """Boxes of a known class."""
        return self.classes.total()

    def add(self, other: RecordSummary) -> None:
        """Count what others hold, too."""
        self.examples += other.examples
        self.classes.update(other.classes)
        self.unknown_texts.update(other.unknown_texts)
        self.without_box += other.without_box


def check_records(files: Sequence[Path], wanted: Wanted, looking: Looking | None = None) -> RecordSummary:
    """Look at every record that a detector is to be trained on.

    Args:
        files: the TFRecord files.
        wanted: what examples must hold.
        looking: how.

    Returns:
        What was found.

    Raises:
        InputError: no record at all, none with an object, or records that cannot be used: a
            damaged file, no image, one that is damaged or has another size than the example
            says, features of another kind, lists of different lengths, a class id out of range,
            a box outside the image or turned round. A line for each of the first ten, and how
            many more there are.
    """
    looking = looking or Looking()
    summary = RecordSummary()
    look = partial(_object_problems, wanted=wanted, verify=looking.verify)
    for found in checked(files, look, looking, "filter or split"):
        summary.add(found)
    _check_objects(files, summary)
    return summary


def _object_problems(payload: bytes, wanted: Wanted, verify: Verify) -> tuple[list[str], RecordSummary]:
    """What is wrong with an example, and what it holds."""
    summary = RecordSummary(1)
    try:
        views = example_views(memoryview(payload))
        wrong = list(kind_problems(views, wanted.kinds())) or list(image_problems(views, verify))
        wrong = wrong or list(_list_problems(views, wanted, summary, verify))
    except InputError as error:
        wrong = [str(error)]
    return wrong, summary


def _list_problems(
    views: Mapping[str, memoryview], wanted: Wanted, summary: RecordSummary, verify: Verify
) -> Iterator[str]:
    columns = [_values(views, f"bbox/{side}") for side in SIDES]
    labels, texts = _values(views, "class/label"), _values(views, "class/text")
    classes = object_classes(texts if wanted.class_ids else [], labels, wanted.class_ids)
    weights = _values(views, "weight")
    lengths = {len(column) for column in columns}
    if lengths != {len(classes)} or (weights and len(weights) != len(classes)):
        found = ", ".join(f"{side} {len(column)}" for side, column in zip(SIDES, columns, strict=True))
        yield f"lists of different lengths ({found}, class {len(classes)}, weight {len(weights)})."
        return
    yield from _shape_problems(views, wanted, len(classes), verify)
    boxes = list(zip(*columns, strict=True))
    summary.without_box += sum(any(side != side for side in box) for box in boxes)
    yield from _class_problems(classes, wanted.num_classes, summary)
    yield from _box_problems(boxes)


def _shape_problems(
    views: Mapping[str, memoryview], wanted: Wanted, objects: int, verify: Verify
) -> Iterator[str]:
    """What is wrong with masks and keypoints."""
    for key in ("x", "y", "visibility") if wanted.keypoints else ():
        found = len(_values(views, f"keypoint/{key}"))
        if found != objects * wanted.keypoints and (found or key != "visibility"):
            yield (
                f"image/object/keypoint/{key} has {found} values; wanted: {wanted.keypoints} for each of "
                f"{objects} objects."
            )
    if wanted.masks != "png":
        return
    masks = _values(views, "mask")
    if len(masks) != objects:
        yield f"{len(masks)} masks for {objects} objects."
    image = check_image("image/encoded", feature_value(views["image/encoded"])[0], "structure")
    for i, mask in enumerate(masks):
        size = check_image(f"mask {i}", mask, verify)
        if size != image:
            yield f"mask {i} has {size.width}x{size.height} pixels, the image {image.width}x{image.height}."


def _check_objects(files: Sequence[Path], summary: RecordSummary) -> None:
    if summary.objects:
        return
    unknown = ", ".join(f'"{shown(text)}"' for text in sorted(summary.unknown_texts)[:5])
    found = f"they are of the classes {unknown}, which the label map lacks" if unknown else "there are none"
    raise InputError(
        f"{', '.join(map(str, files))}: none of {summary.examples} examples has an object to learn "
        f"({found}); "
        "wanted: image/object/bbox/{ymin,xmin,ymax,xmax} with image/object/class/{text,label}."
    )


def _class_problems(classes: Sequence[int | str], num_classes: int, summary: RecordSummary) -> Iterator[str]:
    for i, one in enumerate(classes):
        if isinstance(one, str):
            summary.unknown_texts[one] += 1
        elif 1 <= one <= num_classes:
            summary.classes[one] += 1
        else:
            yield f"object {i} has class id {one}; wanted: 1 to num_classes, {num_classes}."


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
    return value if isinstance(value, list) else list(value.tolist())
