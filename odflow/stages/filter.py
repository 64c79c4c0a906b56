"""The stage `filter`: keep the detections worth training on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from odflow.errors import ConfigError, nearest
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, OutputFile, Stage, output

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from odflow.formats.detections import DetectionTable
    from odflow.formats.label_map import LabelMap
    from odflow.graph.checking import Checking

    Mask = NDArray[np.bool_]
    Rule = tuple[str, Any, Callable[[pd.DataFrame, Any], Mask]]


_BOX = ["xmin", "ymin", "xmax", "ymax"]


class Filter(Stage):
    """Keep the detections worth training on.

    The rules work in this order, each on what the one before it left: rename, classes,
    drop_classes, min_score and min_scores, min_side, max_side, min_area, max_area,
    nms_iou, nms_iou_across, max_per_image. Classes are named as they are after rename.
    """

    version: ClassVar[int] = 2

    detections: InputFile = Field(description="table of boxes, CSV or Parquet")
    label_map: InputFile | None = Field(
        None, description="the classes there are (.pbtxt); those of the table if left out"
    )
    rename: dict[str, str] = Field(
        default_factory=dict, description="new names of classes; several with one new name are merged"
    )
    classes: list[str] | None = Field(None, description="classes to keep; all if left out")
    drop_classes: list[str] = Field(default_factory=list, description="classes to drop")
    min_score: float = Field(0.0, ge=0, le=1, description="lowest score to keep, 0 to 1")
    min_scores: dict[str, float] = Field(
        default_factory=dict, description="lowest score to keep by class, 0 to 1, in place of min_score"
    )
    size_unit: Literal["pixels", "share"] = Field(
        "pixels", description="unit of the sides and areas: pixels, or share of the image's side and area"
    )
    min_side: float | None = Field(None, ge=0, description="smallest width and height of a box, in size_unit")
    max_side: float | None = Field(None, ge=0, description="largest width and height of a box, in size_unit")
    min_area: float | None = Field(
        None, ge=0, description="smallest area of a box, in size_unit (pixels: squared)"
    )
    max_area: float | None = Field(
        None, ge=0, description="largest area of a box, in size_unit (pixels: squared)"
    )
    nms_iou: float | None = Field(
        None,
        ge=0,
        le=1,
        description="largest overlap (IoU, 0 to 1) of two boxes of one class; the lower score goes",
    )
    nms_iou_across: float | None = Field(
        None,
        ge=0,
        le=1,
        description="largest overlap (IoU, 0 to 1) of two boxes of any class; the lower score goes",
    )
    max_per_image: int | None = Field(
        None, ge=1, description="most boxes in an image; the highest scores stay"
    )

    kept: OutputFile = output("detections.csv", "the boxes that every rule left, in their order")
    kept_label_map: OutputFile = output(
        "label_map.pbtxt",
        "the classes that may be left, ids from 1, in the order of classes, else of label_map, else by name",
    )

    def check(self, checking: Checking) -> None:
        """See that the classes are there, and tell which will be left."""
        from odflow.checks import label_map_of, table_of
        from odflow.formats.expected import ExpectedClasses, ExpectedTable

        label_map, table = label_map_of(checking, "label_map"), table_of(checking, "detections")
        if table is None or (self.label_map is not None and label_map is None):
            return
        for field, line in self._unknown_classes(table.classes, label_map):
            checking.problem(line, field)
        left = self._classes_left(table.classes, label_map)
        chosen = table.chosen or bool(self.classes)
        checking.expect("kept", ExpectedTable(frozenset(left), chosen))
        if label_map or chosen:
            ids = {name: number for number, name in enumerate(left, 1)}
            checking.expect("kept_label_map", ExpectedClasses(ids))

    def run(self, job: Job) -> None:
        """Apply the rules and say what each dropped."""
        from odflow.formats.detections import DetectionTable
        from odflow.formats.label_map import Label, LabelMap

        table, tally = DetectionTable(self.detections), _Tally()
        for boxes in self._left(job, table, tally):
            tally.keep(boxes)
        label_map = self._known_classes()
        wrong = list(self._unknown_classes(tally.classes, label_map))
        if wrong:
            raise ConfigError(*(f"{job.name}: {field} {line}" for field, line in wrong))
        if self.rename:
            renamed = sum(tally.classes[name] for name in self.rename)
            job.say(f"rename: {renamed} of {tally.classes.total()} boxes renamed")
        for name, (before, dropped) in tally.rules.items():
            job.say(f"{name}: {dropped} of {before} boxes dropped")
        self._write(job, table, tally)
        left = self._classes_left(tally.classes, label_map)
        written = LabelMap(tuple(Label(i, name) for i, name in enumerate(left, 1)))
        self.kept_label_map.write_text(written.to_text(), encoding="utf-8")

    def _left(self, job: Job, table: DetectionTable, tally: _Tally) -> Iterator[pd.DataFrame]:
        """The boxes that every rule left, with the numbers of their rows for an index, in any order."""
        from odflow.formats.by_image import by_image, parts_for

        image_rules = [rule for rule in self._image_rules() if rule[1] is not None]

        def chunks() -> Iterator[tuple[pd.DataFrame, NDArray[np.int64]]]:
            for boxes, images in table:
                for name, count in boxes["class"].value_counts().items():
                    tally.classes[str(name)] += count
                left = tally.apply(self._row_rules(), self._renamed(boxes))
                yield left, images[boxes.index.get_indexer(left.index)]

        if not image_rules:
            yield from (boxes for boxes, _ in chunks())
            return
        for boxes in by_image(chunks(), parts_for(self.detections.stat().st_size), job.staging):
            yield tally.apply(image_rules, boxes)

    def _renamed(self, boxes: pd.DataFrame) -> pd.DataFrame:
        if not self.rename:
            return boxes
        return boxes.assign(**{"class": [self.rename.get(name, name) for name in boxes["class"].tolist()]})

    def _write(self, job: Job, table: DetectionTable, tally: _Tally) -> None:
        """Write the rows that are left, in their order."""
        import numpy as np

        from odflow.formats.detection_writer import TableWriter

        count, classes, images = 0, set[str](), np.zeros(len(table.names), bool)
        with TableWriter(self.kept, tally.fractions) as kept:
            for boxes, numbers in table:
                stay = tally.rows.holds(boxes.index.to_numpy())
                left = self._renamed(boxes[stay])
                kept.add(left)
                count += len(left)
                classes.update(left["class"].unique())
                images[numbers[stay]] = True
        job.say(f"kept {count} boxes of {len(classes)} classes in {images.sum()} images")

    def _row_rules(self) -> Iterator[Rule]:
        """The rules about rows in their order: name, limit (None: not asked for), which rows it keeps."""
        scores = {"": self.min_score, **self.min_scores} if self.min_score or self.min_scores else None
        yield "classes", self.classes, _is_one_of
        yield "drop_classes", self.drop_classes or None, lambda boxes, classes: ~_is_one_of(boxes, classes)
        yield "min_score", scores, _scores_reach
        yield "min_side", self.min_side, lambda boxes, low: self._sides(boxes).min(axis=0) >= low
        yield "max_side", self.max_side, lambda boxes, high: self._sides(boxes).max(axis=0) <= high
        yield "min_area", self.min_area, lambda boxes, low: self._sides(boxes).prod(axis=0) >= low
        yield "max_area", self.max_area, lambda boxes, high: self._sides(boxes).prod(axis=0) <= high

    def _image_rules(self) -> Iterator[Rule]:
        """The rules about the rows of an image, which come after the others."""
        yield "nms_iou", self.nms_iou, lambda boxes, limit: _unlike(boxes, limit, boxes["class"])
        yield "nms_iou_across", self.nms_iou_across, _unlike
        yield "max_per_image", self.max_per_image, _best_of_image

    def _sides(self, boxes: pd.DataFrame) -> NDArray[np.float64]:
        """Widths and heights, (2, N), in `size_unit`."""
        import numpy as np

        from odflow.ops.boxes import sides

        unit = boxes[["width", "height"]].to_numpy("float64").T if self.size_unit == "share" else 1.0
        return np.stack(sides(boxes[_BOX].to_numpy())) / unit

    def _known_classes(self) -> LabelMap | None:
        from odflow.formats.label_map import read_label_map

        return None if self.label_map is None else read_label_map(self.label_map)

    def _classes_left(self, found: Iterable[str], label_map: LabelMap | None) -> list[str]:
        """The classes that the label map for training on what is left has, in its order."""
        known = list(label_map.names.values()) if label_map else sorted(found)
        after = [self.rename.get(name, name) for name in known]
        return [name for name in dict.fromkeys(self.classes or after) if name not in self.drop_classes]

    def _unknown_classes(self, found: Iterable[str], label_map: LabelMap | None) -> Iterator[tuple[str, str]]:
        """Every class that neither the label map nor the table knows: its field, and a line."""
        known = {*found, *(label_map.ids if label_map else ())}
        after = {self.rename.get(name, name) for name in known} | set(self.rename.values())
        asked: list[tuple[str, Iterable[str], set[str]]] = [
            ("rename", self.rename, known),
            ("classes", self.classes or (), after),
            ("drop_classes", self.drop_classes, after),
            ("min_scores", self.min_scores, after),
        ]
        lacking = (
            f"neither {self.label_map} nor the table knows" if self.label_map else "the table does not hold"
        )
        for field, classes, names in asked if known else ():
            for name in classes:
                if name not in names:
                    yield field, f'names the class "{name}", which {lacking}.{nearest(name, names)}'


class _Tally:
    """What the rules did.

    Attributes:
        classes: how many boxes of each class the table holds.
        rules: of each rule, how many boxes it was given and how many it dropped.
        rows: those that are left.
        fractions: which columns have a number with one among them, as `TableWriter` wants it.
    """

    def __init__(self) -> None:
        import numpy as np

        from odflow.formats.detection_rows import NUMBERS
        from odflow.ops.row_set import RowSet

        self.classes: Counter[str] = Counter()
        self.rules: dict[str, tuple[int, int]] = {}
        self.rows = RowSet()
        self.fractions = np.zeros((1, len(NUMBERS)), np.bool_)

    def apply(self, rules: Iterable[Rule], boxes: pd.DataFrame) -> pd.DataFrame:
        """The boxes that rules keep; counted."""
        for name, limit, keeps in rules:
            if limit is None:
                continue
            left = boxes[keeps(boxes, limit)]
            before, dropped = self.rules.get(name, (0, 0))
            self.rules[name] = before + len(boxes), dropped + len(boxes) - len(left)
            boxes = left
        return boxes

    def keep(self, boxes: pd.DataFrame) -> None:
        """Take boxes that every rule left."""
        from odflow.formats.detection_writer import fractions

        self.rows.add(boxes.index.to_numpy())
        self.fractions |= fractions(boxes).any(axis=0, keepdims=True)


def _is_one_of(boxes: pd.DataFrame, classes: list[str]) -> Mask:
    return boxes["class"].isin(classes).to_numpy()


def _scores_reach(boxes: pd.DataFrame, lowest: dict[str, float]) -> Mask:
    """`lowest` by class; that of the class "" holds for those that are not there."""
    return boxes["score"].to_numpy() >= [lowest.get(name, lowest[""]) for name in boxes["class"].tolist()]


def _unlike(boxes: pd.DataFrame, limit: float, classes: pd.Series[str] | None = None) -> Mask:
    import numpy as np

    from odflow.ops.nms import suppress

    corners, scores = boxes[_BOX].to_numpy(), boxes["score"].to_numpy()
    kinds = None if classes is None else classes.to_numpy()
    keep = np.zeros(len(boxes), bool)
    for rows in boxes.groupby("filename").indices.values():
        keep[rows] = suppress(corners[rows], scores[rows], limit, None if kinds is None else kinds[rows])
    return keep


def _best_of_image(boxes: pd.DataFrame, count: int) -> Mask:
    rank = boxes.groupby("filename")["score"].rank(method="first", ascending=False)
    return (rank <= count).to_numpy()
