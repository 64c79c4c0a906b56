"""The stage `records`: images and boxes as TFRecords for training, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from odflow.errors import ImageError, InputError, TableError, nearest
from odflow.graph.job import Job
from odflow.graph.shards import Shard, write_shards
from odflow.graph.stage import InputFile, InputFolder, OutputFolder, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.od_example import Boxes

_MOST_NAMED = 10


class Records(Stage):
    """Write images and their boxes as TFRecords for training."""

    resumes: ClassVar[bool] = True

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
        from odflow.formats.tfrecord import deal_shards, records_fault

        boxes, rows = self._boxes(job)
        names = self._names(job, rows)

        def make(left: list[str]) -> Iterator[tuple[str, list[bytes] | ImageError]]:
            tasks = (ImageTask(self.images / name, name, boxes.take(rows.get(name, []))) for name in left)
            examples = job.progress(job.map(make_example, tasks), total=len(left), unit="image")
            return zip(left, examples, strict=True)

        self.records.mkdir(exist_ok=True)
        shards = deal_shards(self.records / self.name, names, self.shards)
        written = write_shards(job, shards, make, _write, records_fault)
        unreadable = {name: error for shard in written for name, error in shard.note.items()}
        _report(job, names, unreadable)
        count = sum(len(rows.get(name, [])) for name in names if name not in unreadable)
        job.say(f"{len(names) - len(unreadable)} images, {count} boxes, {self.shards} file(s)")

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


def _write(path: Path, made: Iterable[tuple[str, list[bytes] | ImageError]]) -> Shard:
    """Write one shard; its note is the images skipped in it, and why."""
    from odflow.formats.tfrecord import write_records

    skipped: dict[str, str] = {}

    def readable() -> Iterator[list[bytes]]:
        for name, result in made:
            if isinstance(result, ImageError):
                skipped[name] = str(result)
            else:
                yield result

    return Shard(write_records(path, readable()), skipped)


def _report(job: Job, names: Sequence[str], unreadable: Mapping[str, str]) -> None:
    if not unreadable:
        return
    if len(unreadable) == len(names):
        first = next(iter(unreadable.values()))
        raise InputError(f"{job.name}: none of {len(names)} images can be read. The first: {first}")
    for error in unreadable.values():
        job.log.warning("skipped: %s", error)
    shown = ", ".join(islice(unreadable, _MOST_NAMED))
    more = " ..." if len(unreadable) > _MOST_NAMED else ""
    job.say(f"{len(unreadable)} images skipped that cannot be read: {shown}{more}")
