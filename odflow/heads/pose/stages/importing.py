"""The stage `pose.import`: annotated poses of other tools as odflow's table."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from odflow.errors import ImageError
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, OutputFile, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.images import ImageSize
    from odflow.formats.pose_annotations import AnnotatedPeople
    from odflow.graph.checking import Checking
    from odflow.heads.pose.left_out import LeftOut


class Import(Stage):
    """Turn annotated poses of another form into odflow's table of keypoints."""

    format: Literal["mpii", "flic", "lsp", "coco"] = Field(
        description="form of the annotations: mpii (JSON), flic (examples.mat), lsp (joints.mat of LSP or "
        "LSP Extended) or coco (person keypoints JSON)"
    )
    annotations: InputFile = Field(description="file of the annotations")
    images: InputFolder | None = Field(
        None,
        description="folder of the images: gives their sizes; people whose image is not there are left out",
    )
    skeleton: str | None = Field(
        None, description="mpii, flic, lsp, coco or a JSON file: the joints to keep; the format's if left out"
    )
    train_count: int | None = Field(
        None,
        ge=0,
        description="so many people, the first of the file, are split train and the others test "
        "(flic has its own split)",
    )

    table: OutputFile = output("keypoints.csv", "one person a row, joints in pixels")

    @model_validator(mode="after")
    def _one_split(self) -> Import:
        if self.format == "flic" and self.train_count is not None:
            raise ValueError("flic says itself who is train and test; leave train_count out")
        return self

    def check(self, checking: Checking) -> None:
        """See that the skeleton is known."""
        from odflow.heads.pose.skeleton import read_skeleton

        checking.passes(lambda: read_skeleton(self.skeleton or self.format), "skeleton")

    def also_reads(self) -> Iterable[Path]:
        """A skeleton of one's own."""
        path = Path(self.skeleton or "")
        return [path] if path.is_file() else []

    def run(self, job: Job) -> None:
        """Write the table, people in the order of the file."""
        from odflow.formats.keypoints import write_keypoints
        from odflow.heads.pose.joint_choice import with_joints_of
        from odflow.heads.pose.left_out import LeftOut
        from odflow.heads.pose.skeleton import read_skeleton

        skeleton = read_skeleton(self.skeleton or self.format)
        people = self._read()
        left_out = LeftOut(job)
        for fault in people.left_out:
            left_out.tell(fault)
        table = with_joints_of(skeleton, people)
        if self.train_count is not None:
            table["split"] = ["train" if place < self.train_count else "test" for place in table.index]
        table = _labelled(table, people, skeleton.joints, left_out)
        if self.images is not None:
            table = _with_images(job, table, people, self.images, left_out)
        left_out.sum_up(len(table), self.annotations)
        for fault in people.mended:
            job.log.warning("not labelled: %s", fault)
        write_keypoints(table, self.table)
        if people.mended:
            job.say(f"{len(people.mended)} people with joints at NaN, which count as not labelled")
            job.count("people_mended", len(people.mended))
        _say(job, table)

    def _read(self) -> AnnotatedPeople:
        from odflow.formats.coco_keypoints import read_coco_keypoints
        from odflow.formats.flic import read_flic
        from odflow.formats.lsp import read_lsp
        from odflow.formats.mpii import read_mpii

        readers = {"mpii": read_mpii, "flic": read_flic, "lsp": read_lsp, "coco": read_coco_keypoints}
        return readers[self.format](self.annotations)


def read_size(path: Path) -> ImageSize | ImageError:
    """Read the size of an image; one that cannot be read gives its error back."""
    from odflow.formats.images import image_size

    try:
        return image_size(path)
    except ImageError as error:
        return error


def _labelled(
    table: pd.DataFrame, people: AnnotatedPeople, joints: Iterable[str], left_out: LeftOut
) -> pd.DataFrame:
    from odflow.formats.keypoints import Fault

    there = (table[[f"{joint}_v" for joint in joints]] > 0).any(axis="columns")
    for place, name in table["filename"][~there].items():
        left_out.tell(Fault(people.where(place, name), "no joint is labelled"))
    return table[there]


def _with_images(
    job: Job, table: pd.DataFrame, people: AnnotatedPeople, images: Path, left_out: LeftOut
) -> pd.DataFrame:
    """The people whose images are there, with the images' sizes."""
    from odflow.formats.keypoints import Fault

    names = table["filename"].unique().tolist()
    paths = (images / name for name in names)
    found = job.progress(job.map(read_size, paths), total=len(names), unit="image")
    sizes = dict(zip(names, found, strict=True))
    kept = []
    for place, name, width, height in table[["filename", "width", "height"]].itertuples():
        why, detail = _misfit(sizes[name], images / name, width, height)
        if why:
            left_out.tell(Fault(people.where(place, name), why, detail))
        else:
            kept.append(place)
    table = table.loc[kept]
    sides = {side: [getattr(sizes[name], side) for name in table["filename"]] for side in ("width", "height")}
    return table.assign(**sides)


def _misfit(size: ImageSize | ImageError, path: Path, width: float, height: float) -> tuple[str, str]:
    """Why an image does not fit its annotations, and the detail; empty when it does."""
    if isinstance(size, ImageError):
        return (
            ("the image cannot be read", str(size)) if path.is_file() else ("the image is missing", str(path))
        )
    if isfinite(width) and isfinite(height) and (width, height) != (size.width, size.height):
        return (
            "the annotations are of another size",
            f"{width:g}x{height:g} pixels, the image is {size.width}x{size.height}",
        )
    return "", ""


def _say(job: Job, table: pd.DataFrame) -> None:
    if "split" in table:
        counts = table["split"].value_counts()
        job.say(f"{counts.get('train', 0)} train and {counts.get('test', 0)} test")
    joints = sum(str(name).endswith("_v") for name in table)
    job.say(f"{len(table)} people in {table['filename'].nunique()} images, {joints} joints")
