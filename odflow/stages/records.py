"""The stage `records`: images and boxes as TFRecords for training, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field
from typing_extensions import TypedDict

from odflow.errors import ImageError, InputError, TableError, nearest
from odflow.graph.job import Job
from odflow.graph.shards import Shard, write_shards
from odflow.graph.stage import InputFile, InputFolder, OutputFolder, Stage, output
from odflow.left_out import Faults, LeftOut, first_names
from odflow.terminal import shown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from odflow.formats.image_check import Verify
    from odflow.formats.od_example import Boxes
    from odflow.graph.checking import Checking


class Records(Stage):
    """Write images and their boxes as TFRecords for training."""

    version: ClassVar[int] = 4
    resumes: ClassVar[bool] = True

    detections: InputFile = Field(description="table of boxes in pixels, CSV or Parquet")
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
    missing_images: Literal["error", "drop"] = Field(
        "error", description="what to do with names of images that the folder lacks"
    )
    verify: Literal["pixels", "structure"] = Field(
        "pixels",
        description="how each image is proved whole; pixels: it is decoded, a JPEG at an eighth of its size; "
        "structure: lengths, checksums and the end, in about half the time, which misses gaps in the pixels",
    )

    records: OutputFolder = output("records", "folder of the TFRecord files")

    def check(self, checking: Checking) -> None:
        """See that the label map knows the classes, that there are images, and room for them."""
        from odflow.checks import check_classes, check_image_folder, check_room, label_map_of, table_of
        from odflow.formats.tfrecord import shard_name

        label_map, table = label_map_of(checking, "label_map"), table_of(checking, "detections", "images")
        if self.unknown_classes == "error":
            advice = "Add it there, or set unknown_classes: drop."
            check_classes(checking, "detections", table, label_map, advice)
        check_image_folder(checking, "images")
        names = table.images if table and self.image_list is None else None
        if names and checking.given("images"):
            checking.passes(lambda: self._missing(sorted(names)), "images")
        check_room(checking, "images", names)
        checking.expect(
            "records", names=[shard_name(self.name, one, self.shards) for one in range(self.shards)]
        )

    def run(self, job: Job) -> None:
        """Write each shard from every n-th image, by name, and read it back."""
        from odflow.formats.tfrecord import deal_shards, records_fault

        boxes, rows = self._boxes(job)
        names = self._names(job, rows)

        def make(left: list[str]) -> Iterator[tuple[str, list[bytes] | InputError]]:
            tasks = (
                ImageTask(self.images / name, name, boxes.take(rows.get(name, [])), self.verify)
                for name in left
            )
            examples = job.progress(job.map(make_example, tasks), total=len(left), unit="image")
            return zip(left, examples, strict=True)

        self.records.mkdir(exist_ok=True)
        shards = deal_shards(self.records / self.name, names, self.shards)
        written = write_shards(job, shards, make, _write, records_fault, _Note)
        _raise_wrong(line for shard in written for line in shard.note["wrong"])
        unreadable = {name: error for shard in written for name, error in shard.note["unreadable"].items()}
        _report(job, names, unreadable)
        count = sum(len(rows.get(name, [])) for name in names if name not in unreadable)
        job.say(f"{len(names) - len(unreadable)} images, {count} boxes, {self.shards} file(s)")

    def _boxes(self, job: Job) -> tuple[Boxes, Mapping[str, Sequence[int]]]:
        """The boxes of known classes that have an area inside their image, and the rows of each image."""
        from odflow.formats.label_map import read_label_map
        from odflow.formats.od_example import boxes_of_table
        from odflow.ops.boxes import area

        table, ids = self._table(job), read_label_map(self.label_map).ids
        known = table["class"].isin(list(ids))
        if not known.all():
            self._unknown(job, table[~known], ids)
        table = table[known]
        boxes = boxes_of_table(table, ids)
        flat = area(boxes.corners) == 0
        clipped = _reaches_out(table) & ~flat
        job.leave_out(
            LeftOut(
                "boxes_without_area",
                int(flat.sum()),
                "boxes without area inside their image left out",
                _images(table[flat]),
            ),
            LeftOut(
                "boxes_clipped", int(clipped.sum()), "boxes clipped to their image", _images(table[clipped])
            ),
        )
        return boxes.take(~flat), dict(table[~flat].groupby("filename").indices)

    def _table(self, job: Job) -> pd.DataFrame:
        """The boxes in pixels, their images named as the folder has them."""
        from odflow.formats.detections import check_pixels, read_detections

        table = read_detections(self.detections, self.images)
        renamed = table.attrs["renamed"]
        if renamed:
            old, new = next(iter(renamed.items()))
            job.say(f"{len(renamed)} names brought below {self.images}: {shown(old)} is read as {new}")
        shares = check_pixels(self.detections, table)
        if shares:
            job.log.warning(
                "%s: %d boxes lie within 0 to 1 (%s): are these shares instead of pixels?",
                self.detections,
                len(shares),
                first_names(dict.fromkeys(shares)),
            )
            job.count("boxes_below_a_pixel", len(shares))
        return table

    def _unknown(self, job: Job, table: pd.DataFrame, ids: Mapping[str, int]) -> None:
        """Refuse or count the boxes of classes that the label map lacks."""
        first = table.groupby("class")["filename"].first()
        if self.unknown_classes == "drop":
            what = f"boxes left out, of classes that {self.label_map} lacks"
            job.leave_out(LeftOut("boxes_unknown_class", len(table), what, list(first.index)))
            return
        lacks = f"which {self.label_map} ({len(set(ids.values()))} classes) lacks"
        faults = Faults()
        for name, image in first.items():
            near = nearest(str(name).strip(), ids)
            faults.add(
                f'{job.name}: {image} has class "{shown(str(name))}", {lacks}.{near} '
                "Add it there, or set unknown_classes: drop."
            )
        faults.raise_all(TableError)

    def _names(self, job: Job, rows: Mapping[str, object]) -> list[str]:
        """The images to write, sorted; each is there."""
        from odflow.formats.image_list import read_image_list

        names = sorted(rows if self.image_list is None else read_image_list(self.image_list, self.images))
        if not names:
            raise InputError(f"{job.name}: {self.image_list or self.detections} leaves no image to write.")
        lacking = set(missing := self._missing(names))
        what = f"images that {self.images} lacks left out, with their boxes"
        job.leave_out(LeftOut("images_missing", len(missing), what, missing))
        return [name for name in names if name not in lacking]

    def _missing(self, names: Sequence[str]) -> list[str]:
        """Those of some images that are not there, as far as they may be left out.

        Raises:
            InputError: they may not.
        """
        missing = [name for name in names if not (self.images / name).is_file()]
        if not missing or (self.missing_images == "drop" and len(missing) < len(names)):
            return missing
        few = 2 * len(missing) <= len(names)
        raise InputError(
            f"{self.images / missing[0]}: no such image ({len(missing)} of {len(names)} "
            f"are missing: {first_names(missing)}). "
            + ("" if few else f"Give the folder that the names in {self.detections} are relative to, ")
            + ("Add them, " if few else "or add them, ")
            + "or set missing_images: drop to leave them out."
        )


def _reaches_out(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which boxes end more than half a pixel outside their image."""
    import numpy as np

    box = table[["xmin", "ymin", "xmax", "ymax"]].to_numpy()
    size = table[["width", "height"]].to_numpy()
    return np.logical_or((box[:, :2] < -0.5).any(axis=1), (box[:, 2:] > size + 0.5).any(axis=1))


