"""The stage `detect`: run a trained detector over images."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.journal import Journal
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, Stage, output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odflow.formats.images import ImageFile
    from odflow.inference.run import Seen

_NAMED_AT_MOST = 20


class Detect(Stage):
    """Run a trained detector over images and write what it finds."""

    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)

    model: InputPath = Field(
        description="frozen graph (.pb), SavedModel folder, exported folder, or TFLite detection file"
    )
    label_map: InputFile | None = Field(
        None, description="label map (.pbtxt) with the model's classes; an exported folder holds its own"
    )
    images: InputPath = Field(description="folder of images, or text file with one image a line")
    root: InputFolder | None = Field(
        None, description="folder that the lines of a list file are relative to; the list's own if left out"
    )
    min_score: float = Field(0.5, ge=0, le=1, description="detections must score above this, 0 to 1")
    max_detections: int | None = Field(
        None, ge=1, description="most detections of an image, the best ones; all if left out"
    )

    detections: OutputFile = output("detections.csv", "one row a detection, boxes in whole pixels")
    images_seen: OutputFile = output("images.csv", "one row an image, readable or not")

    def also_reads(self) -> Iterable[Path]:
        """The images that a list file names."""
        if self.images.is_dir():
            return ()
        from odflow.formats.images import find_images

        return [image.path for image in find_images(self.images, self.root)]

    def run(self, job: Job) -> None:
        """Detect in every image; unreadable ones are counted, listed and named at the end."""
        from odflow.formats.image_search import search_images
        from odflow.inference.detector import model_label_map

        names = model_label_map(self.model, self.label_map).names
        found = search_images(self.images, self.root)
        job.leave_out(*found.left_out)
        images = found.images
        for table in (self.detections, self.images_seen):
            table.unlink(missing_ok=True)  # a run that was stopped late may have left them read-only
        with Journal(job.staging / "journal") as journal:
            looks = job.progress(self._looks(job, journal, images), total=len(images), unit="image")
            total, unreadable = self._write(looks, names)
        self._report(job, len(images), total, unreadable)

    def _looks(self, job: Job, journal: Journal, images: Sequence[ImageFile]) -> Iterator[_Look]:
        """First what a stopped run had seen, then the other images."""
        from odflow.inference.run import detect_all

        done = 0
        for entry in journal:
            done += 1
            yield _Look(*entry)
        if done:
            job.log.info("goes on after %d of %d images", done, len(images))
        for image, seen in detect_all(self.model, images[done:], _read, job.map):
            look = self._look(image.name, seen)
            journal.append(look)
            yield look

    def _look(self, name: str, seen: Seen) -> _Look:
        from odflow.ops.pixels import to_whole_pixels

        if seen.found is None:
            return _Look(name, 0, 0, seen.error)
        best = seen.found.best(self.min_score, self.max_detections)
        boxes = to_whole_pixels(best.boxes_yxyx, height=seen.height, width=seen.width)
        found = (boxes.tolist(), best.scores.tolist(), best.classes.tolist())
        return _Look(name, seen.height, seen.width, None, *found)

    def _write(self, looks: Iterable[_Look], names: Mapping[int, str]) -> tuple[int, list[str]]:
        """Write both tables; gives the number of detections, and what cannot be read and why."""
        import numpy as np

        from odflow.formats.detection_writer import DetectionWriter

        total, unreadable = 0, []
        with (
            DetectionWriter(self.detections, names) as table,
            self.images_seen.open("w", encoding="utf-8", newline="") as file,
        ):
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["filename", "width", "height", "detections", "status", "error"])
            for name, height, width, error, boxes, scores, classes in looks:
                if error is not None:
                    unreadable.append(f"{name}: {error}")
                found = (np.array(boxes), np.array(scores, np.float32), np.array(classes, np.int64))
                table.add(name, *found, (height, width))
                status = "ok" if error is None else "unreadable"
                rows.writerow([name, width, height, len(boxes), status, error])
                total += len(boxes)
        return total, unreadable

    def _report(self, job: Job, images: int, total: int, unreadable: list[str]) -> None:
        for error in unreadable[:_NAMED_AT_MOST]:
            job.log.warning("unreadable: %s", error)
        if len(unreadable) > _NAMED_AT_MOST:
            job.log.warning("and %d more, see %s", len(unreadable) - _NAMED_AT_MOST, self.images_seen.name)
        if len(unreadable) == images:
            raise InputError(
                f"{self.images}: none of its {images} images can be read. First: {unreadable[0]}"
            )
        broken = f", {len(unreadable)} unreadable" if unreadable else ""
        job.say(f"{total} detections in {images - len(unreadable)} images{broken}")


class _Look(NamedTuple):
    """What is written about one image, in plain values: an entry of the journal.

    Attributes:
        height, width: in pixels.
        error: why it cannot be read, if so.
        boxes: ymin xmin ymax xmax, whole pixels.
        scores: float32 each.
        classes: ids of the label map.
    """

    filename: str
    height: int
    width: int
    error: str | None
    boxes: Sequence[Sequence[int]] = ()
    scores: Sequence[float] = ()
    classes: Sequence[int] = ()


def _read(image: ImageFile) -> NDArray[np.uint8]:
    from odflow.formats.images import read_image

    return read_image(image.path)
