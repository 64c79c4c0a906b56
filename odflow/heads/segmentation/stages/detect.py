"""The stage `segmentation.detect`: find the class of each pixel with an exported model."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field, model_validator

from odflow.errors import InputError, TableError, nearest
from odflow.formats.images import MOST_PIXELS, PIXELS_OPENED
from odflow.graph.job import Job
from odflow.graph.journal import Journal
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, OutputFolder, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.images import ImageFile
    from odflow.graph.checking import Checking
    from odflow.heads.segmentation.finding import Place

_NAMED_AT_MOST = 20


class Detect(Stage):
    """Find the class of each pixel of images, whole or in the boxes of a detector."""

    version: ClassVar[int] = 3
    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)

    model: InputPath = Field(
        description="exported folder of segmentation.export, or in it the frozen graph (.pb) or SavedModel "
        "folder"
    )
    images: InputFolder = Field(description="folder of the images, with the folders in it")
    image_list: InputFile | None = Field(
        None, description="names of images, one a line: exactly these; all of the folder if left out"
    )
    detections: InputFile | None = Field(
        None,
        description="table of boxes, CSV or Parquet, as detect writes it: look in these alone; where they "
        "overlap, the one with the higher score is on top",
    )
    box_classes: list[str] | None = Field(
        None, description="classes of the detections to look in; all if left out"
    )
    min_score: float = Field(0.5, ge=0, le=1, description="lowest score of these detections, 0 to 1")
    margin: float = Field(
        0.1, ge=0, description="room around a box that the network sees too, as a share of its longer side"
    )
    count: int = Field(12, ge=0, description="overlays to draw, chosen evenly over the sorted file names")
    max_pixels: int = Field(
        MOST_PIXELS,
        ge=1,
        le=PIXELS_OPENED,
        description="images with more pixels are unreadable: they are counted, named and left out",
    )

    masks: OutputFolder = output(
        "masks",
        "a PNG an image, named like it: class numbers, with a palette; as segmentation.records reads "
        "them as index",
    )
    class_names: OutputFile = output("classes.json", "the class of each number that the masks hold")
    images_seen: OutputFile = output("images.csv", "one row an image, readable or not")
    overlays: OutputFolder = output("overlays", "images with their masks laid over them (JPEG)")

    @model_validator(mode="after")
    def _classes_of_boxes(self) -> Detect:
        if self.box_classes is not None and self.detections is None:
            raise ValueError("box_classes needs detections: the table of the boxes")
        return self

    def check(self, checking: Checking) -> None:
        """See that there are a model of segmentation, images, and boxes of the classes to look in."""
        from odflow.checks import check_image_folder, table_of
        from odflow.heads.segmentation.settings import SEGMENTATION

        if checking.given("model"):
            checking.passes(lambda: SEGMENTATION.exported_model(self.model), "model")
        check_image_folder(checking, "images")
        boxes = table_of(checking, "detections", "images")
        if boxes is None:
            return
        for index, name in enumerate(self.box_classes or ()):
            if name not in boxes.classes:
                near = nearest(name, boxes.classes)
                checking.problem(f'the table has no class "{name}".{near}', "box_classes", index)

    def run(self, job: Job) -> None:
        """Write the mask of every image; unreadable ones are counted, listed and named at the end."""
        from odflow.formats.mask_classes import write_mask_classes
        from odflow.heads.segmentation.settings import SEGMENTATION

        classes = SEGMENTATION.exported_model(self.model).classes
        places = self._places(job)
        self._clear()
        self.masks.mkdir(exist_ok=True)
        with Journal(job.staging / "journal", _Look) as journal:
            looks = self._looks(job, journal, places, classes)
            seen = list(job.progress(looks, total=len(places), unit="image"))
        self._list(seen)
        write_mask_classes(self.class_names, dict(enumerate(classes)))
        self._report(job, seen)
        self._draw([look.filename for look in seen if not look.error], classes)

    def _clear(self) -> None:
        """Take away what a run that was stopped late may have left read-only."""
        for table in (self.class_names, self.images_seen):
            table.unlink(missing_ok=True)
        shutil.rmtree(self.overlays, ignore_errors=True)

    def _places(self, job: Job) -> list[Place]:
        """The images, sorted by name, and where to look in them."""
        from odflow.formats.image_search import search_images
        from odflow.formats.masks import mask_key
        from odflow.heads.segmentation.finding import Place

        found = search_images(self.images if self.image_list is None else self.image_list, self.images)
        job.leave_out(*found.left_out)
        images = found.images
        taken: dict[str, str] = {}
        for image in images:
            other = taken.setdefault(mask_key(image.name), image.name)
            if other != image.name:
                raise InputError(f"{self.images}: {other} and {image.name} would have one mask. Rename one.")
        if self.detections is None:
            return [Place(image) for image in images]
        return self._boxed(job, images, self.detections)

    def _boxed(self, job: Job, images: Sequence[ImageFile], path: Path) -> list[Place]:
        from odflow.formats.class_ids import tell_unknown
        from odflow.formats.detections import read_detections
        from odflow.heads.segmentation.finding import Boxes, Place

        table = read_detections(path, self.images)
        tell_unknown(job, table["class"], path)
        lost = sorted(set(table["filename"]) - {image.name for image in images})
        if lost and self.image_list is None:
            raise InputError(
                f"{path}: has boxes in {lost[0]} ({len(lost)} such images), which {self.images} lacks. "
                "Give the images that they were found in."
            )
        chosen = self._chosen(table, path)
        rows = chosen.groupby("filename").indices
        corners = chosen[["xmin", "ymin", "xmax", "ymax"]].to_numpy()
        sizes = chosen[["width", "height"]].to_numpy()

        def boxes(name: str) -> Boxes:
            here = rows.get(name, [])
            return Boxes(
                corners[here], {(int(width), int(height)) for width, height in sizes[here]}, self.margin
            )

        return [Place(image, boxes(image.name)) for image in images]

    def _chosen(self, table: pd.DataFrame, path: Path) -> pd.DataFrame:
        """The boxes to look in, the highest score last."""
        known = sorted(set(table["class"]))
        for name in self.box_classes or ():
            if known and name not in known:
                raise TableError(f'{path}: has no class "{name}".{nearest(name, known)}')
        wanted = table["class"].isin(known if self.box_classes is None else self.box_classes)
        return table[wanted & (table["score"] >= self.min_score)].sort_values("score", kind="stable")

    def _looks(
        self, job: Job, journal: Journal[_Look], places: Sequence[Place], classes: tuple[str, ...]
    ) -> Iterator[_Look]:
        """First what a stopped run had seen, then the other images."""
        from odflow.heads.segmentation.finding import find_masks

        done = 0
        for entry in journal:
            done += 1
            yield entry
        if done:
            job.log.info("goes on after %d of %d images", done, len(places))
        todo = places[done:]
        for place, found in find_masks(self.model, classes, todo, job.map, self.max_pixels):
            look = _Look(place.image.name, found.height, found.width, found.error)
            file = self._mask(look.filename)
            if not found.error:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.unlink(missing_ok=True)
                file.write_bytes(found.png)
            journal.append(look, *([] if found.error else [file]))
            yield look

    def _mask(self, name: str) -> Path:
        """The file of an image's mask."""
        from odflow.formats.masks import mask_key

        return self.masks / f"{mask_key(name)}.png"

    def _list(self, seen: Iterable[_Look]) -> None:
        from odflow.formats.csv_table import ROW_END, csv_text

        with csv_text(self.images_seen) as file:
            rows = csv.writer(file, lineterminator=ROW_END)
            rows.writerow(["filename", "width", "height", "status", "error"])
            for name, height, width, error in seen:
                rows.writerow([name, width, height, "unreadable" if error else "ok", error])

    def _report(self, job: Job, seen: Sequence[_Look]) -> None:
        unreadable = [f"{look.filename}: {look.error}" for look in seen if look.error]
        for line in unreadable[:_NAMED_AT_MOST]:
            job.log.warning("unreadable: %s", line)
        if len(unreadable) > _NAMED_AT_MOST:
            job.log.warning("and %d more, see %s", len(unreadable) - _NAMED_AT_MOST, self.images_seen.name)
        if len(unreadable) == len(seen):
            raise InputError(
                f"{self.images}: none of its {len(seen)} images can be read. First: {unreadable[0]}"
            )
        if unreadable:
            job.count("images_unreadable", len(unreadable))
        broken = f", {len(unreadable)} unreadable" if unreadable else ""
        job.say(f"masks of {len(seen) - len(unreadable)} images{broken}")

    def _draw(self, names: Sequence[str], classes: Sequence[str]) -> None:
        from PIL import Image

        from odflow.formats.contact_sheet import evenly
        from odflow.formats.images import read_image
        from odflow.formats.png_masks import read_mask
        from odflow.heads.segmentation.drawing import overlay, palette

        self.overlays.mkdir()
        colours = palette(classes)
        for number, name in enumerate(evenly(names, self.count)):
            picture = read_image(self.images / name, self.max_pixels)
            drawn = overlay(picture, read_mask(self._mask(name)), colours)
            file = self.overlays / f"{number:03}_{Path(name).stem}.jpg"
            Image.fromarray(drawn).save(file, "JPEG", quality=90)


class _Look(NamedTuple):
    """What is listed of one image, in plain values: an entry of the journal.

    Attributes:
        height, width: in pixels.
        error: why it cannot be read; empty where it can.
    """

    filename: str
    height: int
    width: int
    error: str