def _images(table: pd.DataFrame) -> list[str]:
    return list(table["filename"].unique())


@dataclass(frozen=True, slots=True)
class ImageTask:
    """What one worker needs to make one example."""

    path: Path
    name: str
    boxes: Boxes
    verify: Verify = "pixels"


def make_example(task: ImageTask) -> list[bytes] | InputError:
    """Make the example of one image; what is wrong with it, or with its rows, is given back."""
    from odflow.formats.encoding import read_encoded
    from odflow.formats.od_example import detection_example

    try:
        return detection_example(task.name, read_encoded(task.path, task.verify), task.boxes)
    except (ImageError, TableError) as error:
        return error


def _write(path: Path, made: Iterable[tuple[str, list[bytes] | InputError]]) -> Shard:
    """Write one shard; its note is the images skipped in it and why, and what is wrong with rows."""
    from odflow.formats.tfrecord import write_records

    unreadable: dict[str, str] = {}
    wrong: list[str] = []

    def usable() -> Iterator[list[bytes]]:
        for name, result in made:
            if isinstance(result, ImageError):
                unreadable[name] = str(result)
            elif isinstance(result, InputError):
                wrong.append(str(result))
            else:
                yield result

    return Shard(write_records(path, usable()), {"unreadable": unreadable, "wrong": wrong})


def _raise_wrong(lines: Iterable[str]) -> None:
    faults = Faults()
    for line in lines:
        faults.add(line)
    faults.raise_all(TableError)


def _report(job: Job, names: Sequence[str], unreadable: Mapping[str, str]) -> None:
    if unreadable and len(unreadable) == len(names):
        first = next(iter(unreadable.values()))
        raise InputError(f"{job.name}: none of {len(names)} images can be read. The first: {first}")
    for error in unreadable.values():
        job.log.warning("skipped: %s", error)
    what = "images left out, which are damaged or cannot be read"
    job.leave_out(LeftOut("images_unreadable", len(unreadable), what, list(unreadable)))


class _Note(TypedDict):
    """What became of the images of a shard that are not in it: name to error, and lines."""

    unreadable: dict[str, str]
    wrong: list[str]
