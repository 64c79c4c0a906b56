"""The stage `split`: whole images, and the copies of one together, to a training and a validation side."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator, model_validator

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, OutputFile, Stage, output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odflow.formats.detections import DetectionTable
    from odflow.graph.checking import Checking


class Split(Stage):
    """Split the images of a table into a training and a validation side, copies of one together."""

    version: ClassVar[int] = 3

    detections: InputFile = Field(description="table of boxes to split, CSV or Parquet")
    images_seen: InputFile | None = Field(
        None,
        description="the images that the boxes are of: detect's images.csv, or a list, one a line, as import "
        "and render write it; keep_empty takes the images without a box from it",
    )
    valid_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of images (0 to 1) for validation, chosen by a hash of their names; "
        "the copies of a photograph that Roboflow makes (NAME_jpg.rf.HASH.jpg) are on the side of NAME, "
        "and names that differ in case or the Unicode form of accents alone on one side",
    )
    train_count: int | None = Field(
        None,
        ge=0,
        description="first so many images, sorted by name, to train, the others to validation; "
        "takes the place of valid_fraction; copies stay together here too, so it may be a few more or less",
    )
    group: str | None = Field(
        None,
        description="regular expression: images in whose names its parentheses find the same are on one "
        "side, as '^(.*)_frame' has it for the frames of a video; others are as without it",
    )
    keep_empty: bool = Field(False, description="keep images without any box too; needs images_seen")

    train: OutputFile = output("train.csv", "boxes of the training side")
    valid: OutputFile = output("valid.csv", "boxes of the validation side")
    train_images: OutputFile = output("train_images.txt", "names of the training images, one a line")
    valid_images: OutputFile = output("valid_images.txt", "names of the validation images, one a line")

    @field_validator("group")
    @classmethod
    def _is_a_regular_expression(cls, group: str | None) -> str | None:
        try:
            re.compile(group or "")
        except re.error as error:
            raise ValueError(
                f"{group!r} is no regular expression ({error}); wanted one as '^(.*)_frame'"
            ) from error
        return group

    @model_validator(mode="after")
    def _needs_images_seen(self) -> Split:
        if self.keep_empty and self.images_seen is None:
            raise ValueError("keep_empty needs images_seen: detect's images.csv, or a list of images")
        return self

    def check(self, checking: Checking) -> None:
        """Tell that both sides have the classes of the table."""
        from odflow.checks import table_of

        table = table_of(checking, "detections")
        for side in ("train", "valid"):
            checking.expect(side, table)

    def run(self, job: Job) -> None:
        """Write the boxes and the image names of both sides."""
        from odflow.formats.detections import DetectionTable
        from odflow.formats.image_list import write_image_list
        from odflow.formats.images_seen import read_images_seen
        from odflow.ops.split import split_by_count, split_by_hash

        table = DetectionTable(self.detections)
        fractions = _fractions(table)
        names = set(table.names)
        if self.keep_empty and self.images_seen is not None:
            names |= set(read_images_seen(self.images_seen))
        group = self._groups(job, names)
        if self.train_count is None:
            sides = split_by_hash(names, self.valid_fraction, group.__getitem__)
        else:
            sides = split_by_count(names, self.train_count, group.__getitem__)
        counts = self._write(table, sides[1], fractions)
        for what, listed, side, count in zip(
            ("train", "valid"), (self.train_images, self.valid_images), sides, counts, strict=True
        ):
            write_image_list(listed, side)
            job.say(f"{what}: {len(side)} images, {count} boxes")
            if not side:
                job.log.warning("the %s side is empty", what)

    def _write(
        self, table: DetectionTable, valid: Iterable[str], fractions: NDArray[np.bool_]
    ) -> tuple[int, int]:
        """Write the boxes of both sides; gives how many each has.

        Args:
            table: read once.
            valid: the images of the validation side.
            fractions: of each image of the table, as `_fractions` gives them.
        """
        import numpy as np

        from odflow.formats.detection_writer import TableWriter

        on_valid = np.zeros(len(table.names), np.bool_)
        on_valid[[table.names[name] for name in valid if name in table.names]] = True
        with (
            TableWriter(self.train, fractions[~on_valid]) as train_table,
            TableWriter(self.valid, fractions[on_valid]) as valid_table,
        ):
            total = in_valid = 0
            for boxes, images in table:
                chosen = on_valid[images]
                train_table.add(boxes[~chosen])
                valid_table.add(boxes[chosen])
                total += len(boxes)
                in_valid += int(chosen.sum())
        return total - in_valid, in_valid

    def _groups(self, job: Job, names: Iterable[str]) -> dict[str, str]:
        """What each image belongs to, and say what stays together.

        Raises:
            InputError: `group` is found in no name.
        """
        from odflow.formats.image_names import first_alike
        from odflow.left_out import first_names
        from odflow.ops.split import group_by, photograph_of

        asked = group_by(self.group, names) if self.group is not None else {}
        alone = sorted(set(names) - asked.keys())
        if self.group is not None and alone and not asked:
            raise InputError(
                f"{job.name}: group {self.group!r} is found in none of the {len(alone)} image names "
                f"({first_names(alone)}). Change it, or leave it out."
            )
        copies = {name: photograph_of(name) for name in alone}
        first = first_alike(copies.values())
        _tell(job, "belong to {} groups by `group`", "groups", asked)
        _tell(job, "are copies of {} photographs by their names (.rf.)", "photographs", copies)
        _tell(job, "have {} names but for case and the Unicode form of accents", "names", first)
        if asked and alone:
            job.say(
                f"{len(alone)} images without a match for `group` are split without it: {first_names(alone)}"
            )
            job.count("images_without_group", len(alone))
        return {name: first[copy] for name, copy in copies.items()} | asked


def _fractions(table: DetectionTable) -> NDArray[np.bool_]:
    """Read a table: which numbers of each image have a fraction, (images, len(NUMBERS))."""
    import numpy as np

    from odflow.formats.detection_rows import NUMBERS
    from odflow.formats.detection_writer import fractions

    found = np.zeros((0, len(NUMBERS)), np.bool_)
    for boxes, images in table:
        found = np.pad(found, ((0, len(table.names) - len(found)), (0, 0)))
        np.logical_or.at(found, images, fractions(boxes))
    return found


def _tell(job: Job, what: str, kind: str, groups: dict[str, str]) -> None:
    """Say how many images share a side with others of their kind; nothing where none does."""
    from odflow.ops.split import count_together

    number, images = count_together(groups.values())
    if not number:
        return
    job.say(f"{images} images {what.format(number)}; those of one are on one side")
    job.count(f"{kind}_kept_together", number)
    job.count(f"images_of_{kind}", images)
