"""The stage `contact_sheet`: see what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from odflow.errors import InputError
from odflow.formats.images import MOST_PIXELS, PIXELS_OPENED
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, OutputFile, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.contact_sheet import DrawnBox
    from odflow.graph.checking import Checking


class ContactSheet(Stage):
    """Draw the boxes of a table on some of the pictures, all on one sheet."""

    version: ClassVar[int] = 2

    detections: InputFile = Field(description="table of boxes with scores, CSV or Parquet")
    images: InputFolder = Field(description="folder of images that the table's file names are relative to")
    ground_truth: InputFile | None = Field(
        None, description="table of true boxes, which are drawn as thin dashed lines"
    )
    min_score: float = Field(0.0, ge=0, le=1, description="lowest score to draw, 0 to 1")
    count: int = Field(
        12, ge=1, description="pictures on the sheet, chosen evenly over the sorted file names"
    )
    columns: int = Field(4, ge=1, description="pictures in a row")
    width: int = Field(320, ge=80, le=4096, description="width of each picture in pixels")
    max_pixels: int = Field(
        MOST_PIXELS,
        ge=1,
        le=PIXELS_OPENED,
        description="images with more pixels are unreadable",
    )

    sheet: OutputFile = output("contact_sheet.png", "the pictures with their boxes")

    def check(self, checking: Checking) -> None:
        """See that there are boxes to draw and images to draw them on."""
        from odflow.checks import check_image_folder, table_of

        for field in ("detections", "ground_truth"):
            table_of(checking, field, "images")
        check_image_folder(checking, "images")

    def run(self, job: Job) -> None:
        """Choose the pictures and draw them."""
        from odflow.formats.class_ids import tell_unknown
        from odflow.formats.contact_sheet import ContactSheet as Sheet
        from odflow.formats.contact_sheet import class_colours, evenly
        from odflow.formats.detections import read_detections
        from odflow.formats.images import read_image

        found = read_detections(self.detections, self.images)
        tell_unknown(job, found["class"], self.detections)
        names = set(found["filename"])
        found = found[found["score"] >= self.min_score].sort_values("score", kind="stable")
        truth = (
            read_detections(self.ground_truth, self.images)
            if self.ground_truth is not None
            else found.iloc[:0]
        )
        names |= set(truth["filename"])
        chosen = evenly(names or self._all_images(job), self.count)
        sheet = Sheet(self.columns, self.width, class_colours(found["class"][found["filename"].isin(chosen)]))
        for name in job.progress(chosen, unit="image"):
            path = self.images / name
            if not path.is_file():
                raise InputError(f"{path}: no such image, though the table names it. Give its images folder.")
            here, true = found[found["filename"] == name], truth[truth["filename"] == name]
            caption = f"{name}: {len(here)} found"
            caption += f", {len(true)} true" if self.ground_truth is not None else ""
            picture = read_image(path, self.max_pixels)
            sheet.add(picture, [*_drawn(true, truth=True), *_drawn(here)], caption)
        note = f"{len(chosen)} of {len(names) or len(chosen)} images"
        note += ", dashed: ground truth" if self.ground_truth is not None else ""
        sheet.picture(note).save(self.sheet, "PNG", optimize=True)
        job.say(f"{len(chosen)} pictures with {int(found['filename'].isin(chosen).sum())} detections")

    def _all_images(self, job: Job) -> set[str]:
        from odflow.formats.image_search import search_images

        found = search_images(self.images)
        job.leave_out(*found.left_out)
        return {image.name for image in found.images}


def _drawn(rows: pd.DataFrame, *, truth: bool = False) -> list[DrawnBox]:
    from odflow.formats.contact_sheet import DrawnBox

    corners = rows[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist()
    return [
        DrawnBox((box[0], box[1], box[2], box[3]), name, None if truth else float(score))
        for box, name, score in zip(corners, rows["class"], rows["score"], strict=True)
    ]
