"""The stage `records`: images and boxes as TFRecords for training, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from odflow.errors import ImageError, InputError, StageError, TableError, nearest
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, OutputFolder, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.od_example import Boxes

_MOST_NAMED = 10


class Records(Stage):
    """Write images and their boxes as TFRecords for training."""

    detections: InputFile = Field(description="table of boxes, CSV or Parquet")
    images: InputFolder = Field(description="folder that the table's file names are relative to")
    label_map: InputFile = Field(description="id of each class (.pbtxt)")
    image_list: InputFile | None = Field(
        None,
        description="names of images, one a line: exactly these become examples, with boxes or without; "
        "the images of the table if left out",
    )
    name: str = Field("data.record", pattern=r"^[\w][\w. -]*$", description="file name of the records")
    shards: int = Field(
        1, ge=1, le=99999, description="number of files; above 1 they end in -00000-of-00010 and so on"
    )
    unknown_classes: Literal["error", "drop"] = Field(
        "error", description="what to do with boxes of a class that the label map lacks"
    )

    records: OutputFolder = output("records", "folder of the TFRecord files")

    def run(self, job: Job) -> None:
        """Write each shard from every n-th image, by name, and read it back."""
        from odflow.formats.tfrecord import shard_name

        boxes, rows = self._boxes(job)
        names = self._names(job, rows)
        shards = [names[first :: self.shards] for first in range(self.shards)]
        tasks = (
            ImageTask(self.images / name, name, boxes.take(rows.get(name, [])))
            for shard in shards
            for name in shard
        )
        examples = iter(job.progress(job.map(make_example, tasks), total=len(names), unit="image"))
        tally = _Tally()
        self.records.mkdir(exist_ok=True)
        for index, shard in enumerate(shards):
            path = self.records / shard_name(self.name, index, self.shards)
            _write_checked(path, tally.whole(zip(shard, islice(examples, len(shard)), strict=True)))
        tally.report(job, names)
        written = sum(len(rows.get(name, [])) for name in names if name not in tally.unreadable)
        job.say(f"{len(names) - len(tally.unreadable)} images, {written} boxes, {self.shards} file(s)")

    def _boxes(self, job: Job) -> tuple[Boxes, Mapping[str, Sequence[int]]]:
        """The boxes of known classes that have an area inside their image, and the rows of each image."""
        from odflow.formats.detections import read_detections
        from odflow.formats.label_map import read_label_map
        from odflow.formats.od_example import boxes_of_table
        from odflow.ops.boxes import area

        table, ids = read_detections(self.detections), read_label_map(self.label_map).ids
        known = table["class"].isin(list(ids))
        if not known.all():
            self._unknown(job, table[~known], ids)
        boxes = boxes_of_table(table[known], ids)
        flat = area(boxes.corners) == 0
        if flat.any():
            job.say(f"{flat.sum()} boxes without area inside their image left out")
        table, boxes = table[known][~flat], boxes.take(~flat)
        return boxes, dict(table.groupby("filename").indices)

    def _unknown(self, job: Job, table: pd.DataFrame, ids: Mapping[str, int]) -> None:
        """Refuse or count the boxes of classes that the label map lacks."""
        first = table.groupby("class")["filename"].first()
        if self.unknown_classes == "drop":
            job.say(f"{len(table)} boxes of {len(first)} classes that {self.label_map} lacks dropped")
            return
        lacks = f"which {self.label_map} ({len(set(ids.values()))} classes) lacks"
        raise TableError(
            "\n".join(
                f'{job.name}: {image} has class "{name}", {lacks}.{nearest(str(name), ids)} '
                "Add it there, or set unknown_classes: drop."
                for name, image in first.items()
            )
        )

    def _names(self, job: Job, rows: Mapping[str, object]) -> list[str]:
        """The images to write, sorted; each is there."""
        from odflow.formats.image_list import read_image_list

        names = sorted(rows if self.image_list is None else read_image_list(self.image_list, self.images))
        if not names:
            raise InputError(f"{job.name}: {self.image_list or self.detections} leaves no image to write.")
        missing = [name for name in names if not (self.images / name).is_file()]
        if missing:
            raise InputError(
                f"{job.name}: {self.images / missing[0]}: no such image ({len(missing)} of {len(names)} "
                f"are missing). Give the folder that the names in {self.detections} are relative to."
            )
        return names


@dataclass(frozen=True, slots=True)
class ImageTask:
    """What one worker needs to make one example."""

    path: Path
    name: str
    boxes: Boxes


def make_example(task: ImageTask) -> list[bytes] | ImageError:
    """Make the example of one image; an image that cannot be read gives its error back."""
    from odflow.formats.encoding import read_encoded
    from odflow.formats.od_example import detection_example

    try:
        image = read_encoded(task.path)
    except ImageError as error:
        return error
    return detection_example(task.name, image, task.boxes)


@dataclass
class _Tally:
    """Sorts out the images that cannot be read while the examples go by."""

    unreadable: dict[str, ImageError] = field(default_factory=dict)

    def whole(self, made: Iterable[tuple[str, list[bytes] | ImageError]]) -> Iterator[list[bytes]]:
        for name, result in made:
            if isinstance(result, ImageError):
                self.unreadable[name] = result
            else:
                yield result

    def report(self, job: Job, names: list[str]) -> None:
        if not self.unreadable:
            return
        if len(self.unreadable) == len(names):
            first = next(iter(self.unreadable.values()))
            raise InputError(f"{job.name}: none of {len(names)} images can be read. The first: {first}")
        for error in self.unreadable.values():
            job.log.warning("skipped: %s", error)
        shown = ", ".join(islice(self.unreadable, _MOST_NAMED))
        more = " ..." if len(self.unreadable) > _MOST_NAMED else ""
        job.say(f"{len(self.unreadable)} images skipped that cannot be read: {shown}{more}")


def _write_checked(path: Path, examples: Iterable[list[bytes]]) -> None:
    """Write a file of records, and see that it holds what was written."""
    from odflow.formats.tfrecord import count_records, write_records

    written = write_records(path, examples)
    try:
        found = count_records(path)
    except InputError as error:
        raise StageError(f"{path.name} does not read back: {error} Check the disk.") from None
    if found != written:
        raise StageError(f"{path.name}: {written} records were written, {found} are there. Check the disk.")
