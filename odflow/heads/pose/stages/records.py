"""The stage `pose.records`: people and their images as TFRecords for training, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from odflow.errors import ImageError, InputError
from odflow.graph.job import Job
from odflow.graph.shards import Shard, write_shards
from odflow.graph.stage import InputFile, InputFolder, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.formats.image_check import Verify
    from odflow.formats.keypoints import Fault
    from odflow.graph.checking import Checking
    from odflow.heads.pose.left_out import LeftOut
    from odflow.heads.pose.person import Person


class Records(Stage):
    """Write people, their joints and their images as TFRecords for training."""

    version: ClassVar[int] = 3
    resumes: ClassVar[bool] = True

    keypoints: InputFile = Field(description="table of keypoints, CSV or Parquet")
    images: InputFolder = Field(description="folder that the table's file names are relative to")
    skeleton: str = Field(description="mpii, flic, lsp, coco or a JSON file: the joints, in their order")
    split: str | None = Field(None, description="only people of this split (train, test); all if left out")
    image_list: InputFile | None = Field(
        None, description="only people in these images, one name a line; all if left out"
    )
    name: str = Field("data.record", pattern=r"^[\w][\w. -]*$", description="file name of the records")
    shards: int = Field(
        1, ge=1, le=99999, description="number of files; above 1 they end in -00000-of-00010 and so on"
    )

    verify: Literal["pixels", "structure"] = Field(
        "pixels",
        description="how each image is proved whole; pixels: it is decoded, a JPEG at an eighth of its size; "
        "structure: lengths, checksums and the end",
    )

    records: OutputFolder = output("records", "folder of the TFRecord files")

    def check(self, checking: Checking) -> None:
        """See that the skeleton is known, and that there are people and images."""
        from odflow.checks import check_image_folder, check_room
        from odflow.formats.keypoints import read_keypoints
        from odflow.heads.pose.skeleton import read_skeleton

        skeleton = checking.attempt(lambda: read_skeleton(self.skeleton), "skeleton")
        if skeleton and checking.given("keypoints"):
            checking.passes(lambda: read_keypoints(self.keypoints, skeleton.joints), "keypoints")
        check_image_folder(checking, "images")
        check_room(checking, "images")

    def also_reads(self) -> Iterable[Path]:
        """A skeleton of one's own."""
        path = Path(self.skeleton)
        return [path] if path.is_file() else []

    def run(self, job: Job) -> None:
        """Write each shard from every n-th person, in the order of the table, and read it back."""
        from odflow.formats.keypoints import Fault
        from odflow.formats.tfrecord import deal_shards, records_fault
        from odflow.heads.pose.left_out import LeftOut
        from odflow.heads.pose.skeleton import read_skeleton

        left_out = LeftOut(job)
        tasks = list(self._tasks(read_skeleton(self.skeleton).joints, left_out))

        def make(left: list[PersonTask]) -> Iterable[list[bytes] | Fault]:
            return job.progress(job.map(make_example, left), total=len(left), unit="person")

        self.records.mkdir(exist_ok=True)
        shards = deal_shards(self.records / self.name, tasks, self.shards)
        written = write_shards(job, shards, make, _write, records_fault, list[tuple[str, str, str]])
        for fault in (fault for shard in written for fault in shard.note):
            left_out.tell(Fault(*fault))
        people = sum(shard.size for shard in written)
        left_out.sum_up(people, self.keypoints)
        job.say(f"{people} people, {self.shards} file(s)")

    def _tasks(self, joints: tuple[str, ...], left_out: LeftOut) -> Iterator[PersonTask]:
        """The people asked for that something can be learnt from."""
        from odflow.formats.keypoints import Fault, read_keypoints
        from odflow.heads.pose.people import chosen
        from odflow.heads.pose.person import people_of_table

        table = read_keypoints(self.keypoints, joints, left_out.tell)
        table = chosen(table, self.keypoints, self.split, self.image_list)
        for row, person in zip(table.index, people_of_table(table, joints), strict=True):
            where = f"{self.keypoints}: row {row} ({person.filename})"
            if person.fault:
                left_out.tell(Fault(where, person.fault))
            else:
                yield PersonTask(where, self.images / person.filename, person, joints, self.verify)


@dataclass(frozen=True, slots=True)
class PersonTask:
    """What one worker needs to make one example; `where` is what messages call it."""

    where: str
    image: Path
    person: Person
    joints: tuple[str, ...]
    verify: Verify = "pixels"


def make_example(task: PersonTask) -> list[bytes] | Fault:
    """Make the example of one person, or tell why there is none."""
    from odflow.formats.encoding import read_encoded
    from odflow.formats.keypoints import Fault
    from odflow.heads.pose.person import encode

    try:
        return encode(task.person, read_encoded(task.image, task.verify), task.joints)
    except ImageError as error:
        if task.image.is_file():
            return Fault(task.where, "the image cannot be read", str(error))
        return Fault(task.where, "the image is missing", str(task.image))
    except InputError as error:
        return Fault(task.where, "the table is of another size", str(error))


def _write(path: Path, made: Iterable[list[bytes] | Fault]) -> Shard:
    """Write one shard; its note is whom it leaves out."""
    from odflow.formats.tfrecord import write_records

    left_out: list[list[str]] = []

    def usable() -> Iterator[list[bytes]]:
        for result in made:
            if isinstance(result, list):
                yield result
            else:
                left_out.append([result.where, result.why, result.detail])

    return Shard(write_records(path, usable()), left_out)
